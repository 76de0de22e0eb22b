"""All entries of one archive folder, newest first: looked through folder by folder, and searched."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from acquisition.archive.folder import LockState, lock_state, one_line
from app.library import cache
from app.library.entry import Entry, EntryEnd, LibraryError
from app.library.folder_reader import Signature, is_entry, is_settled, read_entry, signature
from app.library.search import Search, SearchText

#: Called with how many folders are done, and how many there are.
Progress = Callable[[int, int], None]
#: Entries lie at most so many folders deep.
_DEEPEST = 4
#: How often the list is made again while an archive is looked through, in seconds.
_LIST_EVERY_S = 0.5


@dataclass(frozen=True)
class _Listed:
    entry: Entry
    prepared: SearchText


class _Look:
    """What one look at an archive has found so far, and what earlier looks have.

    Parameters
    ----------
    known : dict
        What earlier looks have found; replaced entry by entry.
    """

    def __init__(self, known: dict[str, tuple[Signature, Entry]]) -> None:
        self.known = known
        self._unsettled: dict[str, Entry] = {}
        self._seen: set[str] = set()
        self._listed_s = time.monotonic()

    def add(self, name: str, folder: Path) -> None:
        """Look at one folder."""
        mark, entry = _looked_at(folder, self.known.pop(name, None))
        if entry is None:
            return
        self._seen.add(name)
        if mark is not None:
            self.known[name] = mark, entry
        else:
            self._unsettled[name] = entry

    def entries(self) -> dict[str, Entry]:
        """Return all entries."""
        return {name: entry for name, (_, entry) in self.known.items()} | self._unsettled

    def is_time_to_list(self) -> bool:
        """Whether the list was made some time ago: a first look at a large archive takes long."""
        now_s = time.monotonic()
        if now_s - self._listed_s < _LIST_EVERY_S:
            return False
        self._listed_s = now_s
        return True

    def forget_others(self) -> None:
        """Forget the entries that are not there any more: all folders were looked at."""
        self.known = {name: known for name, known in self.known.items() if name in self._seen}


class Library:
    """The entries of an archive.

    Any thread may read :attr:`entries` and search; one thread at a time looks through the archive.

    Parameters
    ----------
    root : Path
        The archive: the folder that holds recordings, datasets and snapshots, also in folders of it.
    cache_file : Path, optional
        Where to remember what was found. By default in the person's cache folder.

    Examples
    --------
    >>> library = Library(root)  # doctest: +SKIP
    >>> library.load()  # what the last look found, at once  # doctest: +SKIP
    >>> library.scan()  # what is on the disk now  # doctest: +SKIP
    >>> library.search("liver starred -simulated")  # doctest: +SKIP
    """

    def __init__(self, root: Path, cache_file: Path | None = None) -> None:
        self.root = root
        self._cache_file = cache_file or cache.cache_file(root)
        self._known: dict[str, tuple[Signature, Entry]] = {}
        self._listed: tuple[_Listed, ...] = ()  # replaced as a whole
        self._scanning = threading.Lock()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries, newest first."""
        return tuple(listed.entry for listed in self._listed)

    def search(self, query: str) -> tuple[Entry, ...]:
        """Return the entries that fit the words, newest first; see :mod:`app.library.search`."""
        search = Search(query)
        return tuple(listed.entry for listed in self._listed if search.fits(listed.entry, listed.prepared))

    def load(self) -> tuple[Entry, ...]:
        """List what the last look at this archive found, without looking at it."""
        with self._scanning:
            self._known = cache.load(self._cache_file, self.root)
            self._list({name: entry for name, (_, entry) in self._known.items()})
        return self.entries

    def scan(self, progress: Progress = lambda done, total: None, stop: threading.Event | None = None) -> tuple[Entry, ...]:
        """Look through the archive, and return all entries. Folders that did not change are not read again.

        Parameters
        ----------
        progress : callable
            Called with how many entries were looked at, and how many there are.
        stop : threading.Event, optional
            Ends the look when it is set; what was found until then is listed, beside what was known. A long look lists what it
            has found from time to time.

        Raises
        ------
        LibraryError
            The archive cannot be read, for instance because its disk was removed. What was listed stays.
        """
        with self._scanning:
            known = self._known or cache.load(self._cache_file, self.root)
            look = _Look(dict(known))
            places = list(self._places(stop))
            for done, (name, folder) in enumerate(places):
                if stop is not None and stop.is_set():
                    break
                look.add(name, folder)
                if look.is_time_to_list():
                    self._list(look.entries())
                progress(done + 1, len(places))
            else:
                if not self.root.is_dir():  # removed while it was read
                    raise self._gone()
                look.forget_others()
            self._known = look.known
            self._list(look.entries())
            if self._known != known:
                cache.save(self._cache_file, self.root, self._known)
        return self.entries

    def refresh(self, *folders: Path) -> tuple[Entry, ...]:
        """Look at single folders again, for instance after a change of their notes; those that are gone are left out."""
        with self._scanning:
            listed = {str(listed.entry.path.relative_to(self.root)): listed.entry for listed in self._listed}
            for folder in folders:
                name = str(folder.relative_to(self.root))
                listed.pop(name, None)
                self._known.pop(name, None)
                entry = _looked_at(folder, None)[1]
                if entry is not None:
                    listed[name] = entry
            self._list(listed)
        return self.entries

    def _places(self, stop: threading.Event | None) -> Iterator[tuple[str, Path]]:
        """Yield the name and the path of every entry's folder; hidden folders are none."""
        try:
            next(self.root.iterdir(), None)
        except OSError as error:
            raise self._gone(error) from error
        pending = [(self.root, 1)]
        while pending and not (stop is not None and stop.is_set()):
            parent, depth = pending.pop()
            for folder in _folders(parent):
                try:
                    if is_entry(folder):
                        yield str(folder.relative_to(self.root)), folder
                    elif depth < _DEEPEST:
                        pending.append((folder, depth + 1))
                except OSError:
                    continue  # deleted meanwhile, or not ours to read

    def _gone(self, error: OSError | None = None) -> LibraryError:
        reason = one_line(error) if error is not None else "it is not there any more"
        return LibraryError(f"the archive {self.root} cannot be read: {reason}; check its disk and its permissions")

    def _list(self, entries: Mapping[str, Entry]) -> None:
        before = {listed.entry: listed for listed in self._listed}
        listed = [before.get(entry) or _Listed(entry, SearchText.of(entry)) for entry in entries.values()]
        self._listed = tuple(sorted(listed, key=_newest_first))


def _newest_first(listed: _Listed) -> tuple[float, str]:
    date = listed.entry.date
    return (-date.timestamp() if date is not None else 0.0, str(listed.entry.path))


def _folders(parent: Path) -> list[Path]:
    """Return the folders in a folder that are not hidden and not links, in order; none when it cannot be read."""
    try:
        with os.scandir(parent) as children:
            return sorted(
                Path(one.path) for one in children if not one.name.startswith(".") and one.is_dir(follow_symlinks=False)
            )
    except OSError:
        return []


def _looked_at(folder: Path, known: tuple[Signature, Entry] | None) -> tuple[Signature | None, Entry | None]:
    """Return what lies in a folder, and its signature if it may be remembered; it is not read where nothing has changed."""
    try:
        mark = signature(folder)  # before it is read: a change while it is read gives another one
        if known is not None and known[0] == mark and _is_current(known[1]):
            return known
        entry = read_entry(folder)
    except OSError:
        return None, None  # deleted meanwhile
    return (mark if is_settled(mark) else None), entry


def _is_current(entry: Entry) -> bool:
    """Whether an entry ended as it did when it was read: a writer that is killed changes no file."""
    return (entry.end is EntryEnd.WRITING) is (lock_state(entry.path) is LockState.HELD)
