"""Joining camera frames with their reconstructions for a recording. Every frame is recorded, also when inference skipped it."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np

from acquisition.archive.recorder import RecordItem
from acquisition.streams.channel import Channel, ChannelClosedError, ChannelOverflowError
from drivers.base import Frame
from reconstruction.base import Reconstruction

#: Engine name in rows of frames that inference skipped; their phase is NaN, and the row says that they have no labels.
NOT_RECONSTRUCTED = "none"


class FrameJoiner:
    """Pairs frames from the capture thread with reconstructions from the inference thread, in frame order.

    Inference works through the frames in order and may skip some. When the reconstruction of frame k arrives, every older
    frame that still waits was skipped. It is recorded without a phase.

    Parameters
    ----------
    channel : Channel of RecordItem
        Leads to the recorder; its overflow policy is FAIL.
    grid_px : int
        Side of the phase images.
    patience : int
        The largest number of frames that wait for inference. Beyond it frames are recorded without a phase, so that a
        recording continues when inference has failed.
    """

    def __init__(self, channel: Channel[RecordItem], grid_px: int, patience: int = 32) -> None:
        self._channel = channel
        self._patience = patience
        self._waiting: deque[Frame] = deque()
        self._lock = threading.Lock()
        self._ended = False
        self._no_phase = np.full((grid_px, grid_px), np.nan, np.float32)
        self._no_labels = np.zeros((grid_px, grid_px), np.uint16)

    def put_frame(self, frame: Frame) -> None:
        """Add a frame; called in the capture thread."""
        with self._lock:
            if self._ended:
                return
            self._waiting.append(frame)
            while len(self._waiting) > self._patience:
                self._record(self._without_phase(self._waiting.popleft()))

    def put_reconstruction(self, reconstruction: Reconstruction) -> None:
        """Add a reconstruction; called in the inference thread."""
        with self._lock:
            while self._waiting and self._waiting[0].index < reconstruction.frame_index:
                self._record(self._without_phase(self._waiting.popleft()))
            if self._waiting and self._waiting[0].index == reconstruction.frame_index:
                self._record(self._with_phase(self._waiting.popleft(), reconstruction))

    def finish(self) -> None:
        """End the recording: frames that wait are recorded, then the channel is closed."""
        with self._lock:
            self._ended = True
            while self._waiting:
                self._record(self._without_phase(self._waiting.popleft()))
            self._channel.close()

    def _with_phase(self, frame: Frame, reconstruction: Reconstruction) -> RecordItem:
        labels = reconstruction.labels if reconstruction.labels is not None else self._no_labels
        return RecordItem(
            frame=reconstruction.with_mark(frame),
            phase_rad=reconstruction.phase_rad,
            model_id=reconstruction.model_id,
            engine=reconstruction.engine,
            latency_s=reconstruction.latency_s,
            labels=labels,
            segmented=reconstruction.labels is not None,
        )

    def _without_phase(self, frame: Frame) -> RecordItem:
        return RecordItem(
            frame=frame,
            phase_rad=self._no_phase,
            model_id="",
            engine=NOT_RECONSTRUCTED,
            latency_s=0.0,
            labels=self._no_labels,
            reconstructed=False,
            segmented=False,
        )

    def _record(self, item: RecordItem) -> None:
        try:
            self._channel.put(item)
        except ChannelOverflowError as error:
            # A recording has no gaps: the recorder writes what is queued and reports at which frame the recording ends.
            self._end(error)
        except ChannelClosedError:
            self._end()

    def _end(self, error: ChannelOverflowError | None = None) -> None:
        self._ended = True
        self._waiting.clear()
        self._channel.close(error)
