"""The inference stage of a session: frames in (newest only), views out, engine made and used by its own thread."""

from __future__ import annotations

import threading
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from acquisition.streams.channel import Channel, ChannelClosed, Overflow, RateMeter, Stage
from app.status import LiveView, Message
from calibration.retune import Tuned
from drivers.base import Frame
from reconstruction.base import ReconstructionError
from reconstruction.engines.choose import open_engine
from reconstruction.engines.gate_frames import GateFrames
from reconstruction.engines.guarded import GuardedEngine
from reconstruction.live.live_reconstructor import LiveMethod, LiveReconstructor, ModelMethod
from reconstruction.live.pairs_method import PairsMethod
from reconstruction.models.model import Model


class InferencePipeline:
    """Reconstructs the newest frame; runs from :meth:`start` until :meth:`stop`.

    Parameters
    ----------
    model : Model, optional
        What to run; without one the frames are only shown, until there are reference pairs.
    preference : str
        Engine, see :func:`reconstruction.engines.choose.open_engine`.
    truth_of : callable
        Displayed phase on the grid for a pattern id, or None where unknown.
    on_view : callable
        Called in the inference thread with every view (the recorder's tap).
    on_message : callable
        Takes words for the operator.
    gate_frames : callable
        Returns real frames that the engine is judged on, if there are any; called in the inference thread.
    """

    def __init__(
        self,
        model: Model | None,
        preference: str,
        truth_of: Callable[[str | None], NDArray[np.float32] | None],
        on_view: Callable[[LiveView], None],
        on_message: Callable[[Message], None] = lambda message: None,
        gate_frames: Callable[[], GateFrames | None] = lambda: None,
    ) -> None:
        self.frames: Channel[Frame] = Channel("inference", 1, Overflow.DROP_OLDEST)
        self.display: Channel[LiveView] = Channel("display", 1, Overflow.DROP_OLDEST)
        self.rate = RateMeter()
        self.chosen: GuardedEngine | None = None
        self.live: LiveReconstructor | None = None
        self.ready = threading.Event()
        self._model = model
        self._preference = preference
        self._truth_of = truth_of
        self._on_view = on_view
        self._on_message = on_message
        self._gate_frames = gate_frames
        self._reference: NDArray[np.float32] | None = None
        self._tuned: Tuned | None = None
        self.method: LiveMethod | None = None
        self._stage = Stage("inference", self._work, [self.display])

    def start(self) -> None:
        """Start the thread; it builds the engine first."""
        self._stage.start()

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stage.request_stop()
        self.frames.close()

    def join(self, timeout_s: float) -> BaseException | None:
        """Wait for the thread and return its error, if any."""
        self._stage.join(timeout_s)
        return self.error

    @property
    def error(self) -> BaseException | None:
        """The error that ended it, if any."""
        return self._stage.error

    def set_reference(self, reference: NDArray[np.float32]) -> None:
        """Reconstruct against a new reference (H, W) in counts from the next frame on.

        Reference pairs keep their own: were the gauge set anew without them, a fibre that moved meanwhile would look unmoved.
        """
        if not isinstance(self.method, PairsMethod):
            self._reference = reference

    def set_tuned(self, tuned: Tuned) -> None:
        """Go on with a re-tuned reference, by the model or by the pairs alone, whichever does better on those pairs."""
        self._tuned = tuned

    def offer(self, frame: Frame) -> None:
        """Hand over a frame; an older one that still waits is dropped and counted. Before the first reference it is ignored."""
        if not self.ready.is_set() or (self._reference is None and self._model is not None):
            return
        try:
            self.frames.put(frame)
        except ChannelClosed:
            return

    def _work(self, stop: threading.Event) -> None:
        # A dozen operations on 128 x 128 px: OpenCV's own threads would only take cores from the engine.
        cv2.setNumThreads(1)
        try:
            if self._model is not None:
                self.chosen = open_engine(self._model, self._preference, self._gate_frames(), self._warn)
                self.method = ModelMethod(self._model, self.chosen)
            self.ready.set()
            used: tuple[object, object] = (None, None)
            for frame in self.frames:
                if stop.is_set():
                    return
                if (tuned := self._tuned) is not None:
                    self._tuned = None
                    self._adopt(tuned)
                reference = self._reference
                if self.method is None or reference is None:
                    if self._model is None:
                        self._show(LiveView(frame, None))
                    continue
                if self.live is None or used != (id(reference), id(self.method)):
                    self.live = LiveReconstructor(self.method, reference)
                    used = (id(reference), id(self.method))
                self._show(LiveView(frame, self.live(frame), self._truth_of(frame.pattern_id)))
        finally:
            self.ready.set()
            self.frames.close()

    def _warn(self, words: str) -> None:
        self._on_message(Message("warning", words))

    def _adopt(self, tuned: Tuned) -> None:
        """Take a new reference over, and the better of two methods."""
        model = ModelMethod(self._model, self.chosen) if self._model and self.chosen else None
        try:
            pairs = PairsMethod(tuned, self._model.grid_px if self._model else 0)
        except ReconstructionError as error:
            self._on_message(Message("warning", f"re-tuned, but {error}"))
            self._reference = tuned.reference
            return
        self._reference = tuned.reference
        alone = pairs.correlation()
        words = f"re-tuned with {len(tuned.frames)} probes: the pairs alone reach a correlation of {alone:.2f} on them"
        if model is None:
            self.method = pairs
            return self._on_message(Message("info", words))
        trained = pairs.correlation_of(model, tuned.reference)
        self.method = model if trained >= alone else pairs
        self._on_message(Message("info", f"{words}, model '{model.name}' {trained:.2f}; going on with {self.method.name}"))

    def _show(self, view: LiveView) -> None:
        self.rate.tick()
        self._on_view(view)
        self.display.put(view)
