"""The inference stage of a session: frames in (newest only), views out, engine made and used by its own thread."""

from __future__ import annotations

import threading
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from acquisition.streams.channel import Channel, ChannelClosedError, Overflow, RateMeter, Stage
from app.status import LiveView, Message
from calibration.retune import ReferencePairs
from drivers.base import Frame
from reconstruction.base import ReconstructionError
from reconstruction.engines.check_frames import CheckFrames
from reconstruction.engines.choose import open_engine
from reconstruction.engines.fallback import FallbackEngine
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
    check_frames : callable
        Returns real frames that the engine is judged on, if there are any; called in the inference thread.
    """

    def __init__(
        self,
        model: Model | None,
        preference: str,
        truth_of: Callable[[str | None], NDArray[np.float32] | None],
        on_view: Callable[[LiveView], None],
        on_message: Callable[[Message], None] = lambda message: None,
        check_frames: Callable[[], CheckFrames | None] = lambda: None,
    ) -> None:
        self.frames: Channel[Frame] = Channel("inference", 1, Overflow.DROP_OLDEST)
        self.display: Channel[LiveView] = Channel("display", 1, Overflow.DROP_OLDEST)
        self.rate = RateMeter()
        self.chosen: FallbackEngine | None = None
        self.live: LiveReconstructor | None = None
        self.ready = threading.Event()
        self._model = model
        self._preference = preference
        self._truth_of = truth_of
        self._on_view = on_view
        self._on_message = on_message
        self._check_frames = check_frames
        self._reference: NDArray[np.float32] | None = None
        self._reference_pairs: ReferencePairs | None = None
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

    def set_reference_pairs(self, reference_pairs: ReferencePairs) -> None:
        """Go on with a re-tuned reference, by the model or by the pairs alone, whichever does better on those pairs."""
        self._reference_pairs = reference_pairs

    def offer(self, frame: Frame) -> None:
        """Hand over a frame; an older one that still waits is dropped and counted. Before the first reference it is ignored."""
        if not self.ready.is_set() or (self._reference is None and self._model is not None):
            return
        try:
            self.frames.put(frame)
        except ChannelClosedError:
            return

    def _work(self, stop: threading.Event) -> None:
        # A dozen operations on 128 x 128 px: OpenCV's own threads would only take cores from the engine.
        cv2.setNumThreads(1)
        try:
            if self._model is not None:
                self.chosen = open_engine(self._model, self._preference, self._check_frames(), self._warn)
                self.method = ModelMethod(self._model, self.chosen)
            self.ready.set()
            used: tuple[object, object] = (None, None)
            for frame in self.frames:
                if stop.is_set():
                    return
                if (reference_pairs := self._reference_pairs) is not None:
                    self._reference_pairs = None
                    self._adopt(reference_pairs)
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

    def _adopt(self, reference_pairs: ReferencePairs) -> None:
        """Take a new reference over, and the better of two methods."""
        model = ModelMethod(self._model, self.chosen) if self._model and self.chosen else None
        try:
            pairs = PairsMethod(reference_pairs, self._model.grid_px if self._model else 0)
        except ReconstructionError as error:
            self._on_message(Message("warning", f"re-tuned, but {error}"))
            self._reference = reference_pairs.reference
            return
        self._reference = reference_pairs.reference
        alone = pairs.correlation()
        words = (
            f"re-tuned with {len(reference_pairs.frames)} probes: the pairs alone reach a correlation of {alone:.2f} on them"
        )
        if model is None:
            self.method = pairs
            return self._on_message(Message("info", words))
        trained = pairs.correlation_of(model, reference_pairs.reference)
        self.method = model if trained >= alone else pairs
        self._on_message(Message("info", f"{words}, model '{model.name}' {trained:.2f}; going on with {self.method.name}"))

    def _show(self, view: LiveView) -> None:
        self.rate.tick()
        self._on_view(view)
        self.display.put(view)
