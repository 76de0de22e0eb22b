"""Joining camera frames with their reconstructions and labels for a recording. Every frame is recorded, also skipped ones."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from acquisition.archive.recorder import ROW_SEGMENTER, RecordItem
from acquisition.streams.channel import Channel, ChannelClosedError, ChannelOverflowError
from app.status import LiveView, Overlay
from drivers.base import Frame
from reconstruction.base import Reconstruction

#: Engine name in rows of frames that inference skipped; their phase is NaN, and the row says that they have no labels.
NOT_RECONSTRUCTED = "none"
#: The largest number of frames that wait, and their largest memory in bytes.
MOST_WAITING = 128
MOST_WAITING_BYTES = 256 * 2**20


@dataclass
class _Waiting:
    """A frame that waits for its reconstruction, or, when it has one, for its labels."""

    frame: Frame
    reconstruction: Reconstruction | None = None


class FrameJoiner:
    """Joins frames from the capture thread, views from the inference thread and overlays from the segmentation thread.

    All stages work through the frames in order and may skip some. When the view of frame k arrives, inference skipped every
    older frame that still waits for it; when the overlay of frame k arrives, segmentation skipped every older frame that
    still waits. Skipped frames are recorded without a phase, or without labels. Frames are recorded in their order.

    Parameters
    ----------
    channel : Channel of RecordItem
        Leads to the recorder; its overflow policy is FAIL. All frames that wait may come at once.
    grid_px : int
        Side of the phase images.
    has_uncertainty : bool
        Whether the model gives a standard deviation of the phase; a frame without one is recorded with NaN.
    patience_s : float
        How long a frame waits at most, by the times of the frames, in seconds. At most ``MOST_WAITING`` frames wait, and they
        use at most 256 MB. Beyond it a frame is recorded with what has come for it, so that a recording continues when a stage
        is slow or has failed.
    segmenter : mapping, optional
        What labels depend on by the metadata of the recording. A frame whose labels depend on something else says so.
    """

    def __init__(
        self,
        channel: Channel[RecordItem],
        grid_px: int,
        patience_s: float = 2.0,
        *,
        has_uncertainty: bool = False,
        segmenter: Mapping[str, object] | None = None,
    ) -> None:
        self._channel = channel
        self._patience_ns = round(patience_s * 1e9)
        self._waiting: deque[_Waiting] = deque()
        self._viewed = -1  # the newest frame that inference is done with
        self._lock = threading.Lock()
        self._ended = False
        self._is_full = False
        self._has_uncertainty = has_uncertainty
        self._segmenter = dict(segmenter or {})
        self._no_phase = np.full((grid_px, grid_px), np.nan, np.float32)
        self._no_labels = np.zeros((grid_px, grid_px), np.uint16)

    @property
    def is_full(self) -> bool:
        """Whether the recording has ended because the channel was full; any thread may ask."""
        return self._is_full

    def put_frame(self, frame: Frame) -> None:
        """Add a frame; called in the capture thread."""
        with self._lock:
            if self._ended:
                return
            self._waiting.append(_Waiting(frame))
            most = max(1, min(MOST_WAITING, MOST_WAITING_BYTES // frame.pixels.nbytes))
            while self._waiting and len(self._waiting) > most:
                self._record(self._waiting.popleft())
            self._record_late(frame.t_ns)

    def pass_time(self, t_ns: int) -> None:
        """Record the frames that have waited too long at this time; called for frames that are not recorded."""
        with self._lock:
            self._record_late(t_ns)

    def put_view(self, view: LiveView) -> None:
        """Add a reconstruction, or that there is none; called in the inference thread."""
        with self._lock:
            waiting = self._waiting_for(view)
            if waiting is None:
                return
            waiting.reconstruction = view.reconstruction
            self._viewed = view.frame.index
            while self._waiting and self._is_done(self._waiting[0]):
                self._record(self._waiting.popleft())

    def put_overlay(self, overlay: Overlay) -> None:
        """Add the labels of a reconstruction; called in the segmentation thread."""
        with self._lock:
            segmented = self._waiting_for(overlay.view)
            if segmented is None:
                return
            segmented.reconstruction = overlay.view.reconstruction  # the overlay may come before its view
            while self._waiting and self._waiting[0] is not segmented:
                self._record(self._waiting.popleft())
            if self._waiting:  # else the queue was full, and the recording has ended
                self._record(self._waiting.popleft(), overlay)
            while self._waiting and self._is_done(self._waiting[0]):
                self._record(self._waiting.popleft())

    def finish(self) -> None:
        """End the recording: frames that wait are recorded, then the channel is closed."""
        with self._lock:
            self._ended = True
            while self._waiting:
                self._record(self._waiting.popleft())
            self._channel.close()

    def _waiting_for(self, view: LiveView) -> _Waiting | None:
        """Return the frame that waits for a view; None for one of before the recording, or that has waited too long."""
        return next((waiting for waiting in self._waiting if waiting.frame.index == view.frame.index), None)

    def _record_late(self, t_ns: int) -> None:
        while self._waiting and t_ns - self._waiting[0].frame.t_ns > self._patience_ns:
            self._record(self._waiting.popleft())

    def _is_done(self, waiting: _Waiting) -> bool:
        """Whether inference has skipped a frame; one that was reconstructed waits for its labels."""
        return waiting.frame.index <= self._viewed and waiting.reconstruction is None

    def _record(self, waiting: _Waiting, overlay: Overlay | None = None) -> None:
        labels = overlay.labels if overlay is not None else None
        frame, reconstruction = waiting.frame, waiting.reconstruction
        phase = None if reconstruction is None else reconstruction.phase_rad
        uncertainty = None if reconstruction is None else reconstruction.uncertainty_rad
        item = RecordItem(
            frame=frame if reconstruction is None else reconstruction.with_mark(frame),
            phase_rad=self._no_phase if phase is None else phase,
            model_id="" if reconstruction is None else reconstruction.model_id,
            engine=NOT_RECONSTRUCTED if reconstruction is None else reconstruction.engine,
            latency_s=0.0 if reconstruction is None else reconstruction.latency_s,
            labels=self._no_labels if labels is None else labels,
            uncertainty_rad=(self._no_phase if uncertainty is None else uncertainty) if self._has_uncertainty else None,
            disc=None if reconstruction is None else reconstruction.mask,
            reconstructed=reconstruction is not None,
            segmented=labels is not None,
            method_facts={**({} if reconstruction is None else _facts_of(reconstruction)), **self._segmenter_facts(overlay)},
        )
        try:
            self._channel.put(item)
        except ChannelOverflowError as error:
            # A recording has no gaps: the recorder writes what is queued and reports at which frame the recording ends.
            self._is_full = True
            self._end(error)
        except ChannelClosedError:
            self._end()

    def _segmenter_facts(self, overlay: Overlay | None) -> dict[str, str]:
        if overlay is None or overlay.labels is None or not overlay.segmenter or overlay.segmenter == self._segmenter:
            return {}
        return {ROW_SEGMENTER: json.dumps(overlay.segmenter, sort_keys=True)}

    def _end(self, error: ChannelOverflowError | None = None) -> None:
        self._ended = True
        self._waiting.clear()
        self._channel.close(error)


def _facts_of(reconstruction: Reconstruction) -> dict[str, str | int]:
    """Return how a phase was drawn; nothing for models that draw no samples, whose hash says everything."""
    sampling = reconstruction.sampling
    return sampling.facts(reconstruction.model_name) if sampling is not None else {}
