"""One recording of the live view: frames and reconstructions are joined, queued without loss, and written by a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from acquisition.archive.kinds import RecordingEnd
from acquisition.archive.recorder import Recorder, RecordItem
from acquisition.archive.recording_faults import RecordingFault, marker
from acquisition.streams.channel import Channel, Overflow, Stage
from acquisition.streams.free_memory import free_memory_bytes
from app.live.frame_joiner import MOST_WAITING, MOST_WAITING_BYTES, FrameJoiner
from app.live.recordings.disk_watch import DiskWatch
from app.live.recordings.folder_check import check_folder
from app.live.recordings.frame_choice import FrameChoice
from app.live.recordings.lapse_search import LapseSearch
from app.live.recordings.options import RecordingOptions
from app.status import LiveView, Message, Overlay, RecordingState, RecordingStatus
from calibration.reference_state import ReferenceState
from drivers.base import Frame

#: Bytes of a phase, an uncertainty and a label.
_GRID_BYTES = 4 + 4 + 2
#: The part of the free memory that frames may use while they wait for the disk.
_MEMORY_PART = 4


def queue_bytes_of(record_queue_mb: float | None) -> int:
    """Return the memory for frames that wait for the disk, in bytes: what is set, or a quarter of the free memory."""
    return free_memory_bytes() // _MEMORY_PART if record_queue_mb is None else round(record_queue_mb * 1e6)


def item_bytes(item: RecordItem) -> int:
    """Return the memory of a frame with its results, in bytes; frames without results share theirs."""
    phase = item.phase_rad.nbytes if item.reconstructed else 0
    labels = item.labels.nbytes if item.labels is not None and item.segmented else 0
    uncertainty = phase if item.uncertainty_rad is not None else 0
    return item.frame.pixels.nbytes + phase + uncertainty + labels


@dataclass(frozen=True)
class RecordingSettings:
    """What limits a recording.

    Parameters
    ----------
    queue_bytes : int
        Memory for frames that wait for the disk, in bytes. One frame more stops the recording, which then reports the number
        of that frame. Frames that wait for their reconstruction need some memory beside it.
    options : RecordingOptions
        After how much it ends by itself, and which frames it has.
    has_uncertainty : bool
        Whether the method gives a standard deviation of the phase.
    segmenter : mapping
        What labels depend on by the metadata of the recording.
    """

    queue_bytes: int
    options: RecordingOptions = field(default_factory=RecordingOptions)
    has_uncertainty: bool = False
    segmenter: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class _End:
    """What ended a recording, and when."""

    ended_by: RecordingEnd
    ended_s: float


class LiveRecording:
    """Records from construction until :meth:`finish`, until it has its set length, or until an error.

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
    settings : RecordingSettings
        What limits it.

    Raises
    ------
    RecordingOptionsError
        The folder cannot hold a recording; nothing was begun.
    """

    def __init__(
        self, root: Path, name: str, metadata: Mapping[str, object], grid_px: int, settings: RecordingSettings
    ) -> None:
        check_folder(root)
        # Frames that wait for their reconstruction come at once when it does, or when the recording ends.
        at_once = MOST_WAITING_BYTES + MOST_WAITING * grid_px**2 * _GRID_BYTES
        self._channel: Channel[RecordItem] = Channel("record", settings.queue_bytes + at_once, Overflow.FAIL, item_bytes)
        self._recorder = Recorder(root, name, metadata, self._channel)
        self._recorder.expects_every_frame = settings.options.has_every_frame
        self._recorder.check_disk = settings.options.check_disk
        self._joiner = FrameJoiner(
            self._channel, grid_px, has_uncertainty=settings.has_uncertainty, segmenter=settings.segmenter
        )
        self._disk = DiskWatch()
        self._next_index: int | None = None
        self._length = settings.options.length
        self._choice = FrameChoice(settings.options)
        self._search = LapseSearch() if settings.options.every_s is not None else None
        self._frames_put = 0
        self._first_ns: int | None = None
        self._started_s = time.monotonic()
        self._end: _End | None = None
        self._end_lock = threading.Lock()
        self.stage = Stage("record", self._work)
        self.stage.start()

    def put_earlier_frame(self, frame: Frame) -> None:
        """Record a frame of before the recording was asked for; the set length begins after it."""
        self._next_index = frame.index + 1
        if self._choice.wants(frame):
            self._joiner.put_frame(frame)

    def put_frame(self, frame: Frame) -> None:
        """Record a frame, if the options choose it; called in the capture thread."""
        if self._end is not None:
            return
        self._next_index = frame.index + 1
        self._first_ns = frame.t_ns if self._first_ns is None else self._first_ns
        seconds = (frame.t_ns - self._first_ns) * 1e-9
        if self._length.seconds is not None and seconds >= self._length.seconds:
            self.finish(RecordingEnd.SET_LENGTH)
            return
        chosen = frame if self._choice.wants(frame) else None
        if self._search is not None:
            chosen = self._search.put_frame(frame, is_due=chosen is not None)
        if chosen is not None:
            self._record(chosen)
        else:
            self._joiner.pass_time(frame.t_ns)
        self._end_if_full()

    def put_reference(self, state: ReferenceState) -> None:
        """Store what is reconstructed against from the next frame on; called in the capture thread, or before any frame."""
        if state.known:
            self._recorder.put_reference(state.stored(self._next_index))

    def put_view(self, view: LiveView) -> None:
        """Record the reconstruction of a frame; called in the inference thread."""
        chosen = self._search.put_view(view) if self._search is not None else None
        if chosen is not None and self._end is None:
            self._record(chosen, view)
        else:
            self._joiner.put_view(view)
        self._end_if_full()

    def _record(self, frame: Frame, view: LiveView | None = None) -> None:
        self._joiner.put_frame(frame)
        if view is not None:
            self._joiner.put_view(view)
        self._frames_put += 1
        if self._frames_put == self._length.frames:
            self.finish(RecordingEnd.SET_LENGTH)

    def put_overlay(self, overlay: Overlay) -> None:
        """Record the labels of a reconstruction; called in the segmentation thread."""
        self._joiner.put_overlay(overlay)
        self._end_if_full()

    def put_fault(self, fault: RecordingFault) -> None:
        """Record what went wrong until the recording ends; called in the capture thread."""
        if self._end is None:
            self._recorder.log.add(fault)

    def add_marker(self, text: str) -> None:
        """Mark this moment; the marker names the newest frame. Any thread may call this. Raises StorageError for a bad text."""
        if self._end is None:
            self._recorder.log.add(marker(text, max(0, (self._next_index or 0) - 1)))

    def _end_if_full(self) -> None:
        """End a recording whose memory is full: no frame is recorded from now on, also while the disk still stalls."""
        if self._joiner.is_full and self._end is None:
            self.finish(RecordingEnd.ERROR)

    def finish(self, ended_by: RecordingEnd = RecordingEnd.OPERATOR) -> None:
        """End the recording; the recorder writes what is queued. Only the first end counts; any thread may call this."""
        with self._end_lock:
            if self._end is not None:
                return
            self._end = _End(ended_by, time.monotonic())
            self._recorder.end(ended_by)
        pending = self._search.give_up() if self._search is not None else None
        if pending is not None:
            self._joiner.put_frame(pending)
        self._joiner.finish()

    def _work(self, stop: threading.Event) -> None:
        try:
            self._recorder.run(stop)
        except BaseException:
            self.finish(RecordingEnd.ERROR)
            raise

    def disk_message(self) -> Message | None:
        """Return what has to be said of a disk that stalls, or goes on after that; to be asked a few times a second."""
        return self._disk.look(self._recorder.frames_recorded, self._channel.waiting if self.stage.running else 0)

    def status(self) -> RecordingStatus:
        """Return what the recording is doing."""
        state, end = self._state(), self._end
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
            seconds=(time.monotonic() if end is None else end.ended_s) - self._started_s,
            ended_by=end.ended_by if end is not None else None,
            finish_reason=self._recorder.finish_reason if finished else None,
            verdict=self._recorder.verdict if finished else "",
        )

    def _state(self) -> RecordingState:
        if not self.stage.running:
            return RecordingState.FINISHED
        return RecordingState.RECORDING if self._end is None else RecordingState.WRITING
