"""Times one flash from what comes in: the command to the SLM, frames, reconstructions and paints, in their order."""

from __future__ import annotations

from dataclasses import dataclass

from app.live.loop_back.flash_axis import FlashAxis, Values
from app.live.loop_back.results import Flash, Moment
from app.live.slm.shown import ShownPattern
from app.status import LiveView
from drivers.base import Pattern


@dataclass(frozen=True, eq=False)
class ArrivedFrame:
    """A frame of the camera.

    Parameters
    ----------
    values : ndarray of float32, shape (h, w)
        Some of its pixels, in counts.
    index : int
        Its number.
    exposed_ns, at_ns : int
        The end of its exposure, and when it came, on the monotonic clock in ns.
    pattern_id : str or None
        The pattern that it shows, where known.
    """

    values: Values
    index: int
    exposed_ns: int
    at_ns: int
    pattern_id: str | None = None


@dataclass(frozen=True, eq=False)
class ArrivedView:
    """A reconstruction, and when it came, on the monotonic clock in ns."""

    view: LiveView
    at_ns: int


@dataclass(frozen=True)
class PaintedView:
    """The number of a frame whose reconstruction is on the screen, and since when, on the monotonic clock in ns."""

    index: int
    at_ns: int


Event = ShownPattern | ArrivedFrame | ArrivedView | PaintedView


@dataclass(frozen=True, kw_only=True, eq=False)
class FlashAxes:
    """How a flash is told from the still pattern, in the speckle and in the reconstruction."""

    speckle: FlashAxis
    phase: FlashAxis

    def frame_shows_flash(self, frame: ArrivedFrame) -> bool:
        """Whether the speckle of a frame shows the flash."""
        return self.speckle.shows_flash(frame.values)

    def view_shows_flash(self, view: LiveView) -> bool:
        """Whether a reconstruction shows the flash."""
        return view.reconstruction is not None and self.phase.shows_flash(view.reconstruction.phase_rad)


class FlashTiming:
    """One flash.

    Parameters
    ----------
    pattern : Pattern
        The pattern that flashes.
    axes : FlashAxes
        How it is seen.
    """

    def __init__(self, pattern: Pattern, axes: FlashAxes) -> None:
        self._pattern = pattern
        self._axes = axes
        self._commanded_ns: int | None = None
        self._frame_index: int | None = None
        self._lit: set[int] = set()
        self._after_s: dict[Moment, float] = {}
        #: Whether a frame that was exposed before the command shows the flash: something else has changed.
        self.spoiled = False

    @property
    def timed(self) -> bool:
        """Whether frame and reconstruction have come."""
        return Moment.FRAME in self._after_s and Moment.RECONSTRUCTION in self._after_s and not self.spoiled

    @property
    def painted(self) -> bool:
        """Whether the reconstruction is on the screen."""
        return Moment.PAINT in self._after_s

    def result(self) -> Flash | None:
        """Return what was seen; None when the SLM was not commanded to flash."""
        if self._commanded_ns is None:
            return None
        if not self.timed:
            return Flash(commanded_ns=self._commanded_ns, frame_index=None, after_s={})
        return Flash(commanded_ns=self._commanded_ns, frame_index=self._frame_index, after_s=dict(self._after_s))

    def see(self, event: Event) -> None:
        """Take the next event; what comes before the command does not count."""
        if isinstance(event, ShownPattern):
            if event.pattern is self._pattern and self._commanded_ns is None:
                self._commanded_ns = event.commanded_ns
        elif self._commanded_ns is None:
            return
        elif isinstance(event, ArrivedFrame):
            self._see_frame(event, self._commanded_ns)
        elif isinstance(event, ArrivedView):
            # A frame comes before its view. One that was lit in part may show the flash only in its reconstruction; both
            # moments have to be those of the same light.
            is_lit = self._frame_index is not None and event.view.frame.index >= self._frame_index
            if is_lit and self._axes.view_shows_flash(event.view):
                self._lit.add(event.view.frame.index)
                self._after_s.setdefault(Moment.RECONSTRUCTION, (event.at_ns - self._commanded_ns) * 1e-9)
        elif event.index in self._lit:
            self._after_s.setdefault(Moment.PAINT, (event.at_ns - self._commanded_ns) * 1e-9)

    def _see_frame(self, frame: ArrivedFrame, commanded_ns: int) -> None:
        if self._frame_index is not None or not self._axes.frame_shows_flash(frame):
            return
        self.spoiled = frame.exposed_ns <= commanded_ns
        self._frame_index = frame.index
        self._after_s[Moment.EXPOSURE] = (frame.exposed_ns - commanded_ns) * 1e-9
        self._after_s[Moment.FRAME] = (frame.at_ns - commanded_ns) * 1e-9
