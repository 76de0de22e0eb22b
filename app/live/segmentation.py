"""The segmentation stage: the newest view in, its overlay with the measured cells out. It may skip frames.

A frame that it has no time for gets no labels.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from acquisition.streams.channel import Channel, ChannelClosedError, Overflow, RateMeter, Stage
from acquisition.streams.times import NO_TIMES, TimeHistogram, TimeStats
from app.live.publisher import Publisher
from app.status import LiveView, Message, MessageLevel, Overlay, Topic
from reconstruction.base import Reconstruction
from reconstruction.cells.measurement import measure_reconstruction
from reconstruction.cells.table import CellScale
from reconstruction.cells.tracking import CellTracker
from reconstruction.segmentation.base import Segmenter
from reconstruction.segmentation.config import SegmentationConfig
from reconstruction.segmentation.registry import open_segmenter


def segmented(view: LiveView, segmenter: Segmenter | None = None) -> Overlay:
    """Return a view with the labels of its own phase, by default those of threshold and watershed.

    It has none without a reconstruction, and where a frame is not readable or its phase not finite: objects would be noise.
    A recorded phase keeps the labels that were recorded with it.
    """
    start_s = time.perf_counter()
    labels = _labels(view, segmenter or _default_segmenter())
    return Overlay(view, labels, time.perf_counter() - start_s)


@cache
def _default_segmenter() -> Segmenter:
    return open_segmenter(SegmentationConfig())


def _labels(view: LiveView, segmenter: Segmenter) -> NDArray[np.uint16] | None:
    reconstruction = view.reconstruction
    if reconstruction is not None and reconstruction.is_recorded:
        return reconstruction.recorded_labels
    if reconstruction is None or not _shows_objects(view, reconstruction) or reconstruction.mask is None:
        return None
    return segmenter.segment(reconstruction.phase_rad, reconstruction.mask, reconstruction.uncertainty_rad).labels


def _shows_objects(view: LiveView, reconstruction: Reconstruction) -> bool:
    return view.frame.readable and reconstruction.is_finite


@dataclass(frozen=True, kw_only=True)
class SegmentationSettings:
    """What the segmentation stage runs at first.

    Parameters
    ----------
    config : SegmentationConfig
        The segmenter.
    scale_of : callable
        Returns what is known of pixel, light and dry matter for the cells of a view. Called in the segmentation thread.
    """

    config: SegmentationConfig = field(default_factory=SegmentationConfig)
    scale_of: Callable[[LiveView], CellScale] = lambda view: CellScale()


@dataclass(frozen=True, kw_only=True)
class SegmentationStats:
    """Numbers of the segmentation stage.

    Parameters
    ----------
    fps : float
        Frames per second that are segmented; NaN, like the times, when none is segmented now.
    dropped_frames, dropped_overlays : int
        Frames that were skipped because segmentation was busy, and overlays that nobody fetched in time.
    segmentation : TimeStats
        Times for one frame.
    segmenter : mapping of str to str, float or bool
        What labels depend on now; empty before the segmenter is open, and where none can be used.
    """

    fps: float = math.nan
    dropped_frames: int = 0
    dropped_overlays: int = 0
    segmentation: TimeStats = NO_TIMES
    segmenter: Mapping[str, str | float | bool] = field(default_factory=dict)


class SegmentationPipeline:
    """Segments the newest view, measures its cells and follows them; runs from :meth:`start` until :meth:`stop`.

    Every overlay is published to subscribers in the segmentation thread, in the order of the frames, and the newest one waits
    in the channel ``display``. A segmenter that fails is reported once, and its frames get no labels.

    Parameters
    ----------
    settings : SegmentationSettings, optional
        What it runs at first.
    on_message : callable
        Called with every message for the operator.
    """

    def __init__(
        self,
        settings: SegmentationSettings | None = None,
        on_message: Callable[[Message], None] = lambda message: None,
    ) -> None:
        self.display: Channel[Overlay] = Channel("overlays", 1, Overflow.DROP_OLDEST)
        self.overlays: Publisher[Overlay] = Publisher()
        self.stage = Stage("segmentation", self._work, [self.display])
        self._settings = settings or SegmentationSettings()
        self._views: Channel[LiveView] = Channel("segmentation", 1, Overflow.DROP_OLDEST)
        self._configs: Channel[SegmentationConfig] = Channel("segmenters", 1, Overflow.DROP_OLDEST)
        self._segmenting = _Segmenting(on_message)
        self._tracker = CellTracker()
        self._rate = RateMeter()
        self._times = TimeHistogram()

    def start(self) -> None:
        """Start the thread; it opens the segmenter first."""
        self.stage.start()

    def stop(self) -> None:
        """Ask the thread to end."""
        self.stage.request_stop()
        self._views.close()

    def set_config(self, config: SegmentationConfig) -> None:
        """Segment so from the next frame on; any thread may call this. The identities of cells stay."""
        self._configs.put(config)

    def offer(self, view: LiveView) -> None:
        """Hand over a view. An older one that still waits is dropped and counted; one without a phase is ignored."""
        if view.reconstruction is None:
            return
        try:
            self._views.put(view)
        except ChannelClosedError:
            return

    def stats(self) -> SegmentationStats:
        """Return the numbers of the stage."""
        fps = self._rate.per_second()
        return SegmentationStats(
            fps=fps or math.nan,
            dropped_frames=self._views.dropped,
            dropped_overlays=self.display.dropped,
            segmentation=self._times.stats() if fps else NO_TIMES,
            segmenter=self._segmenting.facts,
        )

    def _work(self, stop: threading.Event) -> None:
        cv2.setNumThreads(1)  # the images are small; threads of OpenCV would only take cores from the engine
        try:
            self._segmenting.use(self._settings.config)
            for view in self._views:
                if stop.is_set():
                    return
                if (config := self._configs.poll()) is not None:
                    self._segmenting.use(config)
                overlay = self._with_cells(self._segmenting.segmented(view))
                self._times.add(overlay.segment_s)
                self._rate.tick()
                self.display.put(overlay)  # first: who is called may poll it at once
                self.overlays.publish(overlay)
        finally:
            self._views.close()
            self._segmenting.close()

    def _with_cells(self, overlay: Overlay) -> Overlay:
        """Measure the cells of an overlay, and give them their identities; this is part of its time."""
        reconstruction = overlay.view.reconstruction
        if reconstruction is None or overlay.labels is None or not _shows_objects(overlay.view, reconstruction):
            return overlay
        start_s = time.perf_counter()
        measured = measure_reconstruction(reconstruction, overlay.labels, self._settings.scale_of(overlay.view))
        cells = self._tracker.follow(overlay.frame_index, measured)
        return replace(overlay, cells=cells, segment_s=overlay.segment_s + time.perf_counter() - start_s)


class _Segmenting:
    """Runs the segmenter that is chosen, in the thread of the stage; a failure is reported once for each choice."""

    def __init__(self, on_message: Callable[[Message], None]) -> None:
        self._on_message = on_message
        self._segmenter: Segmenter | None = None
        #: Replaced as a whole, so that other threads read one consistent state.
        self.facts: Mapping[str, str | float | bool] = {}
        self._reported = ""

    def use(self, config: SegmentationConfig) -> None:
        """Open another segmenter in place of the present one."""
        self.close()
        before, self._reported = self._reported, ""
        try:
            self._segmenter = open_segmenter(config)
            self.facts = dict(self._segmenter.settings())
        except Exception as error:  # a segmenter of another package may raise anything
            self._report(f"the segmenter '{config.kind}' cannot be used, so that no cells are shown: {error}")
            return
        if before:
            self._on_message(Message(MessageLevel.INFO, f"cells are segmented with '{config.kind}'", Topic.CELLS))

    def segmented(self, view: LiveView) -> Overlay:
        """Return a view with its labels; without labels where the segmenter fails."""
        segmenter, start_s = self._segmenter, time.perf_counter()
        is_recorded = view.reconstruction is not None and view.reconstruction.is_recorded
        if segmenter is None and not is_recorded:
            return Overlay(view, None, 0.0)
        try:
            return replace(segmented(view, segmenter), segmenter={} if is_recorded else self.facts)
        except Exception as error:
            kind = segmenter.kind if segmenter is not None else ""
            self._report(f"the segmenter '{kind}' has failed, so that frames have no cells: {error}")
            return Overlay(view, None, time.perf_counter() - start_s)

    def close(self) -> None:
        """Free the segmenter."""
        segmenter, self._segmenter = self._segmenter, None
        self.facts = {}
        if segmenter is not None:
            segmenter.close()

    def _report(self, text: str) -> None:
        if not self._reported:
            self._reported = text
            self._on_message(Message(MessageLevel.ERROR, text, Topic.CELLS))
