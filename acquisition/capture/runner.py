"""A whole acquisition: every shot of a plan becomes a verified pair in an archive, and pairs that lose trust are withdrawn."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum, auto

from acquisition.archive.background_writer import BackgroundWriter
from acquisition.archive.folder import free_bytes
from acquisition.archive.kinds import EventKind, FinishReason
from acquisition.archive.writer import Archive, ArchiveWriter, PairRow
from acquisition.capture.dark_frame import dark_frame, write_dark
from acquisition.capture.pair_capture import BadPairError, CaptureError, FrameLimits, PairCapture, Rig
from acquisition.capture.plan import CapturePlan, Shot
from acquisition.capture.progress import AcquisitionProgress, AcquisitionReport, RunCallbacks, RunControl
from acquisition.capture.states import AcquisitionState
from acquisition.capture.sync_check import SYNC, ReferenceCheck, speckle_of, sync_check_patterns, sync_margin, sync_template
from acquisition.capture.trusted_shots import TrustedShots
from acquisition.streams.channel import RateMeter
from acquisition.streams.prefetch import Prefetcher
from drivers.base import Frame, Pattern

#: When checks fail more often than this in a row, after the pairs were withdrawn, the fibre itself has moved.
MAX_QUARANTINES = 3
#: A sync check is made at one reference out of this many.
_SYNC_CHECK_EVERY = 4
#: Patterns that are drawn before they are shown.
_PREFETCH = 4
_DISK_INTERVAL_S = 1.0


def acquire(
    rig: Rig,
    plan: CapturePlan,
    writer: ArchiveWriter,
    control: RunControl | None = None,
    callbacks: RunCallbacks | None = None,
) -> AcquisitionReport:
    """Capture every shot of ``plan`` that ``writer`` does not hold yet.

    Patterns are drawn ahead and pairs are stored behind, each in its own thread, so that the SLM waits for neither.

    Parameters
    ----------
    rig : Rig
        Devices, owned by the calling thread.
    plan : CapturePlan
        What to capture.
    writer : ArchiveWriter
        New or resumed; stays open.
    control : RunControl, optional
        Stops and pauses the run; by default nothing does.
    callbacks : RunCallbacks, optional
        Called during the run.

    Raises
    ------
    CaptureError
        A pair kept failing, or the reference checks kept failing. What is acknowledged stays on disk.
    StorageError
        The disk failed, or something that was acknowledged is not on the disk any more.
    """
    with BackgroundWriter(writer) as store:
        run = _Acquisition(rig, plan, store, control or RunControl(), callbacks or RunCallbacks())
        try:
            run.prepare()
            run.capture_all()
        finally:
            run.finish()
    report = run.report()
    if report.finish_reason is FinishReason.COMPLETED:
        writer.complete()
    else:
        writer.conclude(report.finish_reason, f"stopped by the operator at pair {report.acknowledged}")
    return report


class _Outcome(Enum):
    """What became of one shot."""

    #: The pair is handed to the background writer.
    STORED = auto()
    #: A check failed, or the display was lost: pairs were withdrawn, and the plan goes on after the last trusted shot.
    WITHDRAWN = auto()


class _Faults:
    """Counts the faults of a run, and stores each. On its own, so that the run and its capture do not refer to each other."""

    def __init__(self, store: BackgroundWriter) -> None:
        self.counts: dict[str, int] = {}
        self._store = store

    def note(self, kind: EventKind, text: str) -> None:
        """Count one fault."""
        self.counts[kind.value] = self.counts.get(kind.value, 0) + 1
        self._store.event(kind, text)


class _Acquisition:
    """One run from its preparation to its end.

    ::

        PREPARING --prepare()--> CAPTURING <--pause--> PAUSED
                                  |   |  ^
                        STORED <--+   +--+ WITHDRAWN: go on after the last trusted shot
                           |
                           +--> the next shot; after the last one, or at a stop: FINISHED

    A shot is WITHDRAWN when the display was lost, when a reference check failed, or when a sync check failed.
    :class:`TrustedShots` knows where to go on. A device error or a disk error leads from any state to FINISHED.
    """

    def __init__(
        self, rig: Rig, plan: CapturePlan, store: BackgroundWriter, control: RunControl, callbacks: RunCallbacks
    ) -> None:
        self._rig = rig
        self._plan = plan
        self._store = store
        self._control = control
        self._callbacks = callbacks
        self._state = AcquisitionState.PREPARING
        limits = FrameLimits(plan.max_saturated, plan.min_mean_fraction)
        self._faults = _Faults(store)
        self._capture = PairCapture(rig, limits, self._faults.note)
        self._check_pattern: Pattern | None = None
        self._checks = ReferenceCheck(plan.min_reference_correlation)
        self._trusted = TrustedShots(self._check_stored_references() if store.next_index else 0)
        self._quarantined = 0
        self._margins: list[float] = []
        self._rate = RateMeter(window_s=10.0)
        self._free_bytes = 0
        self._disk_asked_s = -_DISK_INTERVAL_S

    def prepare(self) -> None:
        """Capture dark frames, set the exposure, and check with sync patterns which frame belongs to which pattern."""
        if self._store.next_index:
            self._store.event(EventKind.RESUME, f"went on at pair {self._store.next_index}")
        elif self._plan.dark_frames:
            mean = dark_frame(self._capture, self._rig, self._plan.dark_frames)
            write_dark(self._store.path, mean)
            self._store.event(EventKind.DARK, f"{self._plan.dark_frames} dark frames, mean {mean.mean():.2f} counts")
        self._rig.camera.set_exposure(self._plan.exposure_s)
        if self._plan.preamble and not self._control.stop.is_set():
            self._check_sync()

    def capture_all(self) -> None:
        """Capture what is missing, until the plan is complete or the run is stopped."""
        self._state = AcquisitionState.CAPTURING
        make = self._plan.maker(self._rig.display().capabilities.shape)
        while self._store.next_index < len(self._plan) and not self._control.stop.is_set():
            with Prefetcher(make, range(self._store.next_index, len(self._plan)), _PREFETCH) as shots:
                for shot in shots:
                    self._wait_while_paused()
                    self._begin_sync_check(shot)
                    if self._capture_shot(shot) is _Outcome.WITHDRAWN or self._control.stop.is_set():
                        break
        self._store.flush()
        self._callbacks.on_progress(self._progress())

    def finish(self) -> None:
        """Disarm the camera, whatever ended the run."""
        self._state = AcquisitionState.FINISHED
        self._capture.release()

    def report(self) -> AcquisitionReport:
        """Return what the run did."""
        complete = self._store.acknowledged == len(self._plan)
        return AcquisitionReport(
            finish_reason=FinishReason.COMPLETED if complete else FinishReason.STOPPED,
            path=self._store.path,
            requested=len(self._plan),
            acknowledged=self._store.acknowledged,
            retaken=self._capture.retaken,
            quarantined=self._quarantined,
            faults=dict(self._faults.counts),
            lowest_reference_correlation=self._checks.lowest,
            sync_checks=len(self._margins),
            smallest_sync_margin=min(self._margins, default=1.0),
        )

    def _progress(self) -> AcquisitionProgress:
        now_s = time.monotonic()
        if now_s > self._disk_asked_s + _DISK_INTERVAL_S:
            self._disk_asked_s = now_s
            self._free_bytes = free_bytes(self._store.path)
        return AcquisitionProgress(
            state=self._state,
            path=self._store.path,
            requested=len(self._plan),
            acknowledged=self._store.acknowledged,
            captured=self._store.next_index,
            retaken=self._capture.retaken,
            pairs_per_s=self._rate.per_second(),
            drift=tuple(self._checks.drift),
            free_bytes=self._free_bytes,
            faults=dict(self._faults.counts),
        )

    def _wait_while_paused(self) -> None:
        if not self._control.pause.is_set():
            return
        self._store.flush()
        self._capture.release()
        self._state = AcquisitionState.PAUSED
        self._callbacks.on_progress(self._progress())
        while self._control.pause.is_set() and not self._control.stop.wait(0.1):
            pass
        self._state = AcquisitionState.CAPTURING
        self._callbacks.on_progress(self._progress())

    def _check_sync(self) -> None:
        """Check with the sequence of sync patterns that frames follow their patterns."""
        patterns = sync_check_patterns(self._rig.display().capabilities.shape)
        speckles = [speckle_of(self._capture.capture(patterns[which]).pixels) for which in SYNC]
        margin = sync_margin(speckles)
        if margin <= 0:
            raise CaptureError(
                f"frames do not follow their patterns (sync margin {margin:.3f}): check the SLM's light, its latency and "
                "the trigger, or set 'preamble: false' for a camera that does not see the SLM"
            )
        self._check_pattern = patterns[1]
        self._checks.sync = sync_template(speckles)
        self._store.event(EventKind.PREAMBLE, f"sync check passed, margin {margin:.3f} on {len(SYNC)} sync patterns")

    def _begin_sync_check(self, shot: Shot) -> None:
        """Show the sync pattern before every fourth reference and before the last shot: this sync check needs no pair."""
        last = shot.number == len(self._plan) - 1
        period = _SYNC_CHECK_EVERY * (self._plan.reference_every + 1)
        due = shot.is_reference and shot.number > 0 and shot.number % period == 0
        if self._check_pattern is not None and (due or last):
            self._checks.begin_sync_check(speckle_of(self._capture.capture(self._check_pattern).pixels))

    def _capture_shot(self, shot: Shot) -> _Outcome:
        displays_lost = self._capture.displays_lost
        frame = self._capture.capture(shot.pattern, self._frame_check(shot))
        if self._capture.displays_lost > displays_lost:
            self._withdraw(self._trusted.by_reference, "the SLM's display was lost")
            return _Outcome.WITHDRAWN
        speckle = speckle_of(frame.pixels)
        correlation = self._checks.correlation(speckle)
        if shot.is_reference and not self._checks.holds(shot.number, speckle):
            self._fail_reference_check(shot, correlation)
            return _Outcome.WITHDRAWN
        margin = self._checks.add(speckle, last=shot.number == len(self._plan) - 1)
        if margin is not None and margin <= 0:
            self._fail_sync_check(shot, margin)
            return _Outcome.WITHDRAWN
        row = PairRow.of_frame(frame, pattern_name=shot.pattern.name, shot=shot.number, correlation=correlation)
        self._store.append({"speckle": frame.pixels, "phase": shot.pattern.phase_rad}, row)
        self._note_passed_checks(shot, margin)
        self._rate.tick()
        self._callbacks.on_pair(shot, frame)
        self._callbacks.on_progress(self._progress())
        return _Outcome.STORED

    def _frame_check(self, shot: Shot) -> Callable[[Frame], None]:
        least = self._plan.min_frame_correlation

        def check(frame: Frame) -> None:
            correlation = self._checks.correlation(speckle_of(frame.pixels))
            if not shot.is_reference and correlation < least:
                raise BadPairError(
                    f"the frame correlates {correlation:.2f} with the first reference, below {least:.2f}: "
                    "the fibre moved, or something is in the light"
                )

        return check

    def _note_passed_checks(self, shot: Shot, margin: float | None) -> None:
        if margin is not None:
            self._margins.append(margin)
            self._store.event(EventKind.SYNC_CHECK, f"sync check passed, margin {margin:.3f} up to pair {shot.number}")
            self._trusted.sync_check_passed(shot.number)
        if shot.is_reference:
            self._trusted.reference_passed(shot.number)

    def _fail_reference_check(self, shot: Shot, correlation: float) -> None:
        least = self._plan.min_reference_correlation
        # Right after a sync pattern this may be the sync pattern's own frame, which came late. Then nothing since the last
        # sync check is certain.
        trusted = self._trusted.by_sync_check if self._checks.sync_check_pending else self._trusted.by_reference
        detail = f"correlation {correlation:.2f} with the first reference, below {least:.2f}"
        self._fail_check(shot, trusted, "reference check failed", detail)

    def _fail_sync_check(self, shot: Shot, margin: float) -> None:
        detail = f"another frame is {-margin:.3f} more like the sync pattern than the matching frame"
        self._fail_check(shot, self._trusted.by_sync_check, "sync check failed", detail)

    def _fail_check(self, shot: Shot, trusted: int, result: str, detail: str) -> None:
        self._trusted.check_failed(shot.number)
        self._faults.note(EventKind.BAD_PAIR, f"{result}: {detail}")
        self._withdraw(trusted, result)
        if self._trusted.failures_in_a_row > MAX_QUARANTINES:
            raise CaptureError(
                f"reference checks keep failing after pair {trusted}: the fibre moved; put it back and resume, "
                "or start a new dataset"
            )

    def _withdraw(self, trusted: int, why: str) -> None:
        # First of all, also when the run ends here: what an operator finds on disk must be trusted.
        self._quarantined += self._store.quarantine(trusted + 1, why)
        self._trusted.withdraw_to(trusted)
        self._checks.forget()
        self._capture.release()

    def _check_stored_references(self) -> int:
        """Let the reference check see the references of earlier runs; return the number of the last one."""
        archive = Archive.open(self._store.path)
        numbers = [row.index for row in archive.rows() if self._plan.is_reference(row.index)]
        for number in numbers:
            self._checks.holds(number, speckle_of(archive.read("speckle", number)))
        return numbers[-1] if numbers else 0
