"""The frame of a time lapse: the first one after its time that inference has reconstructed.

Inference skips frames, and with one frame in twenty minutes it would often be the one that is recorded.
"""

from __future__ import annotations

import threading
from collections import deque

from app.status import LiveView
from drivers.base import Frame

#: Memory for frames that may be reconstructed, in bytes.
_MOST_BYTES = 64 * 2**20


class LapseSearch:
    """Finds the frame to record; frames come in the capture thread, views in the inference thread.

    Parameters
    ----------
    patience_s : float
        How long it looks for a frame with a reconstruction, by the times of the frames, in seconds; then it is the first frame.
    """

    def __init__(self, patience_s: float = 2.0) -> None:
        self._patience_ns = round(patience_s * 1e9)
        self._first: Frame | None = None
        self._later: deque[Frame] = deque()
        self._lock = threading.Lock()

    def put_frame(self, frame: Frame, *, is_due: bool) -> Frame | None:
        """Look at a frame; ``is_due`` begins a search. Return the first frame of a search that had no success."""
        with self._lock:
            given_up = None
            if self._first is not None and (is_due or frame.t_ns - self._first.t_ns > self._patience_ns):
                given_up = self._end()
            if is_due:
                self._first = frame
            elif self._first is not None:
                self._later.append(frame)
                while len(self._later) > max(1, _MOST_BYTES // frame.pixels.nbytes):
                    self._later.popleft()
            return given_up

    def put_view(self, view: LiveView) -> Frame | None:
        """Return the frame to record, if this is the reconstruction of one that is looked at."""
        with self._lock:
            if self._first is None or view.reconstruction is None:
                return None
            chosen = next((frame for frame in (self._first, *self._later) if frame.index == view.frame.index), None)
            if chosen is not None:
                self._end()
            return chosen

    def give_up(self) -> Frame | None:
        """End the search that goes on; return its first frame, None where there is none."""
        with self._lock:
            return self._end()

    def _end(self) -> Frame | None:
        first, self._first = self._first, None
        self._later.clear()
        return first
