"""A disk that stalls is told while frames wait for it in memory, and so is that it goes on."""

from __future__ import annotations

import time

from app.status import Message, MessageLevel, Topic

#: When frames wait for so long and none is stored, the disk stalls. They begin to wait at most 1 s after it does.
STALLED_S = 0.5


class DiskWatch:
    """Looks at what one recording has stored."""

    def __init__(self) -> None:
        self._stored = 0
        self._well_s = time.monotonic()
        self._is_reported = False

    def look(self, frames_stored: int, bytes_waiting: int) -> Message | None:
        """Return what has to be said, if anything.

        Parameters
        ----------
        frames_stored : int
            Frames that are safe on the disk.
        bytes_waiting : int
            Memory of the frames that wait for it, in bytes.
        """
        now_s = time.monotonic()
        if frames_stored != self._stored:
            self._stored, self._well_s = frames_stored, now_s
            if self._is_reported:
                self._is_reported = False
                return Message(MessageLevel.INFO, "the disk stores frames again", Topic.RECORDING)
        elif not bytes_waiting:
            self._well_s = now_s
        elif not self._is_reported and now_s - self._well_s >= STALLED_S:
            self._is_reported = True
            text = "the disk does not answer; frames wait in memory, and none is lost until the memory is full"
            return Message(MessageLevel.WARNING, text, Topic.RECORDING)
        return None
