"""A whole acquisition: plan -> verified pairs -> archive, with sentinels, quarantine and resumption."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acquisition.capture import BadPair, CaptureError, FrameLimits, PairCapture, Rig
from acquisition.plan import CapturePlan, Shot
from acquisition.store import Archive, ArchiveWriter, ArraySpec, PairRow, StorageError
from acquisition.stream import RateMeter
from drivers.base import Frame

#: A sentinel that fails this often in a row after a quarantine means the fibre itself has moved.
MAX_QUARANTINES = 3


@dataclass(frozen=True)
class AcquisitionProgress:
    """How far an acquisition is; ``acknowledged`` pairs are safe on disk."""

    path: Path
    requested: int
    acknowledged: int
    captured: int
    retaken: int
    pairs_per_s: float

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
    lowest_sentinel_correlation: float

    @property
    def complete(self) -> bool:
        """True when all requested pairs are acknowledged."""
        return self.acknowledged == self.requested


def open_dataset(root: Path, name: str, plan: CapturePlan, rig: Rig, card: Mapping[str, object]) -> ArchiveWriter:
    """Create the archive of a new acquisition, after checking the disk.

    Raises
    ------
    StorageError
        The folder cannot be written or has too little space.
    """
    bits = 8 if rig.camera.bit_depth <= 8 else 16
    arrays = [
        ArraySpec("speckle", rig.camera.capabilities.shape, f"uint{bits}", compress=bits > 8),
        ArraySpec("phase", rig.display().capabilities.shape, "float32", compress=True),
    ]
    facts = {"plan": plan.to_dict(), "plan_hash": plan.hash, "depth_rad": plan.depth_rad}
    facts |= {"bit_depth": rig.camera.bit_depth, **card}
    return ArchiveWriter.create(root, "dataset", name, arrays, facts, expected=len(plan))


def plan_of(archive: Archive) -> CapturePlan:
    """Read the plan of an existing dataset.

    Raises
    ------
    StorageError
        The card holds no valid plan.
    """
    stored = archive.card.get("plan")
    known = {field.name for field in fields(CapturePlan)}
    if not isinstance(stored, dict) or set(stored) != known:
        raise StorageError(f"{archive.path} has no capture plan in its card; it cannot be resumed")
    plan = CapturePlan(**stored)
    if plan.hash != archive.card.get("plan_hash"):
        raise StorageError(f"the plan in {archive.path}/card.yaml was edited; restore it or start a new dataset")
    return plan


def acquire(
    rig: Rig,
    plan: CapturePlan,
    writer: ArchiveWriter,
    stop: threading.Event,
    on_progress: Callable[[AcquisitionProgress], None] = lambda progress: None,
    on_pair: Callable[[Shot, Frame], None] = lambda shot, frame: None,
) -> AcquisitionReport:
    """Capture every shot of ``plan`` that ``writer`` does not hold yet.

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

    Raises
    ------
    CaptureError
        A pair kept failing, or sentinels kept failing: what is acknowledged stays.
    StorageError
        The disk failed.
    """
    run = _Acquisition(rig, plan, writer)
    rig.camera.set_exposure(plan.exposure_s)
    try:
        while writer.next_index < len(plan) and not stop.is_set():
            for shot in plan.shots(rig.display().capabilities.shape, writer.next_index):
                frame = run.take(shot)
                if frame is None:
                    break  # quarantined: the plan goes on from the last good sentinel
                on_pair(shot, frame)
                on_progress(run.progress())
                if stop.is_set():
                    break
        writer.flush()
        on_progress(run.progress())
    finally:
        run.capture.release()
    report = run.report()
    writer.set_status("verdict", "complete" if report.complete else f"stopped by the operator at pair {report.acknowledged}")
    return report


class _Acquisition:
    def __init__(self, rig: Rig, plan: CapturePlan, writer: ArchiveWriter) -> None:
        self._plan = plan
        self._writer = writer
        self._faults: dict[str, int] = {}
        limits = FrameLimits(plan.max_saturated, plan.min_mean_fraction)
        self.capture = PairCapture(rig, limits, self._note_fault)
        self._rate = RateMeter(window_s=10.0)
        self._reference: NDArray[np.float64] | None = None
        self._last_good = 0
        self._quarantined = self._quarantines = 0
        self._lowest = 1.0
        if writer.next_index:
            writer.flush()
            self._resume_reference()

    def take(self, shot: Shot) -> Frame | None:
        """Capture and store one shot; None when pairs were withdrawn: its sentinel failed, or the display was away."""
        lost_before = self.capture.displays_lost
        frame = self.capture.take(shot.pattern)
        if self.capture.displays_lost > lost_before:
            self._withdraw("the SLM's display was lost")
            return None
        if shot.is_reference and not self._sentinel_holds(frame):
            self._withdraw("sentinel failed")
            self._quarantines += 1
            if self._quarantines > MAX_QUARANTINES:
                raise CaptureError(
                    f"sentinels keep failing after pair {self._last_good}: the fibre moved; "
                    "put it back and resume, or start a new dataset"
                )
            return None
        row = PairRow.of_frame(frame, pattern_name=shot.pattern.name, shot=shot.number)
        self._writer.append({"speckle": frame.pixels, "phase": shot.pattern.phase_rad}, row)
        if shot.is_reference:
            self._last_good, self._quarantines = shot.number, 0
        self._rate.tick()
        return frame

    def progress(self) -> AcquisitionProgress:
        writer = self._writer
        return AcquisitionProgress(
            writer.path,
            len(self._plan),
            writer.acknowledged,
            writer.next_index,
            self.capture.retaken,
            self._rate.per_second(),
        )

    def report(self) -> AcquisitionReport:
        return AcquisitionReport(
            self._writer.path,
            len(self._plan),
            self._writer.acknowledged,
            self.capture.retaken,
            self._quarantined,
            dict(self._faults),
            self._lowest,
        )

    def _note_fault(self, kind: str, text: str) -> None:
        self._faults[kind] = self._faults.get(kind, 0) + 1
        self._writer.event(kind, text)

    def _sentinel_holds(self, frame: Frame) -> bool:
        pixels = frame.pixels.astype(np.float64).ravel()
        pixels = (pixels - pixels.mean()) / max(pixels.std() * np.sqrt(pixels.size), 1e-12)
        if self._reference is None:
            self._reference = pixels
            return True
        correlation = float(pixels @ self._reference)
        self._lowest = min(self._lowest, correlation)
        if correlation >= self._plan.min_sentinel_correlation:
            return True
        self._note_fault(
            BadPair.__name__,
            f"sentinel correlates {correlation:.2f} with the first reference, below {self._plan.min_sentinel_correlation:.2f}",
        )
        return False

    def _withdraw(self, why: str) -> None:
        # First of all, and also when the run ends here: what an operator finds on disk is trusted.
        self._writer.flush()
        self._quarantined += self._writer.quarantine(min(self._last_good + 1, self._writer.next_index), why)
        self.capture.release()

    def _resume_reference(self) -> None:
        archive = Archive.open(self._writer.path)
        for index in range(self._writer.next_index):
            if self._plan.is_reference(index):
                if self._reference is None:
                    pixels = archive.read("speckle", index).astype(np.float64).ravel()
                    self._reference = (pixels - pixels.mean()) / max(pixels.std() * np.sqrt(pixels.size), 1e-12)
                self._last_good = index
