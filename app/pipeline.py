"""The inference stage of a session: frames in (newest only), views out, engine made and used by its own thread."""

from __future__ import annotations

import threading
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from acquisition.stream import Channel, ChannelClosed, Overflow, RateMeter, Stage
from app.status import LiveView
from drivers.base import Frame
from reconstruction.engines.choose import ChosenEngine, open_engine
from reconstruction.live import LiveReconstructor
from reconstruction.model import Model


class InferencePipeline:
    """Reconstructs the newest frame; runs from :meth:`start` until :meth:`stop`.

    Parameters
    ----------
    model : Model, optional
        What to run; without one the frames are only shown.
    preference : str
        Engine, see :func:`reconstruction.engines.choose.open_engine`.
    truth_of : callable
        Displayed phase on the grid for a pattern id, or None where unknown.
    on_view : callable
        Called in the inference thread with every view (the recorder's tap).
    """

    def __init__(
        self,
        model: Model | None,
        preference: str,
        truth_of: Callable[[str | None], NDArray[np.float32] | None],
        on_view: Callable[[LiveView], None],
    ) -> None:
        self.frames: Channel[Frame] = Channel("inference", 1, Overflow.DROP_OLDEST)
        self.display: Channel[LiveView] = Channel("display", 1, Overflow.DROP_OLDEST)
        self.rate = RateMeter()
        self.chosen: ChosenEngine | None = None
        self.live: LiveReconstructor | None = None
        self.ready = threading.Event()
        self._model = model
        self._preference = preference
        self._truth_of = truth_of
        self._on_view = on_view
        self._reference: NDArray[np.float32] | None = None
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
        """Reconstruct against a new reference (H, W) in counts from the next frame on."""
        self._reference = reference

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
            if self._model is None:
                self.ready.set()
                return self._show_frames(stop)
            chosen = self.chosen = open_engine(self._model, self._preference)
            self.ready.set()
            used: NDArray[np.float32] | None = None
            for frame in self.frames:
                if stop.is_set():
                    return
                reference = self._reference
                if reference is None:
                    continue
                if reference is not used or self.live is None:
                    self.live = LiveReconstructor(self._model, chosen.engine, reference)
                    used = reference
                self._show(LiveView(frame, self.live(frame), self._truth_of(frame.pattern_id)))
        finally:
            self.ready.set()
            self.frames.close()

    def _show_frames(self, stop: threading.Event) -> None:
        for frame in self.frames:
            if stop.is_set():
                return
            self._show(LiveView(frame, None))

    def _show(self, view: LiveView) -> None:
        self.rate.tick()
        self._on_view(view)
        self.display.put(view)
