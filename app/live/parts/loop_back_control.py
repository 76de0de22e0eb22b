"""The loop-back measurements of a session: one at a time, and only while they can be right."""

from __future__ import annotations

import math
from collections.abc import Callable

from acquisition.capture.pair_capture import Rig
from app.live.capture import LiveCapture
from app.live.loop_back.measurement import LoopBack, LoopBackInputs, flash_patterns
from app.live.loop_back.results import MAX_FLASHES, LoopBackStatus
from app.live.parts.errors import SessionError
from app.live.parts.stages import Stages
from app.live.publisher import Publisher
from app.live.slm.control import SlmControl
from app.status import LiveStatus, LiveView, Message


class LoopBackControl:
    """The measurement that runs, or the last one. One thread calls this.

    Parameters
    ----------
    rig : Rig
        The devices.
    slm : SlmControl or None
        What the SLM shows; None without an SLM.
    stages : Stages
        Where the thread of a measurement is watched.
    on_message : callable
        Called with the result of every measurement.
    views : Publisher of LiveView
        Every reconstruction.
    """

    def __init__(
        self,
        rig: Rig,
        slm: SlmControl | None,
        stages: Stages,
        on_message: Callable[[Message], None],
        views: Publisher[LiveView],
    ) -> None:
        self._rig = rig
        self._slm = slm
        self._stages = stages
        self._on_message = on_message
        self._inputs = LoopBackInputs(shown=Publisher(), pictures=Publisher(), views=views)
        self._loop_back: LoopBack | None = None
        self._ended = LoopBackStatus()

    def connect(self, capture: LiveCapture) -> None:
        """Look for flashes in the frames of a capture stage."""
        capture.shown.subscribe(self._inputs.shown.publish)
        capture.pictures.subscribe(self._inputs.pictures.publish)

    def status(self) -> LoopBackStatus:
        """Return what the present or last measurement has found."""
        loop_back = self._loop_back
        return loop_back.status() if loop_back is not None else self._ended

    def start(self, flashes: int, live: LiveStatus, phase_range_rad: float) -> None:
        """Begin a measurement.

        Parameters
        ----------
        flashes : int
            How many flashes.
        live : LiveStatus
            What the live view is doing now.
        phase_range_rad : float
            What white means in a pattern, in radians.

        Raises
        ------
        SessionError
            Nothing could be found now; nothing changes.
        """
        self.check_idle("another measurement")
        if not 1 <= flashes <= MAX_FLASHES:
            raise SessionError(f"a loop-back measurement has 1 to {MAX_FLASHES} flashes, got {flashes}; choose another number")
        if self._slm is None or self._rig.slm is None:
            raise SessionError("this instrument has no SLM to flash; add one to its file")
        _check_reconstruction(live)
        patterns = flash_patterns(self._rig.slm.capabilities.shape, phase_range_rad)
        self._loop_back = LoopBack(self._inputs, self._slm, patterns, self._rig.clock, self._on_message)
        self._stages.add(self._loop_back.stage)
        self._loop_back.start(flashes)

    def stop(self) -> None:
        """Ask the measurement to stop; what was found is kept."""
        if self._loop_back is not None:
            self._loop_back.request_stop()

    def painted(self, frame_index: int) -> None:
        """Note that the reconstruction of a frame is on the screen now."""
        if self._loop_back is not None:
            self._loop_back.painted(frame_index)

    def check_idle(self, purpose: str) -> None:
        """Refuse what would spoil a measurement that runs, or be spoiled by its flashes."""
        if self.status().state.active:
            raise SessionError(f"a loop-back measurement lets the SLM flash; stop it, or wait for its end, before {purpose}")

    def let_go(self) -> None:
        """Free patterns, and those who watch; what the last measurement has found can still be read."""
        self._ended = self.status()
        self._inputs = LoopBackInputs(shown=Publisher(), pictures=Publisher(), views=Publisher())
        self._loop_back = self._slm = None


def _check_reconstruction(live: LiveStatus) -> None:
    """Refuse a measurement while there is no phase that could show a flash."""
    if not live.running:
        raise SessionError("there is nothing to measure: start the live view first")
    if live.choosing_engine:
        raise SessionError("the engines are still compared; measure when the phase is shown")
    if live.retuning:
        raise SessionError("a re-tune is running; measure when it has ended")
    if not live.model_id:
        raise SessionError("there is no model to find a flash in the reconstruction; re-tune, or train a model for this fibre")
    if math.isnan(live.reference_correlation):
        raise SessionError("nothing is reconstructed now; measure when the phase is shown")
    if live.reference_correlation < live.drift_threshold:
        correlation = f"correlation {live.reference_correlation:.2f}, below {live.drift_threshold:g}"
        raise SessionError(f"the fibre has moved ({correlation}), so no flash could be trusted; re-tune first")
