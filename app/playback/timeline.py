"""When the frames of a recording were exposed: its times, its gaps and its markers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.recording_faults import Marker
from acquisition.archive.rows import StoredRow

#: So many times the usual time between two frames is a gap: one frame is missing from 2 on.
_GAP_PERIODS = 1.75
#: Time between frames in seconds where the recorded times say nothing.
_UNKNOWN_PERIOD_S = 1 / 30


@dataclass(frozen=True)
class Gap:
    """A time without frames.

    Parameters
    ----------
    start_s, end_s : float
        When the frames before and after it were exposed, in seconds after the first frame.
    """

    start_s: float
    end_s: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end_s - self.start_s


@dataclass(frozen=True)
class PlacedMarker:
    """A marker of the operator, at its frame.

    Parameters
    ----------
    position : int
        Number of the frame, from 0.
    text : str
        What the operator wrote.
    """

    position: int
    text: str


class Timeline:
    """The times of a recording's frames, which are numbered from 0.

    Parameters
    ----------
    times_ns : ndarray of int64, shape (N,)
        End of exposure of every frame on one clock, in nanoseconds. Where they fall, for instance because the computer was
        started again, nothing is known of the times, and the frames are placed evenly.
    markers : sequence of PlacedMarker
        The markers, in order.

    Attributes
    ----------
    times_s : ndarray of float64, shape (N,)
        Seconds after the first frame.
    are_true : bool
        Whether these are the recorded times.
    period_s : float
        The usual time between two frames.
    gaps : tuple of Gap
        Times without frames, in order.
    """

    def __init__(self, times_ns: NDArray[np.int64], markers: Sequence[PlacedMarker] = ()) -> None:
        self.markers = tuple(markers)
        steps_ns = np.diff(times_ns)
        self.are_true = not (steps_ns < 0).any() and (len(steps_ns) == 0 or bool(steps_ns.any()))
        self.times_s: NDArray[np.float64]
        if self.are_true:
            self.times_s = np.asarray((times_ns - times_ns[:1]) * 1e-9, np.float64)
            self.period_s = float(np.median(steps_ns)) * 1e-9 if len(steps_ns) else _UNKNOWN_PERIOD_S
        else:
            self.times_s = np.arange(len(times_ns), dtype=np.float64) * np.float64(_UNKNOWN_PERIOD_S)
            self.period_s = _UNKNOWN_PERIOD_S
        steps_s = np.diff(self.times_s)
        before = np.flatnonzero(steps_s > _GAP_PERIODS * self.period_s) if self.period_s > 0 else np.zeros(0, np.int64)
        self._gap_after = set(before.tolist())
        self.gaps = tuple(Gap(float(self.times_s[k]), float(self.times_s[k + 1])) for k in before)

    @classmethod
    def of(cls, rows: Sequence[StoredRow], markers: Sequence[Marker] = ()) -> Timeline:
        """Return the times of the rows of an archive; markers name frames by the camera's number."""
        frame_indices = np.array([row.frame_index for row in rows], np.int64)
        placed = [
            PlacedMarker(int(np.argmin(np.abs(frame_indices - one.frame_index))), one.text) for one in markers if len(rows)
        ]
        placed.sort(key=lambda one: one.position)
        return cls(np.array([row.t_ns for row in rows], np.int64), placed)

    def __len__(self) -> int:
        return len(self.times_s)

    @property
    def duration_s(self) -> float:
        """Time from the first to the last frame, in seconds."""
        return float(self.times_s[-1]) if len(self) else 0.0

    def position_at(self, time_s: float) -> int:
        """Return the frame that was the newest one at a time; the first one before that."""
        return max(0, int(np.searchsorted(self.times_s, time_s, side="right")) - 1)

    def nearest(self, time_s: float) -> int:
        """Return the frame that was exposed nearest to a time."""
        before = self.position_at(time_s)
        after = min(before + 1, len(self) - 1)
        return after if abs(self.time_of(after) - time_s) < abs(self.time_of(before) - time_s) else before

    def time_of(self, position: int) -> float:
        """Return when a frame was exposed, in seconds after the first one; 0 where there are no frames."""
        return float(self.times_s[min(max(0, position), len(self) - 1)]) if len(self) else 0.0

    def gap_after(self, position: int) -> Gap | None:
        """Return the gap that follows a frame; None where there is none."""
        return Gap(self.time_of(position), self.time_of(position + 1)) if position in self._gap_after else None

    def next_marker(self, position: int) -> PlacedMarker | None:
        """Return the first marker after a frame; None where there is none."""
        return next((one for one in self.markers if one.position > position), None)

    def previous_marker(self, position: int) -> PlacedMarker | None:
        """Return the last marker before a frame; None where there is none."""
        return next((one for one in reversed(self.markers) if one.position < position), None)
