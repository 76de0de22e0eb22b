"""One recording being recorded: frames and reconstructions joined, queued without loss, written in a thread of their own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from acquisition.archive.recorder import Recorder, RecordItem
from acquisition.streams.channel import Channel, Overflow, Stage
from app.live.frame_joiner import FrameJoiner
from app.status import RecordingStatus


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
    queue : int
        Frames that may wait for the disk; one more stops the recording, with the frame's number.
    """

    def __init__(self, root: Path, name: str, metadata: Mapping[str, object], grid_px: int, queue: int) -> None:
        self._channel: Channel[RecordItem] = Channel("record", queue, Overflow.FAIL)
        self._recorder = Recorder(root, name, metadata, self._channel)
        self._started_s = time.monotonic()
        self._ended_s = 0.0
        self.joiner = FrameJoiner(self._channel, grid_px)
        self.stage = Stage("record", self._recorder.run)
        self.stage.start()

    @property
    def dropped(self) -> int:
        """Frames that the recording lost; more than 0 would be a defect."""
        return self._channel.dropped

    def finish(self) -> None:
        """End the recording; the recorder writes what is queued."""
        self.joiner.finish()
        self._ended_s = self._ended_s or time.monotonic()

    def status(self) -> RecordingStatus:
        """Return the recording's state."""
        running = self.stage.running
        seconds = (self._ended_s or time.monotonic()) - self._started_s
        verdict = "" if running else self._recorder.verdict
        return RecordingStatus(running, self._recorder.path, self._recorder.frames_recorded, seconds, verdict)
