"""Commands about pairs: acquire and export them, and write the twin's for comparison."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from app.options import Archives, Camera, Config, Count, Json, Slm, settings_of, stop_on_signal
from app.terminal import progress_bars, publish
from drivers.base import SpeckleScopeError


def acquire(
    source: str = "mixed",
    *,
    pairs: Count = 200,
    name: str = "pairs",
    seed: int = 0,
    resume: Path | None = None,
    camera: Camera = None,
    slm: Slm = None,
    config: Config = None,
    archive: Archives = None,
    json: Json = None,
) -> None:
    """Acquire speckle/phase pairs into a dataset. Ctrl-C stops after the pair in hand; --resume goes on.

    Parameters
    ----------
    source
        What to show: mixed, cells, leaves, crops, builtin, blank, or a folder of images.
    pairs
        Object pairs to capture; reference pairs come on top.
    name
        Name of the dataset, for people.
    seed
        Draw of random patterns.
    resume
        Folder of an interrupted dataset to complete; its own plan is used.
    """
    from acquisition.plan import CapturePlan
    from app.dataset_run import DatasetRun, dataset_card
    from app.rig import open_rig

    settings = settings_of(config, archive=archive, camera=camera, slm=slm)
    rig, fibre = open_rig(settings)
    try:
        if resume is not None:
            run = DatasetRun.resumed(rig, resume, fibre)
        else:
            plan = CapturePlan(source, pairs, seed, settings.depth_rad, exposure_s=rig.camera.exposure_s)
            run = DatasetRun.new(rig, plan, settings.archive, name, dataset_card(settings, fibre))
        with progress_bars() as report, stop_on_signal() as stop:
            run.stage.start()
            while run.stage.running:
                if stop.wait(0.1):
                    run.stage.request_stop()
                    run.stage.join()
                now = run.status()
                report("acquiring pairs", now.pairs_acknowledged, now.pairs_requested, f"{now.pairs_per_s:.1f} pairs/s")
            now = run.status()
            note = "failed" if run.stage.error else now.verdict
            report("acquiring pairs", now.pairs_acknowledged, now.pairs_requested, note)
    finally:
        rig.close()
    if run.stage.error is not None:
        raise run.stage.error
    assert run.report is not None
    publish("dataset", {**asdict(run.report), "complete": run.report.complete, "verdict": now.verdict}, json)
    if not run.report.complete:
        raise SpeckleScopeError(
            f"stopped with {now.pairs_acknowledged} of {now.pairs_requested} pairs safe; "
            f"go on with: specklescope acquire --resume {run.report.path}"
        )


def export(
    path: Path,
    *,
    out: Path | None = None,
    format: Annotated[list[str] | None, Parameter(negative=(), consume_multiple=True)] = None,
    overwrite: bool = False,
    depth_rad: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
    json: Json = None,
) -> None:
    """Export a dataset or a take for other programs.

    Parameters
    ----------
    path
        Folder of the dataset or take.
    out
        Folder for the files; without it, 'export' inside the archive.
    format
        ome-tiff, ffv1 (bit-exact video), viewing-mp4 (lossy), specdiffusion (PNG pairs). Without it: ome-tiff and ffv1.
    overwrite
        Replace files that exist.
    depth_rad
        For specdiffusion: phase of white in radians, instead of the archive's own.
    """
    from acquisition.export import export as export_archive
    from acquisition.store import Archive

    formats = format or ["ome-tiff", "ffv1"]
    written = export_archive(Archive.open(path), out or path / "export", formats, overwrite=overwrite, depth_rad=depth_rad)
    publish("exported", {"files": [str(file) for file in written]}, json)


def twin_statistics(
    out: Path, *, images: str = "held-out", count: Annotated[int, Parameter(validator=Number(gte=0))] = 0, config: Config = None
) -> None:
    """Write simulated pairs in the published layout (input/, label/), to compare the twin with a real fibre.

    Parameters
    ----------
    out
        New folder for the pairs.
    images
        Folder of images, or a pattern source.
    count
        How many; 0 takes every image of the folder once.
    """
    from app.twin_statistics import write_twin_pairs

    settings = settings_of(config)
    with progress_bars() as report:
        written = write_twin_pairs(settings, out, images, count, lambda done: report("exposing", done, max(done, count)))
    publish("twin pairs", {"folder": str(out), "pairs": len(written)}, None)
