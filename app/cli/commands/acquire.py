"""``specklescope acquire``: acquire a dataset, or resume one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import Parameter

from app.cli.options import AcquisitionOptions, Count
from app.cli.output import progress_bars, publish
from app.signals import StopRequest, stop_on_signal
from drivers.base import SpeckleScopeError

if TYPE_CHECKING:
    from acquisition.capture.pair_capture import Rig
    from acquisition.capture.plan import CapturePlan
    from app.datasets.acquisition_job import DatasetRun
    from app.instrument.config import InstrumentConfig
    from app.status import AcquisitionStatus

_PLAN_SUFFIXES = (".yaml", ".yml")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class CaptureOptions:
    """What is captured.

    Parameters
    ----------
    pairs
        Number of object pairs, unless a plan states it. Reference pairs are added to this number.
    name
        Name of the dataset.
    seed
        Seed of the random patterns, unless a plan states it.
    dry_run
        Acquire nothing. Test light and trigger, print the expected time and size, and draw the first patterns into a picture.
    resume
        Folder of an interrupted dataset. The missing pairs are captured with the dataset's own plan.
    """

    pairs: Count = 200
    name: str = "pairs"
    seed: int = 0
    dry_run: bool = False
    resume: Path | None = None


_CAPTURE, _INSTRUMENT = CaptureOptions(), AcquisitionOptions()


def acquire(source: str = "mixed", *, capture: CaptureOptions = _CAPTURE, instrument: AcquisitionOptions = _INSTRUMENT) -> None:
    """Acquire pairs of speckle and phase into a dataset. Ctrl-C stops after the current pair; --resume continues.

    Parameters
    ----------
    source
        The patterns: mixed, cells, leaves, crops, builtin, blank, ..., or a folder of images. Or a plan: a file that ends in
        .yaml.
    """
    from app.instrument.opening import open_rig

    settings = instrument.settings()
    planned = _planned(source)
    rig, fibre = open_rig(settings)
    try:
        if capture.resume is not None:
            from app.datasets.acquisition_job import DatasetRun
            from app.datasets.resume import AcquisitionDevices, find_resumable

            run = DatasetRun.resumed(rig, find_resumable(capture.resume, AcquisitionDevices.of(rig, fibre)))
        else:
            plan = planned or _plan(source, capture, rig, settings)
            if capture.dry_run:
                publish("dry run", _try_out(rig, plan, settings, capture.name), instrument.json)
                return
            run = _new_run(rig, plan, settings, capture.name, fibre)
        with stop_on_signal() as stop:
            status = _run_to_its_end(run, stop)
    finally:
        rig.close()
    _publish_dataset(run, status, instrument.json, stop)


def _planned(source: str) -> CapturePlan | None:
    """Read the plan if ``source`` is the file of one."""
    from acquisition.capture.plan import read_plan

    path = Path(source)
    return read_plan(path) if path.suffix in _PLAN_SUFFIXES else None


def _plan(source: str, capture: CaptureOptions, rig: Rig, settings: InstrumentConfig) -> CapturePlan:
    from acquisition.capture.plan import CapturePlan

    return CapturePlan(
        source=source,
        pairs=capture.pairs,
        seed=capture.seed,
        phase_range_rad=settings.phase_range_rad,
        exposure_s=rig.camera.exposure_s,
    )


def _new_run(rig: Rig, plan: CapturePlan, settings: InstrumentConfig, name: str, fibre: str) -> DatasetRun:
    from app.datasets.acquisition_job import DatasetRun, NewDataset, RunOptions, calibration_files, dataset_metadata

    dataset = NewDataset(
        root=settings.archive, name=name, metadata=dataset_metadata(settings, fibre, settings.camera_settings.binning or 1)
    )
    return DatasetRun.new(rig, plan, dataset, RunOptions(calibration=calibration_files(settings)))


def _run_to_its_end(run: DatasetRun, stop: StopRequest) -> AcquisitionStatus:
    """Run until every pair is safe or a signal comes; return the last status."""
    with progress_bars() as report:
        run.stage.start()
        while run.stage.running:
            if stop.wait(0.1):
                run.stage.request_stop()
                run.stage.join()
            status = run.status()
            note = status.verdict or _summary(status)
            report("acquiring pairs", status.pairs_acknowledged, status.pairs_requested, note)
        status = run.status()
        note = "failed" if run.stage.error else status.verdict
        report("acquiring pairs", status.pairs_acknowledged, status.pairs_requested, note)
    if run.stage.error is not None:
        raise run.stage.error
    return status


def _publish_dataset(run: DatasetRun, status: AcquisitionStatus, json: Path | None, stop: StopRequest) -> None:
    from acquisition.archive.kinds import FinishReason

    assert run.report is not None
    certificate = run.certificate
    complete = status.finish_reason is FinishReason.COMPLETED
    numbers = {**asdict(run.report), "finish_reason": status.finish_reason, "complete": complete, "verdict": status.verdict}
    if certificate is not None:
        numbers |= {"verified": certificate.verified, "sync_margin": min(certificate.sync_margins, default=0.0)}
    publish("dataset", numbers, json)
    path = run.report.path
    on_disk = f"{status.pairs_acknowledged} of {status.pairs_requested} pairs are on disk"
    if not run.report.complete:
        on_disk = f"{on_disk}; continue with: specklescope acquire --resume {path}"
        stop.check(on_disk)
        raise SpeckleScopeError(f"stopped: {on_disk}")
    stop.check(f"{on_disk}, in {path}")
    if certificate is None:
        raise SpeckleScopeError(
            f"the dataset is complete, but its report was not written; verify it with: specklescope certify {path}"
        )
    if not certificate.verified:
        raise SpeckleScopeError(f"verification of the pairs failed; read the report in {path} before you use them")


def _summary(status: AcquisitionStatus) -> str:
    """Rate, drift and free space, as the window shows them."""
    parts = [f"{status.pairs_per_s:.1f} pairs/s"]
    if status.drift:
        parts.append(f"reference correlation {status.drift[-1][1]:.2f}")
    if status.free_bytes:
        parts.append(f"{status.free_bytes / 1e9:.0f} GB free")
    return ", ".join(parts)


def _try_out(rig: Rig, plan: CapturePlan, settings: InstrumentConfig, name: str) -> dict[str, object]:
    """Test light and trigger, draw the first patterns, and return the expected time and size of the run."""
    from acquisition.archive.atomic_files import write_image
    from acquisition.capture.preflight import contact_sheet, estimate, first_patterns, preflight
    from app.datasets.acquisition_job import calibration_files

    expected = estimate(rig, plan, settings.archive)
    checks = preflight(rig, plan, calibration_files(settings))
    picture = settings.archive / f"{name}_patterns.png"
    sheet = contact_sheet([pattern.phase_rad for pattern in first_patterns(rig, plan)])
    write_image(picture, sheet, "choose another folder with --archive")
    if not expected.fits:
        raise SpeckleScopeError(
            f"the run needs up to {1.05 * expected.bytes_raw / 1e9:.1f} GB, but only {expected.bytes_free / 1e9:.1f} GB are "
            "free; free space, or choose another disk with --archive"
        )
    return {
        "shots": expected.shots,
        "hours_at_least": expected.seconds / 3600,
        "seconds_per_pair_at_least": expected.seconds_per_pair,
        "gigabytes_at_most": expected.bytes_raw / 1e9,
        "gigabytes_free": expected.bytes_free / 1e9,
        "fits": expected.fits,
        "checks": checks,
        "patterns": str(picture),
        "plan": plan.to_dict(),
        "plan_hash": plan.hash,
    }
