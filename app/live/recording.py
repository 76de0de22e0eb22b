"""One recording of the live view: frames and reconstructions are joined, queued without loss, and written by a thread."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from acquisition.archive.recorder import Recorder, RecordItem
from acquisition.archive.recording_faults import RecordingFault
from acquisition.streams.channel import Channel, Overflow, Stage
from acquisition.streams.free_memory import free_memory_bytes
from app.live.frame_joiner import MOST_WAITING, MOST_WAITING_BYTES, FrameJoiner
from app.status import LiveView, Overlay, RecordingState, RecordingStatus
from calibration.reference_state import ReferenceState
from drivers.base import Frame

#: Bytes of a phase and a label.
_GRID_BYTES = 4 + 2
#: The part of the free memory that frames may use while they wait for the disk.
_MEMORY_PART = 4


def queue_bytes_of(record_queue_mb: float | None) -> int:
    """Return the memory for frames that wait for the disk, in bytes: what is set, or a quarter of the free memory."""
    return free_memory_bytes() // _MEMORY_PART if record_queue_mb is None else round(record_queue_mb * 1e6)


def item_bytes(item: RecordItem) -> int:
    """Return the memory of a frame with its results, in bytes; frames without results share theirs."""
    phase = item.phase_rad.nbytes if item.reconstructed else 0
    labels = item.labels.nbytes if item.labels is not None and item.segmented else 0
    return item.frame.pixels.nbytes + phase + labels


class LiveRecording:
    """Records from construction until :meth:`finish`.

    Parameters
    ----------
    root : Path
        Folder of archives.
    name : str
        The recording's name, for people.
    metadata : mapping
        Facts about the instrument and its model.
    grid_px : int
        Side of the phase images.
    queue_bytes : int
        Memory for frames that wait for the disk, in bytes. One frame more stops the recording, which then reports the number
        of that frame. Frames that wait for their reconstruction need some memory beside it.
    """

    def __init__(self, root: Path, name: str, metadata: Mapping[str, object], grid_px: int, queue_bytes: int) -> None:
        # Frames that wait for their reconstruction come at once when it does, or when the recording ends.
        at_once = MOST_WAITING_BYTES + MOST_WAITING * grid_px**2 * _GRID_BYTES
        self._channel: Channel[RecordItem] = Channel("record", queue_bytes + at_once, Overflow.FAIL, item_bytes)
        self._recorder = Recorder(root, name, metadata, self._channel)
        self._joiner = FrameJoiner(self._channel, grid_px)
        self._next_index: int | None = None
        self._started_s = time.monotonic()
        self._ended_s: float | None = None
        self.stage = Stage("record", self._recorder.run)
        self.stage.start()

    def put_frame(self, frame: Frame) -> None:
        """Record a frame; called in the capture thread."""
        self._next_index = frame.index + 1
        self._joiner.put_frame(frame)

    def put_reference(self, state: ReferenceState) -> None:
        """Store what is reconstructed against from the next frame on; called in the capture thread, or before any frame."""
        if state.known:
            self._recorder.put_reference(state.stored(self._next_index))

    def put_view(self, view: LiveView) -> None:
        """Record the reconstruction of a frame; called in the inference thread."""
        self._joiner.put_view(view)

    def put_overlay(self, overlay: Overlay) -> None:
        """Record the labels of a reconstruction; called in the segmentation thread."""
        self._joiner.put_overlay(overlay)

    def put_fault(self, fault: RecordingFault) -> None:
        """Record what went wrong; called in the capture thread."""
        self._recorder.log.add(fault)

    def finish(self) -> None:
        """End the recording; the recorder writes what is queued."""
        self._joiner.finish()
        if self._ended_s is None:
            self._ended_s = time.monotonic()

    def status(self) -> RecordingStatus:
        """Return what the recording is doing."""
        ended_s = time.monotonic() if self._ended_s is None else self._ended_s
        state = self._state()
        finished = state is RecordingState.FINISHED
        return RecordingStatus(
            state=state,
            path=self._recorder.path,
            frames_recorded=self._recorder.frames_recorded,
            frames_dropped=self._channel.dropped,
            faults=self._recorder.faults,
            frames_missing=self._recorder.log.frames_missing,
            frames_not_reconstructed=self._recorder.frames_not_reconstructed,
            frames_not_segmented=self._recorder.frames_not_segmented,
            seconds=ended_s - self._started_s,
            finish_reason=self._recorder.finish_reason if finished else None,
            verdict=self._recorder.verdict if finished else "",
        )

    def _state(self) -> RecordingState:
        if not self.stage.running:
            return RecordingState.FINISHED
        return RecordingState.RECORDING if self._ended_s is None else RecordingState.WRITING
