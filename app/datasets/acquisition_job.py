"""The acquisition of one dataset in its own thread: a new dataset, or an interrupted one that is resumed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from acquisition.archive.kinds import EventKind, FinishReason
from acquisition.archive.writer import ArchiveWriter, StorageError
from acquisition.capture.certificate import Certificate
from acquisition.capture.dataset_archive import open_dataset
from acquisition.capture.pair_capture import Rig
from acquisition.capture.plan import CapturePlan, Shot
from acquisition.capture.preflight import preflight
from acquisition.capture.progress import AcquisitionProgress, AcquisitionReport, RunCallbacks, RunControl
from acquisition.capture.runner import acquire
from acquisition.capture.states import AcquisitionState
from acquisition.patterns.source_name import Parameters
from acquisition.streams.channel import Stage
from app.datasets.quality_report import REPORT, finish_dataset
from app.datasets.resume import Resumable
from app.instrument.applied_calibrations import applied_facts
from app.instrument.config import InstrumentConfig
from app.status import AcquisitionStatus, Message, MessageLevel
from drivers.base import Frame, SpeckleScopeError


def dataset_metadata(config: InstrumentConfig, fibre: str, binning: int = 1) -> dict[str, object]:
    """Return what a dataset stores about the instrument, whose camera has this binning now."""
    facts = {"instrument": config.name, "fibre": fibre, "pixel_um": config.frame_pixel_um * binning, **config.credits}
    calibrations = applied_facts(config)
    named = {"calibrations": calibrations} if calibrations else {}
    return {**facts, **named, "config": config.model_dump(mode="json")}


def calibration_files(config: InstrumentConfig) -> tuple[Path, ...]:
    """Return the calibration files that the instrument uses. Their age is checked before a long run."""
    return tuple(Path(file) for file in (config.panel.lut_file, config.panel.correction_file) if file)


@dataclass(frozen=True, kw_only=True)
class NewDataset:
    """Where a new dataset is created, and what it stores about itself.

    Parameters
    ----------
    root : Path
        The archive: the folder in which the dataset's folder is created.
    name : str
        Name of the dataset, for people.
    metadata : mapping
        Facts to store, see :func:`dataset_metadata`.
    """

    root: Path
    name: str
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a run is connected to the rest of the program.

    Parameters
    ----------
    after : Stage, optional
        The run starts when this stage has ended, because it uses the same devices.
    on_pair : callable
        Called with every shot and its frame.
    on_message : callable
        Called with every message for the operator.
    calibration : tuple of Path
        Calibration files that the instrument uses; their age is checked before the run.
    """

    after: Stage | None = None
    on_pair: Callable[[Shot, Frame], None] = lambda shot, frame: None
    on_message: Callable[[Message], None] = lambda message: None
    calibration: tuple[Path, ...] = ()


class DatasetRun:
    """Acquires one dataset.

    Parameters
    ----------
    rig : Rig
        Devices. Only the run's thread uses them until it ends.
    plan : CapturePlan
        What to capture.
    open_writer : callable
        Opens the archive; called in the run's thread.
    options : RunOptions, optional
        Callbacks, and what to wait for.

    Raises
    ------
    PatternError
        The plan names an unknown source of patterns.
    """

    def __init__(
        self, rig: Rig, plan: CapturePlan, open_writer: Callable[[], ArchiveWriter], options: RunOptions | None = None
    ) -> None:
        if not Path(Parameters(plan.source).base).is_dir():  # reading a large folder takes long: the run's thread does that
            plan.patterns(rig.display().capabilities.shape)  # refuses an unknown source before anything starts
        self._rig = rig
        self._plan = plan
        self._open_writer = open_writer
        self._options = options or RunOptions()
        self._pause = threading.Event()
        self._status = AcquisitionStatus(state=AcquisitionState.PREPARING, pairs_requested=len(plan))
        self.certificate: Certificate | None = None
        self.report: AcquisitionReport | None = None
        self.stage = Stage("acquisition", self._work, after=self._options.after)

    @classmethod
    def new(cls, rig: Rig, plan: CapturePlan, dataset: NewDataset, options: RunOptions | None = None) -> DatasetRun:
        """Prepare a new dataset. Nothing is written before the run starts."""

        def open_writer() -> ArchiveWriter:
            return open_dataset(dataset.root, dataset.name, plan, rig, dataset.metadata)

        return cls(rig, plan, open_writer, options)

    @classmethod
    def resumed(cls, rig: Rig, resumable: Resumable, options: RunOptions | None = None) -> DatasetRun:
        """Prepare to complete an interrupted dataset. Nothing is written before the run starts."""
        missing = max(0, resumable.missing)
        return cls(rig, resumable.plan, lambda: ArchiveWriter.resume(resumable.path, expected=missing), options)

    @property
    def plan(self) -> CapturePlan:
        """What the run captures."""
        return self._plan

    def status(self) -> AcquisitionStatus:
        """Return the state and the numbers of the run."""
        status = self._status
        paused = self._pause.is_set() and status.state is AcquisitionState.CAPTURING
        return replace(status, state=AcquisitionState.PAUSED) if paused else status

    def pause(self, *, paused: bool) -> None:
        """Pause after the current pair, or continue. During a pause every captured pair is safe on disk."""
        if paused:
            self._pause.set()
        else:
            self._pause.clear()

    def _work(self, stop: threading.Event) -> None:
        verdict = "failed"
        reason = FinishReason.FAILED
        try:
            results = preflight(self._rig, self._plan, self._options.calibration)
            with self._open_writer() as writer:
                writer.event(EventKind.PREFLIGHT, "; ".join(results))
                control = RunControl(stop=stop, pause=self._pause)
                callbacks = RunCallbacks(on_progress=self._on_progress, on_pair=self._options.on_pair)
                self.report = acquire(self._rig, self._plan, writer, control, callbacks)
            reason = self.report.finish_reason
            verdict = _verdict(self.report)
            if self.report.complete and not self._certify(self.report.path):
                verdict = "verification failed"
                reason = FinishReason.FAILED
        except SpeckleScopeError as error:
            verdict = str(error)
            reason = FinishReason.DISK_FAILED if isinstance(error, StorageError) else FinishReason.FAILED
            raise
        finally:
            self._status = replace(
                self._status,
                state=AcquisitionState.FINISHED,
                pairs_per_s=0.0,
                seconds_left=None,
                finish_reason=reason,
                verdict=verdict,
            )

    def _certify(self, path: Path) -> bool:
        """Verify the pairs from the bytes on disk, and write the report; return whether nothing speaks against the pairs.

        Raises
        ------
        StorageError
            The dataset cannot be read any more.
        """
        self._status = replace(
            self._status,
            state=AcquisitionState.VERIFYING,
            seconds_left=None,
            verdict="checking every pair\N{HORIZONTAL ELLIPSIS}",
        )
        try:
            self.certificate = certificate = finish_dataset(path)
        except StorageError:
            raise
        except SpeckleScopeError as error:
            self._send(MessageLevel.WARNING, f"the dataset is complete, but its report could not be written: {error}")
            return True
        if certificate.verified:
            self._send(MessageLevel.INFO, f"{certificate.pairs} pairs verified; report: {path / REPORT}")
        else:
            self._send(MessageLevel.ERROR, f"verification failed; read {path / REPORT} before you use the pairs")
        return certificate.verified

    def _send(self, level: MessageLevel, text: str) -> None:
        self._options.on_message(Message(level, text))

    def _on_progress(self, progress: AcquisitionProgress) -> None:
        self._status = AcquisitionStatus(
            state=progress.state,
            path=progress.path,
            pairs_requested=progress.requested,
            pairs_acknowledged=progress.acknowledged,
            retaken=progress.retaken,
            pairs_per_s=progress.pairs_per_s,
            seconds_left=progress.seconds_left,
            drift=progress.drift,
            free_bytes=progress.free_bytes,
            faults=progress.faults,
        )


def _verdict(report: AcquisitionReport) -> str:
    return "complete" if report.complete else f"stopped at {report.acknowledged} of {report.requested}"
