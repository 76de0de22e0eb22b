"""What an acquisition reports while it runs and at its end, and how other threads control it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from acquisition.archive.kinds import FinishReason
from acquisition.capture.plan import Shot
from acquisition.capture.states import AcquisitionState
from drivers.base import Frame


@dataclass(frozen=True, kw_only=True)
class AcquisitionProgress:
    """How far an acquisition is.

    Parameters
    ----------
    state : AcquisitionState
        What it is doing.
    path : Path
        The dataset's folder.
    requested, acknowledged, captured : int
        Pairs that the plan asks for, that are safe on disk, and that are captured.
    retaken : int
        Captures that were repeated after a fault.
    pairs_per_s : float
        Present rate.
    drift : tuple of (int, float)
        Shot number, and correlation with the first reference, of every reference shot so far.
    free_bytes : int
        Free space on the dataset's disk.
    faults : mapping of str to int
        Number of faults of every kind so far.
    """

    state: AcquisitionState
    path: Path
    requested: int
    acknowledged: int
    captured: int
    retaken: int
    pairs_per_s: float
    drift: tuple[tuple[int, float], ...] = ()
    free_bytes: int = 0
    faults: Mapping[str, int] = field(default_factory=dict)

    @property
    def seconds_left(self) -> float | None:
        """Time left at the present rate, in seconds; None while there is no rate."""
        return (self.requested - self.captured) / self.pairs_per_s if self.pairs_per_s > 0 else None


@dataclass(frozen=True, kw_only=True)
class AcquisitionReport:
    """What an acquisition did.

    Parameters
    ----------
    finish_reason : FinishReason
        Completed, or stopped by the operator; a failed run raises an error and has no report.
    path : Path
        The dataset's folder.
    requested, acknowledged : int
        Pairs that the plan asks for, and that are safe on disk.
    retaken, quarantined : int
        Captures that were repeated after a fault, and pairs that were withdrawn and captured again.
    faults : mapping of str to int
        Number of faults of every kind.
    lowest_reference_correlation : float
        Smallest correlation of a reference shot with the first one.
    sync_checks : int
        Sync checks between pairs that passed.
    smallest_sync_margin : float
        The smallest margin of these; 1 without any.
    """

    finish_reason: FinishReason
    path: Path
    requested: int
    acknowledged: int
    retaken: int
    quarantined: int
    faults: Mapping[str, int]
    lowest_reference_correlation: float
    sync_checks: int = 0
    smallest_sync_margin: float = 1.0

    @property
    def complete(self) -> bool:
        """Whether all requested pairs are safe on disk."""
        return self.finish_reason is FinishReason.COMPLETED


@dataclass(frozen=True, kw_only=True)
class RunControl:
    """How another thread stops or pauses an acquisition.

    Parameters
    ----------
    stop : threading.Event
        Ends the run after the current pair; what was captured is stored.
    pause : threading.Event
        While it is set, nothing is captured, everything captured is on disk, and the camera is disarmed.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    pause: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, kw_only=True)
class RunCallbacks:
    """What an acquisition calls, in its own thread.

    Parameters
    ----------
    on_progress : callable
        Called with the progress after every pair, and at the beginning and the end of a pause.
    on_pair : callable
        Called with every shot and its frame.
    """

    on_progress: Callable[[AcquisitionProgress], None] = lambda progress: None
    on_pair: Callable[[Shot, Frame], None] = lambda shot, frame: None
