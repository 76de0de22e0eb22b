"""Commands about pairs: acquire and export them, and write the twin's for comparison."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from app.cli.options import Archives, Camera, Config, Count, Json, Slm, settings_of
from app.cli.output import console, progress_bars, publish
from app.signals import stop_on_signal
from drivers.base import SpeckleScopeError

if TYPE_CHECKING:
    from acquisition.capture.pair_capture import Rig
    from acquisition.capture.plan import CapturePlan
    from app.instrument.config import InstrumentConfig
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
    from acquisition.capture.plan import CapturePlan, read_plan
    from app.datasets.acquisition_job import DatasetRun, calibration_files, dataset_metadata
    from app.instrument.opening import open_rig

    settings = settings_of(config, archive=archive, camera=camera, slm=slm)
    planned = read_plan(Path(source)) if Path(source).suffix in (".yaml", ".yml") else None
    rig, fibre = open_rig(settings)
    try:
        if resume is not None:
            run = DatasetRun.resumed(rig, resume, fibre)
        else:
            exposure_s = rig.camera.exposure_s
            plan = planned or CapturePlan(
                source=source,
                pairs=pairs,
                seed=seed,
                phase_range_rad=settings.phase_range_rad,
                exposure_s=exposure_s,
            )
            if dry_run:
                publish("dry run", _try_out(rig, plan, settings, name), json)
                return
            run = DatasetRun.new(
                rig, plan, settings.archive, name, dataset_metadata(settings, fibre), calibration=calibration_files(settings)
            )
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
    verified = (
        {}
        if certificate is None
        else {"verified": certificate.verified, "sync_margin": min(certificate.sync_margins, default=0.0)}
    )
    publish("dataset", {**asdict(run.report), "complete": run.report.complete, "verdict": now.verdict, **verified}, json)
    if not run.report.complete:
        raise SpeckleScopeError(
            f"stopped with {now.pairs_acknowledged} of {now.pairs_requested} pairs safe; "
            f"go on with: specklescope acquire --resume {run.report.path}"
        )
    if certificate is not None and not certificate.verified:
        raise SpeckleScopeError(f"the pairs are not verified; read the report in {run.report.path} before using them")


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

    from acquisition.capture.preflight import contact_sheet, estimate, first_patterns, preflight
    from app.datasets.acquisition_job import calibration_files

    expected = estimate(rig, plan, settings.archive)
    found = preflight(rig, plan, calibration_files(settings))
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
    from app.datasets.quality_report import REPORT, finish_dataset

    with progress_bars() as report:
        certificate = finish_dataset(path, lambda done: report("checking pairs", done, done))
    numbers = {key: value for key, value in asdict(certificate).items() if key != "drift"}
    publish("certificate", {**numbers, "verified": certificate.verified, "report": str(path / REPORT)}, json)
    if not certificate.verified:
        raise SpeckleScopeError(f"the pairs are not verified; read {path / REPORT} before using them")


def hologram(
    target: Path,
    out: Path,
    *,
    method: Literal["gs", "wgs", "wgs-kim"] = "wgs",
    iterations: Count = 30,
    seed: int = 0,
    config: Config = None,
    json: Json = None,
) -> None:
    """Compute the phase whose far field is an image, for the configured panel.

    Parameters
    ----------
    target
        Image of the wanted intensity; it is centred on the axis, one pixel a diffraction-limited spot, and not enlarged.
    out
        Where to write: .npy for phase in radians (float32), .png for the panel's grey levels.
    method
        gs: Gerchberg-Saxton. wgs: weighted, evener. wgs-kim: with the phase held, for spots.
    iterations
        How many.
    seed
        Of the phase it starts from.
    """
    import cv2
    import numpy as np

    from acquisition.holograms.gerchberg_saxton import gerchberg_saxton
    from app.instrument.devices import panel_of
    from drivers.base import Pattern

    settings = settings_of(config)
    panel = panel_of(settings)
    height, width = panel.pattern_shape
    # Asked first, because OpenCV writes a line of its own about a file that is not there.
    image = cv2.imread(str(target), cv2.IMREAD_GRAYSCALE) if target.is_file() else None
    if image is None:
        raise SpeckleScopeError(f"cannot read {target} as an image; convert it to PNG")
    if image.shape[0] > height or image.shape[1] > width or not image.any():
        raise SpeckleScopeError(
            f"{target} is {image.shape} and has to be bright somewhere and at most {(height, width)}; change it"
        )
    amplitude = np.zeros((height, width), np.float32)
    top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
    amplitude[top : top + image.shape[0], left : left + image.shape[1]] = np.sqrt(image.astype(np.float32))
    if out.suffix not in (".npy", ".png"):
        raise SpeckleScopeError(f"cannot write {out}: a hologram is .npy (radians) or .png (grey levels); choose one")
    with console.status("computing"):
        result = gerchberg_saxton(amplitude, iterations=iterations, seed=seed, method=method)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".npy":
        np.save(out, result.phase_rad)
    elif not cv2.imwrite(str(out), panel.grey(Pattern(result.phase_rad, target.name))):
        raise SpeckleScopeError(f"cannot write {out}; choose another folder")
    publish("hologram", {"file": str(out), "efficiency": result.efficiency, "uniformity": result.uniformity}, json)


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
    from app.datasets.twin_statistics import write_twin_pairs

    settings = settings_of(config)
    with progress_bars() as report:
        written = write_twin_pairs(settings, out, images, count, lambda done: report("exposing", done, max(done, count)))
    publish("twin pairs", {"folder": str(out), "pairs": len(written)}, None)
