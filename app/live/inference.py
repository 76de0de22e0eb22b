"""The inference stage: the newest camera frame in, a view out. Its own thread opens the engine and uses it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from acquisition.streams.channel import Channel, ChannelClosedError, Overflow, RateMeter, Stage
from acquisition.streams.times import NO_TIMES, TimeStats
from app.live.fresh_frames import FreshFrames
from app.live.publisher import Publisher
from app.status import LiveView, Message, MessageLevel
from app.thread_priority import leave_the_processor_to_the_window
from calibration.retune import ReferencePairs
from drivers.base import Frame
from reconstruction.base import Reconstruction, ReconstructionError
from reconstruction.engines.check_frames import CheckFrames
from reconstruction.engines.choose import open_engine, reopen_engine
from reconstruction.engines.fallback import FallbackEngine
from reconstruction.live.live_reconstructor import LiveMethod, LiveReconstructor, ModelMethod
from reconstruction.live.pairs_method import PairsMethod
from reconstruction.models.model import Model
from reconstruction.sampling import Sampling

#: What is shown without a model and without reference pairs.
NO_MODEL = "none for this fibre"


@dataclass(frozen=True, kw_only=True)
class InferenceSettings:
    """What the inference stage runs.

    Parameters
    ----------
    model : Model, optional
        The model to run. Without one, frames are only shown until there are reference pairs.
    engine : str
        The preferred engine, see :func:`reconstruction.engines.choose.open_engine`.
    truth_of : callable
        Returns the displayed phase on the grid for a pattern id, or None where it is unknown.
    check_frames : callable
        Returns real frames that the engine is checked on, or None. Called in the inference thread.
    recorded : callable
        Returns the recorded phase of a replayed frame, which is shown without a model, or None. Called in the inference thread.
    name : str
        What is shown without a model, for people.
    sampling : Sampling, optional
        How samples are drawn, if the model draws some; by default as it was configured.
    """

    model: Model | None
    engine: str
    truth_of: Callable[[str | None], NDArray[np.float32] | None] = lambda pattern_id: None
    check_frames: Callable[[], CheckFrames | None] = lambda: None
    recorded: Callable[[Frame], Reconstruction | None] = lambda frame: None
    name: str = NO_MODEL
    sampling: Sampling | None = None


@dataclass(frozen=True, kw_only=True)
class InferenceStats:
    """Numbers of the inference stage; NaN and empty text where nothing is known yet.

    Parameters
    ----------
    choosing_engine : bool
        Whether engines are being compared: nothing is reconstructed until one is chosen.
    fps : float
        Frames per second that are reconstructed; NaN, like all times and the correlation, when none is reconstructed now.
    dropped_frames, dropped_views : int
        Frames that were skipped because inference was busy, and views that nobody fetched in time.
    nan_frames : int
        Frames whose phase has values that are not numbers.
    latency, inference : TimeStats
        From the end of the exposure to the reconstruction, and inside the engine.
    method_name, method_id : str
        The model or the method, and its hash.
    engine, engine_reason : str
        The engine that runs, and why it was chosen.
    reference_correlation : float
        Mean correlation of recent frames with the reference.
    has_uncertainty : bool
        Whether the method gives a standard deviation of the phase.
    """

    choosing_engine: bool = False
    fps: float = math.nan
    dropped_frames: int = 0
    dropped_views: int = 0
    nan_frames: int = 0
    latency: TimeStats = NO_TIMES
    inference: TimeStats = NO_TIMES
    method_name: str = NO_MODEL
    method_id: str = ""
    engine: str = ""
    engine_reason: str = ""
    reference_correlation: float = math.nan
    has_uncertainty: bool = False

    @classmethod
    def before_start(cls, model: Model | None) -> Self:
        """Return what is known before the stage has opened its engine: which model it will run."""
        if model is None:
            return cls()
        return cls(method_name=model.card.name, method_id=model.id, has_uncertainty=model.network.gives_sigma)


@dataclass(frozen=True)
class _Working:
    """What the inference thread works with now; replaced as a whole, so that other threads read one consistent state."""

    method: LiveMethod | None = None
    reconstructor: LiveReconstructor | None = None


class InferencePipeline:
    """Reconstructs the newest frame; runs from :meth:`start` until :meth:`stop`.

    Frames, references and reference pairs come in through a channel each. Every view is published to subscribers in the
    inference thread, and the newest one waits in the channel ``display``.

    Parameters
    ----------
    settings : InferenceSettings
        What to run.
    on_message : callable
        Called with every message for the operator.
    """

    def __init__(self, settings: InferenceSettings, on_message: Callable[[Message], None] = lambda message: None) -> None:
        self.frames: Channel[Frame] = Channel("inference", 1, Overflow.DROP_OLDEST)
        self._fresh_frames = FreshFrames(self.frames)
        self.display: Channel[LiveView] = Channel("display", 1, Overflow.DROP_OLDEST)
        self.views: Publisher[LiveView] = Publisher()
        self.ready = threading.Event()
        self.stage = Stage("inference", self._work, [self.display])
        self._references: Channel[NDArray[np.float32]] = Channel("references", 1, Overflow.DROP_OLDEST)
        self._reference_pairs: Channel[ReferencePairs] = Channel("reference pairs", 1, Overflow.DROP_OLDEST)
        self._accepts_frames = threading.Event()
        self._samplings: Channel[Sampling] = Channel("samplings", 1, Overflow.DROP_OLDEST)
        if settings.model is None:
            self._accepts_frames.set()
        self._settings = settings
        self._sampling = settings.sampling
        self._changing_steps = False
        self._on_message = on_message
        self._rate = RateMeter()
        self._nan_frames = 0
        self._engine: FallbackEngine | None = None
        self._working = _Working()
        self._last_stats: InferenceStats | None = None

    def start(self) -> None:
        """Start the thread; it opens the engine first."""
        self.stage.start()

    def stop(self) -> None:
        """Ask the thread to end."""
        self.stage.request_stop()
        self.frames.close()

    def join(self, timeout_s: float) -> BaseException | None:
        """Wait for the thread and return its error, if any."""
        self.stage.join(timeout_s)
        return self.error

    @property
    def error(self) -> BaseException | None:
        """The error that ended the thread, if any."""
        return self.stage.error

    @property
    def engine(self) -> FallbackEngine | None:
        """The engine that was opened; None without a model, until ``ready`` is set, and when the stage has ended."""
        return self._engine if self.ready.is_set() else None

    def set_reference(self, reference: NDArray[np.float32]) -> None:
        """Reconstruct against a new reference (H, W) in counts from the next frame on.

        Reference pairs keep their own reference. With a newer one, a fibre that has moved since would look unmoved.
        """
        self._references.put(reference)
        self._accepts_frames.set()

    def set_reference_pairs(self, reference_pairs: ReferencePairs) -> None:
        """Use the result of a re-tune from the next frame on, with the model or with the pairs alone.

        The method that reconstructs the pairs better is used.
        """
        self._reference_pairs.put(reference_pairs)
        self._accepts_frames.set()

    def set_sampling(self, sampling: Sampling) -> None:
        """Draw samples so from the next frame on. Another number of steps needs another graph, which is opened first."""
        self._samplings.put(sampling)

    def offer(self, frame: Frame) -> None:
        """Hand over a frame. An older one that still waits is dropped and counted.

        Frames before the first reference are ignored.
        """
        if not (self.ready.is_set() and self._accepts_frames.is_set()):
            return
        try:
            self._fresh_frames.put(frame)
        except ChannelClosedError:
            return

    def stats(self) -> InferenceStats:
        """Return the numbers of the stage; when it has ended, the last ones."""
        if self._last_stats is not None:
            return self._last_stats
        working, model = self._working, self._settings.model
        method, live = working.method, working.reconstructor
        known = InferenceStats.before_start(model)
        engine, fps = self.engine, self._rate.per_second()
        now = live if fps else None  # what is measured now: nothing while no frame is reconstructed
        return InferenceStats(
            choosing_engine=model is not None and self.stage.running and (self._changing_steps or not self.ready.is_set()),
            fps=fps or math.nan,
            dropped_frames=self.frames.dropped + self._fresh_frames.passed_over,
            dropped_views=self.display.dropped,
            nan_frames=self._nan_frames,
            latency=now.latency if now else NO_TIMES,
            inference=now.inference if now else NO_TIMES,
            method_name=method.name if method else known.method_name if model else self._settings.name,
            method_id=method.id if method else known.method_id,
            engine=method.engine if method else "",
            engine_reason=engine.reason if engine and isinstance(method, ModelMethod) else "",
            reference_correlation=now.reference_correlation if now else math.nan,
            has_uncertainty=isinstance(method, ModelMethod) and method.has_sigma if method else known.has_uncertainty,
        )

    def _work(self, stop: threading.Event) -> None:
        # The operations around the engine are small (128 x 128 px). Threads of OpenCV would only take cores from the engine.
        cv2.setNumThreads(1)
        leave_the_processor_to_the_window()
        try:
            self._open_engine()
            self.ready.set()
            reference: NDArray[np.float32] | None = None
            for frame in self._fresh_frames:
                if stop.is_set():
                    return
                self._use_newest_sampling()
                reference = self._newest_reference(reference)
                self._reconstruct(frame, reference)
        finally:
            self.ready.set()
            self.frames.close()
            self._let_go()

    def _let_go(self) -> None:
        """Free the engine, in the thread that made it, and what the reconstructor holds; the numbers stay."""
        self._last_stats = self.stats()
        self._working = _Working()
        self._engine = None

    def _open_engine(self) -> None:
        settings = self._settings
        if settings.model is None:
            return
        if self._sampling is not None:
            settings.model.network.set_steps(self._sampling.steps)
        self._engine = open_engine(settings.model, settings.engine, settings.check_frames(), self._warn)
        self._working = _Working(self._model_method())

    def _model_method(self) -> ModelMethod | None:
        model, engine = self._settings.model, self._engine
        return ModelMethod(model, engine, self._sampling) if model is not None and engine is not None else None

    def _use_newest_sampling(self) -> None:
        sampling, model, engine = self._samplings.poll(), self._settings.model, self._engine
        if sampling is None or model is None or engine is None:
            return
        self._sampling = sampling
        live = self._working.reconstructor
        if sampling.steps != model.network.step_count:
            self._changing_steps = True
            try:
                model.network.set_steps(sampling.steps)
                self._engine = reopen_engine(model, engine, self._settings.check_frames(), self._warn)
            finally:
                self._changing_steps = False
            live = None  # its times are those of the steps before
        method = self._model_method()
        if method is not None and isinstance(self._working.method, ModelMethod):
            if live is not None:
                live.method = method
            self._working = _Working(method, live)

    def _newest_reference(self, reference: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
        """Return the reference for the next frame; after a change of reference or method, the reconstructor is made again."""
        newer = self._references.poll()
        if newer is not None and isinstance(self._working.method, PairsMethod) and not _fits(self._working.method, newer.shape):
            self._working = _Working(self._model_method())  # pairs of another region say nothing about this one
        if newer is not None and not isinstance(self._working.method, PairsMethod):
            reference = newer
            self._working = _Working(self._working.method)
        reference_pairs = self._reference_pairs.poll()
        if reference_pairs is not None:
            reference = reference_pairs.reference
            self._working = _Working(self._better_method(reference_pairs))
        return reference

    def _reconstruct(self, frame: Frame, reference: NDArray[np.float32] | None) -> None:
        method, live = self._working.method, self._working.reconstructor
        if method is None or reference is None:
            if self._settings.model is None:
                self._show(LiveView(frame, self._settings.recorded(frame)))
            return
        if frame.pixels.shape != reference.shape or not _fits(method, frame.pixels.shape):
            self._show(LiveView(frame, None))  # the camera reads another region now; the capture stage has said so
            return
        if live is None:
            live = LiveReconstructor(method, reference)
            self._working = _Working(method, live)
        reconstruction = live(frame)
        self._nan_frames += not reconstruction.is_finite
        self._rate.tick()
        self._show(LiveView(reconstruction.with_mark(frame), reconstruction, self._settings.truth_of(frame.pattern_id)))

    def _better_method(self, reference_pairs: ReferencePairs) -> LiveMethod | None:
        """Return the model or the pairs, whichever reconstructs the pairs better, and report the comparison."""
        model, with_model = self._settings.model, self._model_method()
        try:
            pairs = PairsMethod(reference_pairs, model.grid_px if model else 0)
        except ReconstructionError as error:
            self._warn(f"re-tuned, but {error}")
            return self._working.method
        alone = pairs.correlation()
        text = f"re-tuned with {len(reference_pairs.frames)} probe patterns: the pairs alone reach a correlation of {alone:.2f}"
        if with_model is None:
            self._on_message(Message(MessageLevel.INFO, text))
            return pairs
        trained = pairs.correlation_of(with_model, reference_pairs.reference)
        better = with_model if trained >= alone else pairs
        text = f"{text}, model '{with_model.name}' {trained:.2f}; going on with {better.name}"
        self._on_message(Message(MessageLevel.INFO, text))
        return better

    def _warn(self, text: str) -> None:
        self._on_message(Message(MessageLevel.WARNING, text))

    def _show(self, view: LiveView) -> None:
        self.display.put(view)  # first: who is called may poll it at once
        self.views.publish(view)


def _fits(method: LiveMethod, shape: tuple[int, ...]) -> bool:
    """Whether a method takes frames of a shape."""
    try:
        method.check_frame(shape)
    except ReconstructionError:
        return False
    return True
