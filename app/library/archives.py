"""Several archives at once: each is looked at again and again in a thread of its own, so one on a slow disk delays no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from acquisition.streams.channel import Stage
from app.library.cache import cache_file
from app.library.entry import Entry, LibraryError
from app.library.library import Library
from drivers.base import SpeckleScopeError

#: Pause between two looks at an archive, in seconds. A removed disk comes back within this time.
LOOK_EVERY_S = 5.0
#: How often a look that has not ended tells what it has found so far, in seconds.
_TELL_EVERY_S = 0.5


class ArchiveState(Enum):
    """What is known of an archive.

    ::

        LOOKING --> READY <--> GONE
           |                     ^
           +--> ABSENT           |
           |                     |
           +---------------------+
    """

    #: It is looked through for the first time; its list may not be whole.
    LOOKING = "looking"
    #: Its list is what was on the disk a few seconds ago.
    READY = "ready"
    #: It cannot be read, for instance because its disk was removed. Nothing of it is listed.
    GONE = "gone"
    #: There is no such folder, and nothing is known of it: nothing was stored there yet.
    ABSENT = "absent"


@dataclass(frozen=True, kw_only=True)
class ArchiveStatus:
    """An archive, and how far it is known.

    Parameters
    ----------
    root : Path
        Its folder.
    state : ArchiveState
        What is known of it.
    done, total : int
        Folders that were looked at, and how many there are; 0 of 0 before the first.
    entries : int
        How many entries are known; of an archive that is gone, how many there were.
    problem : str
        Why it cannot be read, as a sentence; empty when it can.
    """

    root: Path
    state: ArchiveState
    done: int = 0
    total: int = 0
    entries: int = 0
    problem: str = ""


class Archives:
    """The entries of several archives, newest first. One thread calls this; each archive has another one.

    Parameters
    ----------
    cache_folder : Path, optional
        Where to remember what was found; by default in the person's cache folder.
    """

    def __init__(self, cache_folder: Path | None = None) -> None:
        self._cache_folder = cache_folder
        self._watched: tuple[_Watched, ...] = ()
        self._running = False
        self._changes = 0

    @property
    def roots(self) -> tuple[Path, ...]:
        """The archives."""
        return tuple(watched.root for watched in self._watched)

    @property
    def changes(self) -> int:
        """A number that grows whenever something new is known."""
        return self._changes + sum(watched.changes for watched in self._watched)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries of the archives that can be read, newest first."""
        return self._merged(lambda library: library.entries)

    def statuses(self) -> tuple[ArchiveStatus, ...]:
        """Return what is known of each archive."""
        return tuple(watched.status for watched in self._watched)

    def search(self, query: str) -> tuple[Entry, ...]:
        """Return the entries that fit the words, newest first; see :mod:`app.library.search`."""
        return self._merged(lambda library: library.search(query))

    def use(self, roots: Iterable[Path]) -> None:
        """Watch these archives and no others. One that lies in another one is left out: its entries are there already."""
        wanted = _outermost(roots)
        if wanted == self.roots:
            return
        before = {watched.root: watched for watched in self._watched}
        self._watched = tuple(before[root] if root in before else _Watched(root, self._cache_of(root)) for root in wanted)
        removed = [watched for root, watched in before.items() if root not in wanted]
        self._changes += 1 + sum(watched.changes for watched in removed)
        for watched in removed:
            watched.stop()
        if self._running:
            self.start()

    def start(self) -> None:
        """Look at every archive now, and then again and again."""
        self._running = True
        for watched in self._watched:
            watched.start()

    def stop(self) -> None:
        """Look at nothing any more; returns at once."""
        self._running = False
        for watched in self._watched:
            watched.stop()

    def join(self, timeout_s: float) -> bool:
        """Wait until nothing is looked at; return whether that is so."""
        return all(watched.join(timeout_s) for watched in self._watched)

    def look(self, *folders: Path) -> None:
        """Look at some entries again soon, for instance after a change of their notes; without any, at everything."""
        for watched in self._watched:
            watched.look(frozenset(folder for folder in folders if folder.is_relative_to(watched.root)), everything=not folders)

    def root_of(self, path: Path) -> Path:
        """Return the archive that an entry is in.

        Raises
        ------
        LibraryError
            It is in none of them.
        """
        for root in self.roots:
            if path.is_relative_to(root) and path != root:
                return root
        raise LibraryError(f"{path} is in none of the archives that are shown; add its archive first")

    def _cache_of(self, root: Path) -> Library:
        return Library(root, None if self._cache_folder is None else self._cache_folder / cache_file(root).name)

    def _merged(self, of: Callable[[Library], tuple[Entry, ...]]) -> tuple[Entry, ...]:
        there = [watched for watched in self._watched if watched.status.state not in (ArchiveState.GONE, ArchiveState.ABSENT)]
        lists = [of(watched.library) for watched in there]
        if len(lists) == 1:
            return lists[0]
        return tuple(sorted((entry for entries in lists for entry in entries), key=_age))


def _age(entry: Entry) -> float:
    return -entry.date.timestamp() if entry.date is not None else 0.0


def _outermost(roots: Iterable[Path]) -> tuple[Path, ...]:
    unique = tuple(dict.fromkeys(root.absolute() for root in roots))
    return tuple(root for root in unique if not any(root != other and root.is_relative_to(other) for other in unique))


class _Watched:
    """One archive, and the thread that looks at it."""

    def __init__(self, root: Path, library: Library) -> None:
        self.root = root
        self.library = library
        self.status = ArchiveStatus(root=root, state=ArchiveState.LOOKING)  # replaced as a whole
        self.changes = 0
        self._changed_s = 0.0
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._folders: frozenset[Path] = frozenset()
        self._everything = True
        self._stage: Stage | None = None
        self._stopping = False

    def start(self) -> None:
        self.look(frozenset(), everything=True)
        if self._stage is None or self._stopping or not self._stage.running:
            self._stopping = False
            self._stage = Stage(f"look at {self.root}", self._work, after=self._stage)
            self._stage.start()

    def stop(self) -> None:
        if self._stage is not None:
            self._stopping = True
            self._stage.request_stop()
            self._wake.set()

    def join(self, timeout_s: float) -> bool:
        return self._stage is None or self._stage.join(timeout_s)

    def look(self, folders: frozenset[Path], *, everything: bool) -> None:
        with self._lock:
            self._folders |= folders
            self._everything = self._everything or everything
        if folders or everything:
            self._wake.set()

    def _work(self, stop: threading.Event) -> None:
        if not self.library.entries and self.library.load():
            self._tell(ArchiveStatus(root=self.root, state=ArchiveState.LOOKING, entries=len(self.library.entries)))
        while not stop.is_set():
            self._wake.clear()
            with self._lock:
                folders, everything = self._folders, self._everything
                self._folders, self._everything = frozenset(), False
            self._look(folders, stop, everything=everything)
            if not stop.is_set() and not self._wake.wait(LOOK_EVERY_S):
                self._everything = True

    def _look(self, folders: frozenset[Path], stop: threading.Event, *, everything: bool) -> None:
        before, state = self.library.entries, self.status.state
        try:
            if folders and state is not ArchiveState.GONE:
                self.library.refresh(*folders)
            if everything:
                self.library.scan(self._progress, stop)
        except (SpeckleScopeError, OSError) as error:
            state = ArchiveState.GONE if before or self.root.exists() else ArchiveState.ABSENT
            status = ArchiveStatus(root=self.root, state=state, entries=len(before), problem=str(error))
        else:
            state = ArchiveState.READY if everything and not stop.is_set() else state
            status = ArchiveStatus(root=self.root, state=state, entries=len(self.library.entries))
        if status != self.status or self.library.entries != before:
            self._tell(status)

    def _progress(self, done: int, total: int) -> None:
        now_s = time.monotonic()
        if self.status.state is ArchiveState.LOOKING and now_s - self._changed_s >= _TELL_EVERY_S:
            self._changed_s = now_s
            entries = len(self.library.entries)
            self._tell(ArchiveStatus(root=self.root, state=self.status.state, done=done, total=total, entries=entries))

    def _tell(self, status: ArchiveStatus) -> None:
        self.status = status
        self.changes += 1
