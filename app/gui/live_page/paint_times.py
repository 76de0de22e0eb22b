"""How long the window takes to draw pictures, and which reconstruction is on the screen."""

from __future__ import annotations

from acquisition.streams.times import TimeHistogram, TimeStats


class PaintTimes:
    """Counts only drawing that shows a new picture: a button that lights up is none."""

    def __init__(self) -> None:
        self._times = TimeHistogram()
        self._has_new_picture = False
        self._phase_index: int | None = None

    def picture_given(self) -> None:
        """Note that a pane draws a new picture next."""
        self._has_new_picture = True

    def phase_given(self, frame_index: int) -> None:
        """Note that a pane draws the phase of a frame next."""
        self._has_new_picture = True
        self._phase_index = frame_index

    def drawn(self, seconds: float) -> int | None:
        """Note that the window was drawn, in so many seconds; return the frame whose phase it shows, if that is new."""
        if self._has_new_picture:
            self._times.add(seconds)
        phase_index, self._phase_index = self._phase_index, None
        self._has_new_picture = False
        return phase_index

    def stats(self) -> TimeStats:
        """Return the percentiles."""
        return self._times.stats()
