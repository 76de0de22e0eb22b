"""The stage of a loop-back measurement: it lets the SLM flash, and times what comes back."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from acquisition.patterns.sources import blank
from acquisition.streams.channel import Channel, ChannelClosedError, Overflow, Stage
from app.live.loop_back.flash_axis import FlashError, Values, phase_axis, speckle_axis
from app.live.loop_back.flash_timing import ArrivedFrame, ArrivedView, Event, FlashAxes, FlashTiming, PaintedView
from app.live.loop_back.results import Flash, LoopBackState, LoopBackStatus
from app.live.publisher import Publisher
from app.live.slm.control import SlmControl
from app.live.slm.shown import ShownPattern
from app.status import LiveView, Message, MessageLevel, Topic
from drivers.base import Frame, FrameMark, Pattern
from drivers.clock import Clock
from reconstruction.base import Reconstruction
from reconstruction.field import to_grid

#: Pictures of each pattern that are learned from, after some that may still show the pattern before.
_LEARNED, _SKIPPED = 16, 2
#: The longest waits, in seconds: for the pictures to learn from, for a flash, for the still pattern again, and for the paint.
_LEARN_S, _FLASH_S, _STILL_S, _PAINT_S = 30.0, 2.0, 10.0, 0.5
#: Before a flash, a random time up to this one passes, so that flashes meet every phase of the SLM's refresh.
_PAUSE_S = 0.1
#: Pixels of a frame that are looked at, at most.
_SAMPLE_PX = 2**16
#: The flash is a disc of this radius, as a part of the pattern's half width, and of this part of the phase range.
_RADIUS, _HEIGHT = 0.5, 0.6
#: Events that may wait for the stage; how long it waits for one before it looks whether to stop.
_WAITING, _POLL_S = 256, 0.05


@dataclass(frozen=True, kw_only=True)
class LoopBackInputs:
    """Where a measurement looks.

    Parameters
    ----------
    shown : Publisher of ShownPattern
        What the SLM is commanded to show.
    pictures : Publisher of Frame
        Every frame of the camera.
    views : Publisher of LiveView
        Every reconstruction.
    """

    shown: Publisher[ShownPattern]
    pictures: Publisher[Frame]
    views: Publisher[LiveView]


class _StoppedError(Exception):
    """The measurement was asked to stop."""


class LoopBack:
    """Flashes a disc on a flat pattern, and looks for it in the speckle and in the reconstruction.

    First it shows both patterns for a while: from half of these pictures it learns what the flash does to the speckle, and with
    the others it tests that a flash can be told from the still pattern. A flash counts as found when a frame and
    its reconstruction, or that of a later frame, pass half of the way from still to flash, and the frame was exposed after the
    command. Nothing is guessed.

    Parameters
    ----------
    inputs : LoopBackInputs
        Where it looks.
    slm : SlmControl
        What the SLM shows.
    patterns : (Pattern, Pattern)
        The still pattern and the flash; see :func:`flash_patterns`.
    clock : Clock
        The clock of the devices.
    on_message : callable
        Called with the result.
    """

    def __init__(
        self,
        inputs: LoopBackInputs,
        slm: SlmControl,
        patterns: tuple[Pattern, Pattern],
        clock: Clock,
        on_message: Callable[[Message], None],
    ) -> None:
        self.stage = Stage("loop-back", self._work)
        self._inputs = inputs
        self._slm = slm
        self._still, self._flash = patterns
        self._clock = clock
        self._on_message = on_message
        self._events: Channel[Event] = Channel("loop-back", _WAITING, Overflow.DROP_OLDEST)
        self._status = LoopBackStatus()  # replaced as a whole
        self._random = np.random.default_rng(0)
        self._has_window = False

    def start(self, flashes: int) -> None:
        """Start to measure so many flashes."""
        self._status = LoopBackStatus(state=LoopBackState.LEARNING, requested=flashes)
        self.stage.start()

    def request_stop(self) -> None:
        """Ask the measurement to stop; what was found is kept."""
        self.stage.request_stop()

    def status(self) -> LoopBackStatus:
        """Return what was found so far."""
        return self._status

    def painted(self, frame_index: int) -> None:
        """Note that the reconstruction of a frame is on the screen now."""
        self._put(PaintedView(frame_index, self._clock.now_ns()))

    # -- what comes in, from other threads ------------------------------------------------------------------------

    def _put(self, event: Event) -> None:
        try:
            self._events.put(event)
        except ChannelClosedError:
            return

    def _frame_came(self, frame: Frame) -> None:
        at_ns = self._clock.now_ns()
        self._put(ArrivedFrame(_sample(frame.pixels), frame.index, frame.t_ns, at_ns, frame.pattern_id))

    def _view_came(self, view: LiveView) -> None:
        self._put(ArrivedView(view, self._clock.now_ns()))

    # -- the measurement ------------------------------------------------------------------------------------------

    def _work(self, stop: threading.Event) -> None:
        inputs, state, problem = self._inputs, LoopBackState.FINISHED, ""
        inputs.shown.subscribe(self._put)
        inputs.pictures.subscribe(self._frame_came)
        inputs.views.subscribe(self._view_came)
        try:
            self._measure(stop)
        except _StoppedError:
            state = LoopBackState.STOPPED
        except FlashError as error:
            state, problem = LoopBackState.REFUSED, str(error)
        finally:
            self._slm.override(None)
            inputs.shown.unsubscribe(self._put)
            inputs.pictures.unsubscribe(self._frame_came)
            inputs.views.unsubscribe(self._view_came)
            self._events.close()
        self._status = replace(self._status, state=state, problem=problem)
        if state is not LoopBackState.STOPPED or self._status.flashes:
            is_good = state is not LoopBackState.REFUSED and self._status.timed
            self._on_message(Message(MessageLevel.INFO if is_good else MessageLevel.WARNING, self._status.text, Topic.SLM))

    def _measure(self, stop: threading.Event) -> None:
        axes = self._learn(stop)
        self._status = replace(self._status, state=LoopBackState.FLASHING)
        for _ in range(self._status.requested):
            self._show_still(axes, stop)
            self._status = self._status.with_flash(self._flash_once(axes, stop))

    def _next(self, stop: threading.Event, deadline_s: float) -> Event | None:
        """Return the next event; None when none comes before the deadline, by :func:`time.monotonic`."""
        while not stop.is_set():
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return None
            try:
                event = self._events.get(min(left_s, _POLL_S))
            except TimeoutError:
                continue
            self._has_window |= isinstance(event, PaintedView)
            return event
        raise _StoppedError

    def _learn(self, stop: threading.Event) -> FlashAxes:
        """Learn what still pattern and flash look like."""
        still_frames, still = self._collect(self._still, stop)
        flash_frames, flash = self._collect(self._flash, stop)
        rows, columns = still[0].phase_rad.shape
        mask = still[0].mask if still[0].mask is not None else np.ones((rows, columns), np.bool_)
        change_rad = to_grid(self._flash.phase_rad, rows) - to_grid(self._still.phase_rad, rows)
        return FlashAxes(
            speckle=speckle_axis(still_frames, flash_frames),
            phase=phase_axis([one.phase_rad for one in still], [one.phase_rad for one in flash], change_rad, mask),
        )

    def _collect(self, pattern: Pattern, stop: threading.Event) -> tuple[list[Values], list[Reconstruction]]:
        """Show a pattern, and return frames and reconstructions of it."""
        self._slm.override(pattern)
        frames: list[Values] = []
        reconstructions: list[Reconstruction] = []
        deadline_s, least = time.monotonic() + _LEARN_S, _LEARNED + _SKIPPED
        while len(frames) < least or len(reconstructions) < least:
            event = self._next(stop, deadline_s)
            if event is None:
                raise FlashError(
                    f"{len(frames)} frames and {len(reconstructions)} reconstructions of the pattern {pattern.name!r} came "
                    f"within {_LEARN_S:g} s, and {least} are needed; check the SLM's latency, and that frames are reconstructed"
                )
            if isinstance(event, ArrivedFrame) and event.pattern_id == pattern.id and len(frames) < least:
                frames.append(event.values)
            elif isinstance(event, ArrivedView) and _is_of(event.view, pattern) and len(reconstructions) < least:
                assert event.view.reconstruction is not None
                reconstructions.append(event.view.reconstruction)
        return frames[_SKIPPED:], reconstructions[_SKIPPED:]

    def _show_still(self, axes: FlashAxes, stop: threading.Event) -> None:
        """Wait until frames and reconstructions show the still pattern again, and a random time more."""
        self._slm.override(self._still)
        deadline_s = time.monotonic() + _STILL_S
        has_frame = has_view = False
        while not (has_frame and has_view):
            event = self._next(stop, deadline_s)
            if event is None:
                raise FlashError(f"the still pattern does not come back within {_STILL_S:g} s; re-tune, and measure again")
            if isinstance(event, ArrivedFrame) and event.pattern_id == self._still.id:
                has_frame = not axes.frame_shows_flash(event)
            elif isinstance(event, ArrivedView) and _is_of(event.view, self._still):
                has_view = not axes.view_shows_flash(event.view)
        pause_s = time.monotonic() + float(self._random.uniform(0, _PAUSE_S))
        while self._next(stop, pause_s) is not None:
            pass

    def _flash_once(self, axes: FlashAxes, stop: threading.Event) -> Flash:
        """Flash once, and return when what was seen."""
        self._slm.override(self._flash)
        timing, deadline_s = FlashTiming(self._flash, axes), time.monotonic() + _FLASH_S
        while not timing.timed and not timing.spoiled and (event := self._next(stop, deadline_s)) is not None:
            timing.see(event)
        if timing.timed and self._has_window:
            deadline_s = time.monotonic() + _PAINT_S
            while not timing.painted and (event := self._next(stop, deadline_s)) is not None:
                timing.see(event)
        flash = timing.result()
        if flash is None:
            raise FlashError("the SLM was not commanded to flash; the live view has stopped, or a device is lost")
        return flash


def flash_patterns(shape: tuple[int, int], phase_range_rad: float) -> tuple[Pattern, Pattern]:
    """Return the still pattern, which is flat, and the flash: a disc in the middle. Shape (H, W) in SLM pixels."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    distance_px = np.hypot(rows - (shape[0] - 1) / 2, columns - (shape[1] - 1) / 2)
    disc = distance_px < _RADIUS * min(shape) / 2
    return blank(shape), Pattern((disc * np.float32(_HEIGHT * phase_range_rad)).astype(np.float32), "flash")


def _sample(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> Values:
    step = max(1, math.ceil(math.sqrt(pixels.size / _SAMPLE_PX)))
    return pixels[::step, ::step].astype(np.float32)


def _is_of(view: LiveView, pattern: Pattern) -> bool:
    """Whether a view is a reconstruction of a pattern; raises FlashError when the fibre has moved."""
    if FrameMark.DECORRELATED in view.frame.marks:
        raise FlashError("the fibre has moved while it was measured; re-tune, and measure again")
    return view.reconstruction is not None and view.frame.pattern_id == pattern.id
