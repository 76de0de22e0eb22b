"""What becomes of the frames: inference and segmentation, which are replaced when inference has failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from app.live.inference import InferencePipeline, InferenceSettings, InferenceStats
from app.live.parts.stages import Stages
from app.live.publisher import Publisher
from app.live.recordings.pre_trigger import PreTriggerRing
from app.live.segmentation import SegmentationPipeline, SegmentationSettings, SegmentationStats
from app.status import LiveView, Message, Overlay
from reconstruction.models.model import Model
from reconstruction.sampling import Sampling
from reconstruction.segmentation.config import SegmentationConfig


@dataclass(frozen=True)
class _Running:
    inference: InferencePipeline
    segmentation: SegmentationPipeline


class Processing:
    """Inference and segmentation of one session.

    One thread starts and joins. Any thread may poll and ask for numbers: what runs is replaced as a whole.

    Parameters
    ----------
    ring : PreTriggerRing
        Gets every view and every overlay, each in the thread of its stage.
    stages : Stages
        Where the threads are watched.
    on_message : callable
        Called with every message for the operator.
    segmentation : SegmentationSettings, optional
        How cells are labelled and measured at first.

    Attributes
    ----------
    views : Publisher of LiveView
        Every view, of the stage that runs and of those that will replace it; in the inference thread.
    """

    def __init__(
        self,
        ring: PreTriggerRing,
        stages: Stages,
        on_message: Callable[[Message], None],
        segmentation: SegmentationSettings | None = None,
    ) -> None:
        self.views: Publisher[LiveView] = Publisher()
        self._ring = ring
        self._stages = stages
        self._on_message = on_message
        self._segmentation = segmentation or SegmentationSettings()
        self._running: _Running | None = None

    @property
    def started(self) -> bool:
        """Whether there is an inference stage, also one that has failed."""
        return self._running is not None

    def start(self, settings: InferenceSettings) -> InferencePipeline:
        """Return the inference stage that runs; the first one, and one instead of one that has failed, is started here."""
        running = self._running
        if running is not None and running.inference.error is None:
            return running.inference
        if running is not None:  # its segmentation would wait for views for ever
            running.segmentation.stop()
        inference = InferencePipeline(settings, self._on_message)
        segmentation = SegmentationPipeline(self._segmentation, self._on_message)
        inference.views.subscribe(self._ring.put_view)  # first: labels must not come before their view
        inference.views.subscribe(segmentation.offer)
        inference.views.subscribe(self.views.publish)
        segmentation.overlays.subscribe(self._ring.put_overlay)
        self._running = _Running(inference, segmentation)
        self._stages.start(segmentation.stage)
        self._stages.start(inference.stage)
        return inference

    def set_sampling(self, sampling: Sampling) -> None:
        """Draw samples so from the next frame on; without a running stage nothing happens."""
        if self._running is not None:
            self._running.inference.set_sampling(sampling)

    @property
    def segmentation(self) -> SegmentationConfig:
        """How cells are labelled."""
        return self._segmentation.config

    def set_segmentation(self, config: SegmentationConfig) -> None:
        """Label cells so from the next frame on, also when the stage is replaced."""
        self._segmentation = replace(self._segmentation, config=config)
        if self._running is not None:
            self._running.segmentation.set_config(config)

    def poll_view(self) -> LiveView | None:
        """Return the newest view, or None when there is nothing new. Never raises."""
        running = self._running
        try:
            return running.inference.display.poll() if running is not None else None
        except Exception:
            return None  # the channel is closed; a message of the stage says why

    def poll_overlay(self) -> Overlay | None:
        """Return the newest view that was segmented, with its labels, or None when there is nothing new. Never raises."""
        running = self._running
        try:
            return running.segmentation.display.poll() if running is not None else None
        except Exception:
            return None  # the channel is closed; a message of the stage says why

    def stats(self, model: Model | None) -> tuple[InferenceStats, SegmentationStats]:
        """Return the numbers of both stages; before they start, what is known of the model that they will run."""
        running = self._running
        if running is None:
            return InferenceStats.before_start(model), SegmentationStats()
        return running.inference.stats(), running.segmentation.stats()

    def join(self, timeout_s: float) -> None:
        """End inference, and then segmentation."""
        if self._running is not None:
            self._running.inference.stop()
            self._running.inference.join(timeout_s)
            self._running.segmentation.stop()

    def let_go(self) -> None:
        """Free engine, model and views, and those who watch."""
        self._running = None
        self.views = Publisher()
