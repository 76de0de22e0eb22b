"""What is worth a line above the list: found in a thread, because the last pictures of what was cut off are read for it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.gui.data_page.notices import Notice, NoticeAction, NoticeKind
from app.jobs.latest_work import LatestWork
from app.library.archives import ArchiveState, ArchiveStatus
from app.library.cut_off import CutOff, look
from app.library.entry import Entry, EntryEnd
from app.library.transfer import UnfinishedCopy, unfinished_copies
from drivers.base import SpeckleScopeError
from drivers.visible_text import visible

#: Entries that are named; the others are counted.
_MOST_NAMED = 3
#: What tells whether an entry has to be looked at again.
_Key = tuple[Path, int, int, int]


@dataclass(frozen=True)
class _Known:
    """What a look has found."""

    cut_off: dict[_Key, str]
    copies: tuple[UnfinishedCopy, ...]


class NoticeSource:
    """Finds what was cut off, archives that cannot be read, and copies that were interrupted."""

    def __init__(self) -> None:
        self._work: LatestWork[_Known] = LatestWork("look at what was cut off")
        self._known = _Known({}, ())
        self._asked: object = None
        self._cut_off: tuple[Entry, ...] = ()
        self._hidden: set[Path] = set()

    @property
    def busy(self) -> bool:
        """Whether something is still to be found."""
        return self._work.busy

    def look(self, entries: Iterable[Entry], folders: Iterable[Path], *, again: bool = False) -> None:
        """Look at what was cut off among the entries, and for copies into some folders; at once where nothing is new."""
        self._cut_off = tuple(entry for entry in entries if entry.end is EntryEnd.CUT_OFF)
        places = tuple(dict.fromkeys(folders))
        asked = tuple(map(_key, self._cut_off)), places
        if asked == self._asked and not again:
            return
        self._asked = asked
        entries_now, known = self._cut_off, self._known.cut_off
        self._work.ask(lambda stop: _looked(entries_now, places, known, stop))

    def poll(self) -> bool:
        """Return whether something new is known since the last call."""
        outcome = self._work.poll()
        if outcome is None or outcome.value is None:
            return False
        self._known = outcome.value
        return True

    def hide(self, notice: Notice) -> None:
        """Show a notice no more, until the window is opened again."""
        if isinstance(notice.subject, UnfinishedCopy):
            self._hidden.add(notice.subject.target)
        elif isinstance(notice.subject, tuple):
            self._hidden.update(entry.path for entry in notice.subject)

    def notices(self, statuses: Sequence[ArchiveStatus], own: Path | None, busy_folders: frozenset[Path]) -> list[Notice]:
        """Return what is to be said now.

        Parameters
        ----------
        statuses : sequence of ArchiveStatus
            The archives.
        own : Path, optional
            The archive of the instrument, which stays in the list.
        busy_folders : frozenset of Path
            Entries that a job is copying now.
        """
        gone = [_gone_notice(status, own) for status in statuses if status.state is ArchiveState.GONE]
        cut_off = [
            (entry, self._known.cut_off[_key(entry)])
            for entry in self._cut_off
            if entry.path not in self._hidden and _key(entry) in self._known.cut_off
        ]
        copies = [
            _copy_notice(copy)
            for copy in self._known.copies
            if copy.target not in self._hidden and copy.source not in busy_folders
        ]
        return [*([_cut_off_notice(cut_off)] if cut_off else []), *gone, *copies]


def _key(entry: Entry) -> _Key:
    return entry.path, entry.frames, entry.pairs, entry.size_bytes


def _looked(entries: Sequence[Entry], folders: Sequence[Path], known: dict[_Key, str], stop: threading.Event) -> _Known:
    texts = {}
    for entry in entries:
        if stop.is_set():
            break
        texts[_key(entry)] = known.get(_key(entry)) or _safe_text(entry)
    return _Known(texts, tuple(copy for folder in folders for copy in unfinished_copies(folder)))


def _safe_text(entry: Entry) -> str:
    try:
        cut_off: CutOff = look(entry.path)
    except SpeckleScopeError as error:
        return f"it cannot be told how much is safe: {error}"
    return cut_off.text


def _cut_off_notice(cut_off: Sequence[tuple[Entry, str]]) -> Notice:
    entries = tuple(entry for entry, _ in cut_off)
    named = ". ".join(f"{entry.shown_name}: {text}" for entry, text in cut_off[:_MOST_NAMED])
    more = len(cut_off) - _MOST_NAMED
    what = "1 entry was" if len(cut_off) == 1 else f"{len(cut_off)} entries were"
    text = f"{what} cut off, because the program or the computer stopped. {named}{f'. And {more} more' if more > 0 else ''}."
    return Notice(
        kind=NoticeKind.CUT_OFF,
        subject=entries,
        text=text,
        actions=(NoticeAction.SHOW, NoticeAction.REPAIR, NoticeAction.HIDE),
    )


def _gone_notice(status: ArchiveStatus, own: Path | None) -> Notice:
    hidden = f" Its {status.entries} entries are not listed until then." if status.entries else ""
    problem = f"{status.problem[:1].upper()}{status.problem[1:]}"
    removable = (NoticeAction.FORGET,) if status.root != own else ()
    return Notice(
        kind=NoticeKind.ARCHIVE_GONE,
        subject=status.root,
        text=f"{problem}. It comes back by itself when its disk is there again.{hidden}",
        actions=(NoticeAction.LOOK_AGAIN, *removable),
    )


def _copy_notice(copy: UnfinishedCopy) -> Notice:
    name, folder = visible(copy.source.name), visible(str(copy.target.parent))
    discard: tuple[NoticeAction, ...] = (NoticeAction.DISCARD,)
    if copy.is_verified:
        text = f"{name} was copied to {folder} and verified, but not moved yet. Continue moves the source to the trash."
        discard = ()  # there is nothing unfinished to delete: both are whole
    elif copy.is_move:
        text = (
            f"The move of {name} to {folder} was interrupted; the source is whole. Continue goes on where it stopped. The "
            "source goes to the trash when the copy is verified."
        )
    else:
        text = f"The copy of {name} to {folder} was interrupted. Continue goes on where it stopped; the source is whole."
    actions = (NoticeAction.CONTINUE, *discard, NoticeAction.HIDE)
    return Notice(kind=NoticeKind.UNFINISHED_COPY, subject=copy, text=text, actions=actions)
