"""Which frames of the camera are recorded."""

from __future__ import annotations

from app.live.recordings.options import RecordingOptions
from drivers.base import Frame


class FrameChoice:
    """Chooses every n-th frame, or the first frame of every interval. Intervals keep their grid: they do not add up delays."""

    def __init__(self, options: RecordingOptions) -> None:
        self._every_nth = options.every_nth
        self._interval_ns = None if options.every_s is None else max(1, round(options.every_s * 1e9))
        self._first_due_ns = round(options.first_due_s * 1e9)
        self._due_ns: int | None = None
        self._seen = 0

    def wants(self, frame: Frame) -> bool:
        """Whether to record this frame; asked once for every frame, in order."""
        if self._interval_ns is not None:
            return self._is_due(frame.t_ns, self._interval_ns)
        self._seen += 1
        return (self._seen - 1) % self._every_nth == 0

    def _is_due(self, t_ns: int, interval_ns: int) -> bool:
        if self._due_ns is None:
            self._due_ns = t_ns + self._first_due_ns
        if t_ns < self._due_ns:
            return False
        self._due_ns += ((t_ns - self._due_ns) // interval_ns + 1) * interval_ns
        return True
