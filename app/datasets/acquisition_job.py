"""One dataset being acquired: plan, archive and acquisition in a thread of their own; new or resumed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from acquisition.archive.kinds import EventKind, FinishReason
from acquisition.archive.writer import Archive, ArchiveWriter, StorageError
from acquisition.capture.certificate import Certificate
from acquisition.capture.dataset_archive import open_dataset, plan_of
from acquisition.capture.pair_capture import Rig
from acquisition.capture.plan import CapturePlan, Shot
from acquisition.capture.preflight import preflight
from acquisition.capture.progress import AcquisitionProgress, AcquisitionReport, RunCallbacks, RunControl
from acquisition.capture.runner import acquire
from acquisition.capture.states import AcquisitionState
from acquisition.streams.channel import Stage
from app.datasets.quality_report import REPORT, finish_dataset
from app.instrument.config import InstrumentConfig
from app.status import AcquisitionStatus, Message, MessageLevel
from drivers.base import Frame, SpeckleScopeError


def dataset_metadata(config: InstrumentConfig, fibre: str) -> dict[str, object]:
    """Facts about the instrument that a dataset keeps."""
    pixel_um = config.frame_pixel_um
    return {"instrument": config.name, "fibre": fibre, "pixel_um": pixel_um, "config": config.model_dump(mode="json")}


def calibration_files(config: InstrumentConfig) -> tuple[Path, ...]:
    """Files of the instrument whose age matters before a long run."""
    return tuple(Path(file) for file in (config.panel.lut_file, config.panel.correction_file) if file)


class DatasetRun:
    """Acquires one dataset.

    Parameters
    ----------
    rig : Rig
        Devices; the run's thread owns them until it ends.
    plan : CapturePlan
        What to capture.
    open_writer : callable
        Opens the archive, in the run's thread.
    after : Stage, optional
        Waited for first: whoever used the devices before.
    on_pair : callable
        Called with every shot and its frame.
    on_message : callable
        Called with words for the operator.
    calibration : tuple of Path
        Files that the instrument relies on; their age is noted.
    """

    def __init__(
        self,
        rig: Rig,
        plan: CapturePlan,
        open_writer: Callable[[], ArchiveWriter],
        after: Stage | None = None,
        on_pair: Callable[[Shot, Frame], None] = lambda shot, frame: None,
        on_message: Callable[[Message], None] = lambda message: None,
        calibration: tuple[Path, ...] = (),
    ) -> None:
        plan.patterns(rig.display().capabilities.shape)  # refuses an unknown source before anything starts
        self._rig = rig
        self._plan = plan
        self._open_writer = open_writer
        self._on_pair = on_pair
        self._on_message = on_message
        self._pause = threading.Event()
        #: Files that the instrument relies on; their age is noted before a run.
        self._calibration = calibration
        self.certificate: Certificate | None = None
        self._status = AcquisitionStatus(state=AcquisitionState.PREPARING, pairs_requested=len(plan))
        self.report: AcquisitionReport | None = None
        self.stage = Stage("acquisition", self._work, after=after)

    @classmethod
    def new(
        cls,
        rig: Rig,
        plan: CapturePlan,
        root: Path,
        name: str,
        metadata: Mapping[str, object],
        after: Stage | None = None,
        on_pair: Callable[[Shot, Frame], None] = lambda shot, frame: None,
        on_message: Callable[[Message], None] = lambda message: None,
        calibration: tuple[Path, ...] = (),
    ) -> DatasetRun:
        """Prepare a new dataset under ``root``."""
        return cls(rig, plan, lambda: open_dataset(root, name, plan, rig, metadata), after, on_pair, on_message, calibration)

    @classmethod
    def resumed(cls, rig: Rig, path: Path, fibre: str) -> DatasetRun:
        """Prepare to go on with an interrupted dataset.

        Raises
        ------
        SpeckleScopeError
            No dataset there, an edited plan, or another fibre than the one it was begun with.
        """
        archive = Archive.open(path)
        plan = plan_of(archive)
        begun_with = archive.metadata.get("fibre", "")
        if begun_with != fibre:
            raise SpeckleScopeError(
                f"{path} was begun with fibre '{begun_with}', the instrument has '{fibre}'; "
                "use the configuration it was begun with"
            )
        return cls(rig, plan, lambda: ArchiveWriter.resume(path, expected=len(plan) - len(archive)))

    @property
    def plan(self) -> CapturePlan:
        """What is captured."""
        return self._plan

    def status(self) -> AcquisitionStatus:
        """Return the dataset's state."""
        status = self._status
        paused = self._pause.is_set() and status.state is AcquisitionState.CAPTURING
        return replace(status, state=AcquisitionState.PAUSED) if paused else status

    def pause(self, paused: bool) -> None:
        """Let the run rest after the pair in hand, or go on; while it rests everything is acknowledged."""
        if paused:
            self._pause.set()
        else:
            self._pause.clear()

    def _work(self, stop: threading.Event) -> None:
        verdict = "failed"
        reason = FinishReason.FAILED
        try:
            found = preflight(self._rig, self._plan, self._calibration)
            with self._open_writer() as writer:
                writer.event(EventKind.PREFLIGHT, "; ".join(found))
                control = RunControl(stop=stop, pause=self._pause)
                callbacks = RunCallbacks(on_progress=self._on_progress, on_pair=self._on_pair)
                self.report = acquire(self._rig, self._plan, writer, control, callbacks)
            done = self.report
            reason = done.finish_reason
            verdict = "complete" if done.complete else f"stopped at {done.acknowledged} of {done.requested}"
            if done.complete:
                self._certify(done.path)
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

    def _certify(self, path: Path) -> None:
        """Prove the pairs from what is on the disk, and write the report."""
        self._status = replace(
            self._status,
            state=AcquisitionState.VERIFYING,
            seconds_left=None,
            verdict="checking every pair\N{HORIZONTAL ELLIPSIS}",
        )
        try:
            self.certificate = certificate = finish_dataset(path)
        except SpeckleScopeError as error:
            self._on_message(
                Message(MessageLevel.WARNING, f"the dataset is complete, but its report could not be written: {error}")
            )
            return
        if certificate.verified:
            self._on_message(Message(MessageLevel.INFO, f"{certificate.pairs} pairs verified; report: {path / REPORT}"))
        else:
            self._on_message(Message(MessageLevel.ERROR, f"the pairs are not verified; read {path / REPORT} before using them"))

    def _on_progress(self, progress: AcquisitionProgress) -> None:
        self._status = AcquisitionStatus(
            state=AcquisitionState.CAPTURING,
            path=progress.path,
            pairs_requested=progress.requested,
            pairs_acknowledged=progress.acknowledged,
            retaken=progress.retaken,
            pairs_per_s=progress.pairs_per_s,
            seconds_left=progress.seconds_left,
            drift=progress.drift,
            free_bytes=progress.free_bytes,
        )
