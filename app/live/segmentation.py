"""The segmentation stage: the newest view in, its overlay out. A frame that it has no time for gets no labels."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass

import cv2

from acquisition.streams.channel import Channel, ChannelClosedError, Overflow, RateMeter, Stage
from acquisition.streams.times import NO_TIMES, TimeHistogram, TimeStats
from app.live.publisher import Publisher
from app.status import LiveView, Overlay
from reconstruction.segmentation.threshold_watershed import segment


def segmented(view: LiveView) -> Overlay:
    """Return a view with the labels of its own phase.

    It has none without a reconstruction, and where a frame is not readable or its phase not finite: objects would be noise.
    A recorded phase keeps the labels that were recorded with it.
    """
    start_s = time.perf_counter()
    reconstruction = view.reconstruction
    labels = None
    if reconstruction is not None and reconstruction.is_recorded:
        labels = reconstruction.recorded_labels
    elif reconstruction is not None and reconstruction.mask is not None and view.frame.readable and reconstruction.is_finite:
        labels = segment(reconstruction.phase_rad, reconstruction.mask)
        labels.flags.writeable = False
    return Overlay(view, labels, time.perf_counter() - start_s)


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
    """

    fps: float = math.nan
    dropped_frames: int = 0
    dropped_overlays: int = 0
    segmentation: TimeStats = NO_TIMES


class SegmentationPipeline:
    """Segments the newest view; runs from :meth:`start` until :meth:`stop`.

    Every overlay is published to subscribers in the segmentation thread, in the order of the frames, and the newest one waits
    in the channel ``display``.
    """

    def __init__(self) -> None:
        self.display: Channel[Overlay] = Channel("overlays", 1, Overflow.DROP_OLDEST)
        self.overlays: Publisher[Overlay] = Publisher()
        self.stage = Stage("segmentation", self._work, [self.display])
        self._views: Channel[LiveView] = Channel("segmentation", 1, Overflow.DROP_OLDEST)
        self._rate = RateMeter()
        self._times = TimeHistogram()

    def start(self) -> None:
        """Start the thread."""
        self.stage.start()

    def stop(self) -> None:
        """Ask the thread to end."""
        self.stage.request_stop()
        self._views.close()

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
        )

    def _work(self, stop: threading.Event) -> None:
        cv2.setNumThreads(1)  # the images are small; threads of OpenCV would only take cores from the engine
        try:
            for view in self._views:
                if stop.is_set():
                    return
                overlay = segmented(view)
                self._times.add(overlay.segment_s)
                self._rate.tick()
                self.display.put(overlay)  # first: who is called may poll it at once
                self.overlays.publish(overlay)
        finally:
            self._views.close()
