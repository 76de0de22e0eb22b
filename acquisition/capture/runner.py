"""A whole acquisition: plan -> verified pairs -> archive, with sentinels, quarantine and resumption."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from acquisition.archive.background_writer import BackgroundWriter
from acquisition.archive.kinds import COMPLETE_VERDICT, ArchiveKind, EventKind, FinishReason
from acquisition.archive.old_names import with_present_names
from acquisition.archive.writer import Archive, ArchiveWriter, ArraySpec, PairRow, StorageError
from acquisition.capture.dark_frame import dark_frame, write_dark
from acquisition.capture.pair_capture import BadPairError, CaptureError, FrameLimits, PairCapture, Rig
from acquisition.capture.plan import CapturePlan, Shot, plan_from, plan_hash
from acquisition.capture.sync_check import SYNC, ReferenceCheck, speckle_of, sync_check_patterns, sync_margin, sync_template
from acquisition.streams.channel import RateMeter
from acquisition.streams.prefetch import Prefetcher
from drivers.base import Frame, Pattern

#: A sentinel that fails this often in a row after a quarantine means the fibre itself has moved.
MAX_QUARANTINES = 3
#: Patterns from this size on are stored compressed, in bytes.
_COMPRESS_FROM = 2 << 20
#: A sync check is made at every so many references.
_SCAN_EVERY = 4
#: Patterns that are drawn before they are shown.
_PREFETCH = 4


@dataclass(frozen=True)
class AcquisitionProgress:
    """How far an acquisition is; ``acknowledged`` pairs are safe on disk.

    ``drift`` holds (shot number, correlation with the first reference) of every sentinel so far; ``free_bytes`` is the disk's.
    """

    path: Path
    requested: int
    acknowledged: int
    captured: int
    retaken: int
    pairs_per_s: float
    drift: tuple[tuple[int, float], ...] = ()
    free_bytes: int = 0

    @property
    def seconds_left(self) -> float | None:
        """Time left at the present rate, in seconds."""
        return (self.requested - self.captured) / self.pairs_per_s if self.pairs_per_s > 0 else None


@dataclass(frozen=True)
class AcquisitionReport:
    """What an acquisition did. ``faults`` counts every fault by kind; ``complete`` when every requested pair is safe."""

    path: Path
    requested: int
    acknowledged: int
    retaken: int
    quarantined: int
    faults: Mapping[str, int]
    lowest_reference_correlation: float
    sync_checks: int = 0
    smallest_sync_margin: float = 1.0
    finish_reason: FinishReason = FinishReason.COMPLETED

    @property
    def complete(self) -> bool:
        """True when all requested pairs are acknowledged."""
        return self.acknowledged == self.requested


def open_dataset(
    root: Path, name: str, plan: CapturePlan, rig: Rig, metadata: Mapping[str, object], *, seal_after_s: float = 5.0
) -> ArchiveWriter:
    """Create the archive of a new acquisition, after checking the disk.

    Raises
    ------
    StorageError
        The folder cannot be written or has too little space.
    """
    bits = 8 if rig.camera.bit_depth <= 8 else 16
    rows, columns = rig.display().capabilities.shape
    arrays = [
        ArraySpec("speckle", rig.camera.capabilities.shape, f"uint{bits}", compress=bits > 8),
        # Reading compressed patterns is twenty times slower; whole panels of them would fill disks.
        ArraySpec("phase", (rows, columns), "float32", compress=rows * columns * 4 > _COMPRESS_FROM),
    ]
    facts = {"plan": plan.to_dict(), "plan_hash": plan.hash, "phase_range_rad": plan.phase_range_rad}
    facts |= {"bit_depth": rig.camera.bit_depth, **metadata}
    return ArchiveWriter.create(root, ArchiveKind.DATASET, name, arrays, facts, expected=len(plan), seal_after_s=seal_after_s)


def plan_of(archive: Archive) -> CapturePlan:
    """Read the plan of an existing dataset.

    Raises
    ------
    StorageError
        The metadata holds no valid plan.
    """
    stored = archive.metadata.get("plan")
    if not isinstance(stored, dict):
        raise StorageError(f"{archive.path} has no capture plan in its metadata; it cannot be resumed")
    if plan_hash(stored) != archive.metadata.get("plan_hash"):
        raise StorageError(f"the plan in {archive.path}/metadata.yaml was edited; restore it or start a new dataset")
    return plan_from(with_present_names(stored), f"{archive.path}/metadata.yaml")


def faults_of(archive: Archive) -> dict[str, int]:
    """Count the faults that a dataset's journal tells, by kind, over all its runs."""
    faults: dict[str, int] = {}
    for event in archive.events():
        kind = event.kind
        # A kind that this version does not know may be a fault: better one too many in a report than one too few.
        if not isinstance(kind, EventKind) or kind.is_fault:
            faults[str(kind)] = faults.get(str(kind), 0) + 1
    return faults


def acquire(
    rig: Rig,
    plan: CapturePlan,
    writer: ArchiveWriter,
    stop: threading.Event,
    on_progress: Callable[[AcquisitionProgress], None] = lambda progress: None,
    on_pair: Callable[[Shot, Frame], None] = lambda shot, frame: None,
    pause: threading.Event | None = None,
) -> AcquisitionReport:
    """Capture every shot of ``plan`` that ``writer`` does not hold yet.

    Patterns are drawn ahead and pairs stored behind, each in a thread of its own, so that the SLM waits for neither.

    Parameters
    ----------
    rig : Rig
        Devices, owned by the calling thread.
    plan : CapturePlan
        What to capture.
    writer : ArchiveWriter
        New or resumed; stays open.
    stop : threading.Event
        Ends the run after the pair in hand; what was captured is sealed.
    on_progress, on_pair : callable
        Called after every pair.
    pause : threading.Event, optional
        While it is set, nothing is captured, what was is acknowledged, and the devices rest.

    Raises
    ------
    CaptureError
        A pair kept failing, or sentinels kept failing: what is acknowledged stays.
    StorageError
        The disk failed.
    """
    shape = rig.display().capabilities.shape
    make = plan.maker(shape)
    with BackgroundWriter(writer) as behind:
        run = _Acquisition(rig, plan, behind, writer)
        try:
            run.begin(stop)
            while behind.next_index < len(plan) and not stop.is_set():
                with Prefetcher(make, range(behind.next_index, len(plan)), _PREFETCH) as shots:
                    for shot in shots:
                        run.rest(pause, stop)
                        run.scan(shot)
                        frame = run.capture_shot(shot)
                        if frame is None:
                            break  # withdrawn: the plan goes on from the last good sentinel
                        on_pair(shot, frame)
                        on_progress(run.progress())
                        if stop.is_set():
                            break
            behind.flush()
            on_progress(run.progress())
        finally:
            run.capture.release()
    report = run.report()
    if report.finish_reason is FinishReason.COMPLETED:
        writer.conclude(report.finish_reason, COMPLETE_VERDICT)
    else:
        writer.conclude(report.finish_reason, f"stopped by the operator at pair {report.acknowledged}")
    return report


class _Acquisition:
    def __init__(self, rig: Rig, plan: CapturePlan, behind: BackgroundWriter, writer: ArchiveWriter) -> None:
        self._rig = rig
        self._plan = plan
        self._behind = behind
        self._path = writer.path
        self._faults: dict[str, int] = {}
        limits = FrameLimits(plan.max_saturated, plan.min_mean_fraction)
        self.capture = PairCapture(rig, limits, self._note_fault)
        self._rate = RateMeter(window_s=10.0)
        self._sync_pattern: Pattern | None = None
        self._reference_check = ReferenceCheck(plan.min_reference_correlation)
        # The last shots by which all pairs before are trusted: by the fibre's place, and by a sync check.
        self._held = self._verified = self._failed_at = 0
        self._quarantined = self._quarantines = 0
        self._margins: list[float] = []
        self._free_bytes, self._looked_s = 0, -1.0
        if writer.next_index:
            self._resume_reference()

    def begin(self, stop: threading.Event) -> None:
        """Take dark frames and verify by sync patterns which frame belongs to which pattern."""
        if self._behind.next_index:
            self._behind.event(EventKind.RESUME, f"went on at pair {self._behind.next_index}")
        if self._plan.dark_frames and self._behind.next_index == 0:
            mean = dark_frame(self.capture, self._rig, self._plan.dark_frames)
            write_dark(self._path, mean)
            self._behind.event(EventKind.DARK, f"{self._plan.dark_frames} dark frames, mean {mean.mean():.2f} counts")
        self._rig.camera.set_exposure(self._plan.exposure_s)
        if self._plan.preamble and not stop.is_set():
            patterns = sync_check_patterns(self._rig.display().capabilities.shape)
            speckles = [speckle_of(self.capture.capture(patterns[kind])) for kind in SYNC]
            margin = sync_margin(speckles)
            if margin <= 0:
                raise CaptureError(
                    f"frames do not follow their patterns (sync margin {margin:.3f}): check the SLM's light, its latency and "
                    "the trigger, or set 'preamble: false' for a camera that does not see the SLM"
                )
            self._sync_pattern, self._reference_check.sync = patterns[1], sync_template(speckles)
            self._behind.event(EventKind.SYNC, f"sync check passed, margin {margin:.3f} on {len(SYNC)} sync patterns")

    def scan(self, shot: Shot) -> None:
        """Show the sync pattern before every fourth reference and the last: the sync check around it needs no pair."""
        due = shot.is_reference and shot.number and not shot.number % (_SCAN_EVERY * (self._plan.reference_every + 1))
        if self._sync_pattern is not None and (due or shot.number == len(self._plan) - 1):
            self._reference_check.begin_scan(speckle_of(self.capture.capture(self._sync_pattern)))

    def rest(self, pause: threading.Event | None, stop: threading.Event) -> None:
        """Wait while the run is paused, with everything acknowledged and the camera disarmed."""
        if pause is None or not pause.is_set():
            return
        self._behind.flush()
        self.capture.release()
        while pause.is_set() and not stop.wait(0.1):
            pass

    def capture_shot(self, shot: Shot) -> Frame | None:
        """Capture and store one shot; None when pairs were withdrawn: a sentinel failed, or the display was away."""
        lost_before = self.capture.displays_lost
        frame = self.capture.capture(shot.pattern, self._check_frame(shot))
        if self.capture.displays_lost > lost_before:
            self._withdraw(self._held, "the SLM's display was lost")
            return None
        speckle = speckle_of(frame)
        correlation = self._reference_check.correlation(speckle)
        if shot.is_reference and not self._reference_check.holds(shot.number, speckle):
            least = self._plan.min_reference_correlation
            text = f"sentinel correlates {correlation:.2f} with the first reference, below {least:.2f}"
            # Right after a sync pattern it may be that one's frame which came here: then nothing since the last scan is sure.
            self._fail_reference_check(shot, self._verified if self._reference_check.scanning else self._held, text)
            return None
        margin = self._reference_check.add(speckle, last=shot.number == len(self._plan) - 1)
        if margin is not None and margin <= 0:
            self._fail_reference_check(
                shot, self._verified, f"sync check: another frame is {-margin:.3f} more like the sync pattern than its own"
            )
            return None
        row = PairRow.of_frame(frame, pattern_name=shot.pattern.name, shot=shot.number, correlation=correlation)
        self._behind.append({"speckle": frame.pixels, "phase": shot.pattern.phase_rad}, row)
        if margin is not None:
            self._margins.append(margin)
            self._behind.event(EventKind.SCAN, f"sync check passed, margin {margin:.3f} up to pair {shot.number}")
            self._verified = shot.number
        if shot.is_reference:
            self._held = shot.number
            # Only beyond the last failure is the trouble over: before it, the same way is gone again.
            self._quarantines = 0 if shot.number > self._failed_at else self._quarantines
        self._rate.tick()
        return frame

    def progress(self) -> AcquisitionProgress:
        if (now_s := time.monotonic()) > self._looked_s + 1:
            self._looked_s, self._free_bytes = now_s, shutil.disk_usage(self._path).free
        return AcquisitionProgress(
            self._path,
            len(self._plan),
            self._behind.acknowledged,
            self._behind.next_index,
            self.capture.retaken,
            self._rate.per_second(),
            tuple(self._reference_check.drift),
            self._free_bytes,
        )

    def report(self) -> AcquisitionReport:
        return AcquisitionReport(
            self._path,
            len(self._plan),
            self._behind.acknowledged,
            self.capture.retaken,
            self._quarantined,
            dict(self._faults),
            self._reference_check.lowest,
            len(self._margins),
            min(self._margins, default=1.0),
            FinishReason.COMPLETED if self._behind.acknowledged == len(self._plan) else FinishReason.STOPPED,
        )

    def _check_frame(self, shot: Shot) -> Callable[[Frame], None]:
        least = self._plan.min_frame_correlation

        def check(frame: Frame) -> None:
            correlation = self._reference_check.correlation(speckle_of(frame))
            if not shot.is_reference and correlation < least:
                raise BadPairError(
                    f"the frame correlates {correlation:.2f} with the first reference, below {least:.2f}: "
                    "the fibre moved, or something is in the light"
                )

        return check

    def _note_fault(self, kind: str, text: str) -> None:
        self._faults[kind] = self._faults.get(kind, 0) + 1
        self._behind.event(kind, text)

    def _fail_reference_check(self, shot: Shot, good: int, text: str) -> None:
        self._failed_at = max(self._failed_at, shot.number)
        self._note_fault(BadPairError.__name__, text)
        self._withdraw(good, "sentinel failed")
        self._quarantines += 1
        if self._quarantines > MAX_QUARANTINES:
            raise CaptureError(
                f"sentinels keep failing after pair {good}: the fibre moved; put it back and resume, or start a new dataset"
            )

    def _withdraw(self, good: int, why: str) -> None:
        # First of all, and also when the run ends here: what an operator finds on disk is trusted.
        self._quarantined += self._behind.quarantine(good + 1, why)
        self._held, self._verified = min(self._held, good), min(self._verified, good)
        self._reference_check.forget()
        self.capture.release()

    def _resume_reference(self) -> None:
        archive = Archive.open(self._path)
        depth = archive.metadata.get("bit_depth", 8)
        for row in archive.rows():
            if self._plan.is_reference(row.index):
                pixels = archive.read("speckle", row.index)
                frame = Frame(pixels, row.frame_index, row.t_ns, row.exposure_s, depth if isinstance(depth, int) else 8)
                self._reference_check.holds(row.index, speckle_of(frame))
                self._held = self._verified = row.index
