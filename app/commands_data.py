"""Commands about pairs: acquire and export them, and write the twin's for comparison."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from app.options import Archives, Camera, Config, Count, Json, Slm, settings_of, stop_on_signal
from app.terminal import progress_bars, publish
from drivers.base import SpeckleScopeError

if TYPE_CHECKING:
    from acquisition.capture import Rig
    from acquisition.plan import CapturePlan
    from app.config import InstrumentConfig
    from app.status import AcquisitionStatus


def acquire(
    source: str = "mixed",
    *,
    pairs: Count = 200,
    name: str = "pairs",
    seed: int = 0,
    dry_run: bool = False,
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
        A plan (a file ending in .yaml), or what to show: mixed, cells, leaves, crops, builtin, blank, a folder of images, ...
    pairs
        Object pairs to capture, unless a plan says; reference pairs come on top.
    name
        Name of the dataset, for people.
    seed
        Draw of random patterns, unless a plan says.
    dry_run
        Try light and trigger, print time and size, draw the first patterns into a picture; acquire nothing.
    resume
        Folder of an interrupted dataset to complete; its own plan is used.
    """
    from acquisition.plan import CapturePlan, read_plan
    from app.dataset_run import DatasetRun, dataset_card
    from app.rig import open_rig

    settings = settings_of(config, archive=archive, camera=camera, slm=slm)
    planned = read_plan(Path(source)) if Path(source).suffix in (".yaml", ".yml") else None
    rig, fibre = open_rig(settings)
    try:
        if resume is not None:
            run = DatasetRun.resumed(rig, resume, fibre)
        else:
            exposure_s = rig.camera.exposure_s
            plan = planned or CapturePlan(source, pairs, seed, settings.depth_rad, exposure_s=exposure_s)
            if dry_run:
                publish("dry run", _try_out(rig, plan, settings, name), json)
                return
            run = DatasetRun.new(rig, plan, settings.archive, name, dataset_card(settings, fibre))
        with progress_bars() as report, stop_on_signal() as stop:
            run.stage.start()
            while run.stage.running:
                if stop.wait(0.1):
                    run.stage.request_stop()
                    run.stage.join()
                now = run.status()
                report("acquiring pairs", now.pairs_acknowledged, now.pairs_requested, now.verdict or _so_far(now))
            now = run.status()
            note = "failed" if run.stage.error else now.verdict
            report("acquiring pairs", now.pairs_acknowledged, now.pairs_requested, note)
    finally:
        rig.close()
    if run.stage.error is not None:
        raise run.stage.error
    assert run.report is not None
    certificate = run.certificate
    proved = {} if certificate is None else {"proved": certificate.proved, "lag_scans_won": certificate.lag_scans_won}
    publish("dataset", {**asdict(run.report), "complete": run.report.complete, "verdict": now.verdict, **proved}, json)
    if not run.report.complete:
        raise SpeckleScopeError(
            f"stopped with {now.pairs_acknowledged} of {now.pairs_requested} pairs safe; "
            f"go on with: specklescope acquire --resume {run.report.path}"
        )
    if certificate is not None and not certificate.proved:
        raise SpeckleScopeError(f"the pairs are not proved; read the report in {run.report.path} before using them")


def _so_far(status: AcquisitionStatus) -> str:
    """Rate, drift and disk, as the window shows them."""
    parts = [f"{status.pairs_per_s:.1f} pairs/s"]
    if status.drift:
        parts.append(f"sentinel {status.drift[-1][1]:.2f}")
    if status.free_bytes:
        parts.append(f"{status.free_bytes / 1e9:.0f} GB free")
    return ", ".join(parts)


def _try_out(rig: Rig, plan: CapturePlan, settings: InstrumentConfig, name: str) -> dict[str, object]:
    import cv2

    from acquisition.preflight import contact_sheet, estimate, first_patterns, preflight

    expected = estimate(rig, plan, settings.archive)
    files = [Path(file) for file in (settings.panel.lut_file, settings.panel.correction_file) if file]
    found = preflight(rig, plan, tuple(files))
    picture = settings.archive / f"{name}_patterns.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(picture), contact_sheet([pattern.phase_rad for pattern in first_patterns(rig, plan)])):
        raise SpeckleScopeError(f"cannot write {picture}; choose another folder with --archive")
    numbers: dict[str, object] = {
        "shots": expected.shots,
        "hours_at_least": expected.seconds / 3600,
        "seconds_per_pair_at_least": expected.seconds_per_pair,
        "gigabytes_at_most": expected.bytes_raw / 1e9,
        "gigabytes_free": expected.bytes_free / 1e9,
        "fits": expected.fits,
        "found": found,
        "patterns": str(picture),
        "plan": plan.to_dict(),
        "plan_hash": plan.hash,
    }
    if not expected.fits:
        raise SpeckleScopeError(
            f"the run needs up to {1.05 * expected.bytes_raw / 1e9:.1f} GB, {expected.bytes_free / 1e9:.1f} GB are free; "
            "free space, or choose another disk with --archive"
        )
    return numbers


def certify(path: Path, *, json: Json = None) -> None:
    """Prove a dataset's pairs from its bytes; write its certificate, contact sheet, parts and report.

    Parameters
    ----------
    path
        Folder of the dataset.
    """
    from app.quality_report import REPORT, finish_dataset

    with progress_bars() as report:
        certificate = finish_dataset(path, lambda done: report("checking pairs", done, done))
    numbers = {key: value for key, value in asdict(certificate).items() if key != "drift"}
    publish("certificate", {**numbers, "proved": certificate.proved, "report": str(path / REPORT)}, json)
    if not certificate.proved:
        raise SpeckleScopeError(f"the pairs are not proved; read {path / REPORT} before using them")


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
