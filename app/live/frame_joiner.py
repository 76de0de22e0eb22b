"""Joining what is recorded: every camera frame, with its reconstruction where the droppable inference made one."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np

from acquisition.archive.recorder import RecordItem
from acquisition.streams.channel import Channel, ChannelClosedError, ChannelOverflowError
from drivers.base import Frame
from reconstruction.base import Reconstruction

#: Engine name in rows of frames that inference skipped; their phase is NaN.
NOT_RECONSTRUCTED = "none"


class FrameJoiner:
    """Pairs frames from the capture thread with reconstructions from the inference thread, in frame order.

    Inference works through frames in order and may skip some. So when the reconstruction of frame k arrives, every older
    frame still waiting was skipped: it is recorded all the same, without a phase.

    Parameters
    ----------
    channel : Channel of RecordItem
        To the recorder, policy FAIL.
    grid_px : int
        Side of the phase images.
    patience : int
        Frames that wait for inference at most; when it is dead the recording goes on without it.
    """

    def __init__(self, channel: Channel[RecordItem], grid_px: int, patience: int = 32) -> None:
        self._channel = channel
        self._patience = patience
        self._waiting: deque[Frame] = deque()
        self._lock = threading.Lock()
        self._ended = False
        self._no_phase = np.full((grid_px, grid_px), np.nan, np.float32)
        self._no_labels = np.zeros((grid_px, grid_px), np.uint16)

    def frame(self, frame: Frame) -> None:
        """Take a frame, from the capture thread."""
        with self._lock:
            if self._ended:
                return
            self._waiting.append(frame)
            while len(self._waiting) > self._patience:
                self._record(self._without_phase(self._waiting.popleft()))

    def reconstruction(self, made: Reconstruction) -> None:
        """Take a reconstruction, from the inference thread."""
        with self._lock:
            while self._waiting and self._waiting[0].index < made.frame_index:
                self._record(self._without_phase(self._waiting.popleft()))
            if self._waiting and self._waiting[0].index == made.frame_index:
                labels = made.labels if made.labels is not None else self._no_labels
                frame = self._waiting.popleft()
                self._record(RecordItem(frame, made.phase_rad, made.model_id, made.engine, made.latency_s, labels))

    def finish(self) -> None:
        """End the recording: what waits is recorded, then the channel closes."""
        with self._lock:
            self._ended = True
            while self._waiting:
                self._record(self._without_phase(self._waiting.popleft()))
            self._channel.close()

    def _without_phase(self, frame: Frame) -> RecordItem:
        return RecordItem(frame, self._no_phase, "", NOT_RECONSTRUCTED, 0.0, self._no_labels)

    def _record(self, item: RecordItem) -> None:
        try:
            self._channel.put(item)
        except ChannelOverflowError as error:
            # Lossless or stopped: the recorder writes what it has and says at which frame the recording ends.
            self._ended = True
            self._waiting.clear()
            self._channel.close(error)
        except ChannelClosedError:
            self._ended = True
            self._waiting.clear()
