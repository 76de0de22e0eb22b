"""Reads what is known of the entry that is selected, in a thread; when another one is selected meanwhile, only that counts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.jobs.latest_work import LatestWork
from app.library.description import Fact, describe
from app.library.entry import Entry
from app.library.thumbnails import Thumbnail, picture_of
from app.status import FAULT_TEXTS

_SIDE_PX = 256


@dataclass(frozen=True, eq=False)
class Known:
    """What was read of an entry.

    Parameters
    ----------
    path : Path
        Its folder.
    facts : tuple of Fact
        What is known of it, in words.
    picture : ndarray, optional
        A frame and its phase, red, green and blue; None where nothing can be shown.
    """

    path: Path
    facts: tuple[Fact, ...]
    picture: Thumbnail | None


class SelectedReader:
    """Reads one entry at a time."""

    def __init__(self) -> None:
        self._work: LatestWork[Known] = LatestWork("read an entry")
        self._asked: Entry | None = None

    def read(self, entry: Entry | None) -> None:
        """Begin to read an entry, unless it is the same as before; None reads nothing."""
        if entry == self._asked:
            return
        self._asked = entry
        if entry is None:
            self._work.forget()
        else:
            self._work.ask(lambda stop: Known(entry.path, describe(entry, FAULT_TEXTS), picture_of(entry, _SIDE_PX)))

    def poll(self) -> Known | None:
        """Return what was read, once; None while there is nothing new."""
        outcome = self._work.poll()
        return outcome.value if outcome is not None else None
