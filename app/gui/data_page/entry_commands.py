"""Carries out what the operator wants done with entries: everything that touches a disk happens in a thread or as a job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from pathlib import Path
from threading import Event

from PyQt6.QtCore import QObject, pyqtSignal

from app.gui.data_page.tasks import Tasks
from app.jobs.job_list import Job, JobList, JobOrder, Progress
from app.library.archives import Archives
from app.library.cut_off import CutOff, repair
from app.library.entry import Entry
from app.library.naming import rename
from app.library.notes import change_notes
from app.library.transfer import UnfinishedCopy, discard_copy
from app.library.transfers import Transfer, TransferKind, TransferWork
from app.library.trash import TrashedEntry, empty_trash, move_to_trash, restore, trashed_entries
from app.status import Message, MessageLevel, Topic
from drivers.base import SpeckleScopeError
from drivers.visible_text import visible

_COPY_GOES_ON = "The source stays whole, and Continue on the Data page goes on where it stopped."
_REST_STAYS = "What is not deleted yet stays in the trash."


class Field(Enum):
    """A field of the details that a sentence can be about."""

    NAME = auto()
    TAGS = auto()
    NOTES = auto()


@dataclass(frozen=True)
class _Running:
    """A job, and what it says at its end."""

    job: Job
    tell: Callable[[Job], object]


class EntryCommands(QObject):
    """The commands on entries; :meth:`poll` tells what became of them.

    Parameters
    ----------
    jobs : JobList
        The jobs of the window.
    archives : Archives
        Where the entries are.
    """

    #: A Message for the operator.
    reported = pyqtSignal(object)
    #: Folders whose entries look different now, a tuple of Path; an empty one means all.
    changed = pyqtSignal(object)
    #: The former and the new folder of an entry.
    moved = pyqtSignal(object, object)
    #: An Entry, a Field, what was typed, and why it was not stored.
    refused = pyqtSignal(object, object, str, str)
    #: What lies in the trash, a tuple of TrashedEntry.
    trash_read = pyqtSignal(object)
    #: Why something in the trash could not be restored or deleted.
    trash_refused = pyqtSignal(str)
    #: A copy or a move has ended, for whatever reason.
    transfer_ended = pyqtSignal()

    def __init__(self, jobs: JobList, archives: Archives) -> None:
        super().__init__()
        self._jobs = jobs
        self._archives = archives
        self._tasks = Tasks("change entries")
        self._running: list[_Running] = []

    @property
    def busy(self) -> bool:
        """Whether something is still to be told."""
        return self._tasks.busy or bool(self._running)

    def poll(self) -> None:
        """Tell what has ended since the last call."""
        self._tasks.poll()
        for running in [one for one in self._running if not one.job.running]:
            self._running.remove(running)
            running.tell(running.job)

    # -- what belongs to an entry ---------------------------------------------------------------------------------

    def star(self, entries: Sequence[Entry], *, star: bool) -> None:
        """Give entries a star, or take it away."""
        for entry in entries:
            self._do(partial(change_notes, entry.path, star=star), partial(self._tell_changed, entry.path))

    def set_notes(self, entry: Entry, text: str) -> None:
        """Store another note."""
        work = partial(change_notes, entry.path, text=text)
        self._tasks.do(work, partial(self._tell_changed, entry.path), partial(self._refuse, entry, Field.NOTES, text))

    def set_tags(self, entry: Entry, tags: tuple[str, ...]) -> None:
        """Store other tags."""
        work, text = partial(change_notes, entry.path, tags=tags), ", ".join(tags)
        self._tasks.do(work, partial(self._tell_changed, entry.path), partial(self._refuse, entry, Field.TAGS, text))

    def add_tags(self, entries: Sequence[Entry], tags: tuple[str, ...]) -> None:
        """Give several entries further tags."""
        for entry in entries:
            work = partial(change_notes, entry.path, tags=(*entry.notes.tags, *tags))
            self._do(work, partial(self._tell_changed, entry.path))

    def rename(self, entry: Entry, name: str) -> None:
        """Give an entry another name."""
        conflict = self._jobs.conflict(folders=frozenset({entry.path}))
        if conflict:
            self.refused.emit(entry, Field.NAME, name, conflict)
            return
        self._tasks.do(
            partial(rename, entry, name),
            partial(self._tell_moved, entry.path),
            partial(self._refuse, entry, Field.NAME, name),
        )

    def repair(self, entry: Entry) -> None:
        """Give an entry that was cut off an ending."""
        self._do(partial(repair, entry.path), partial(self._tell_repaired, entry))

    # -- trash ----------------------------------------------------------------------------------------------------

    def move_to_trash(self, entries: Sequence[Entry]) -> None:
        """Move entries to the trash of their archives."""
        for entry in entries:
            self._do(partial(self._trash, entry.path), partial(self._tell_trashed, entry))

    def read_trash(self) -> None:
        """Look what lies in the trash of all archives."""
        roots = self._archives.roots
        self._do(lambda: tuple(one for root in roots for one in trashed_entries(root)), self.trash_read.emit)

    def restore(self, trashed: Sequence[TrashedEntry]) -> None:
        """Move entries from the trash back to where they were."""
        for one in trashed:
            self._tasks.do(partial(restore, one), self._tell_restored, self._refuse_trash)
        self.read_trash()

    def empty_trash(self, roots: Sequence[Path]) -> None:
        """Delete everything that lies in the trash of these archives for good, as a job for each."""
        for root in roots:
            name = f"Empty trash of {visible(root.name)}"
            order = JobOrder(name=name, work=_Emptying(root).run, resumable=True, if_stopped=_REST_STAYS)
            self._start(order, self._tell_emptied)

    # -- copies ---------------------------------------------------------------------------------------------------

    def transfer(self, entries: Sequence[Entry], kind: TransferKind, folder: Path) -> None:
        """Copy or move entries into a folder, as a job for each archive."""
        by_root: dict[Path, list[Path]] = {}
        for entry in entries:
            by_root.setdefault(self._archives.root_of(entry.path), []).append(entry.path)
        for root, sources in by_root.items():
            self.start_transfer(Transfer(kind=kind, root=root, sources=tuple(sources), folder=folder))

    def start_transfer(self, transfer: Transfer) -> None:
        """Copy or move what a transfer says, as a job."""
        work, number = TransferWork(transfer), len(transfer.sources)
        what = visible(transfer.sources[0].name) if number == 1 else f"{number} entries"
        order = JobOrder(
            name=f"{transfer.kind.value} {what} to {visible(transfer.folder.name)}, in MB",
            work=work.run,
            folders=frozenset(transfer.sources),
            resumable=True,
            if_stopped=_COPY_GOES_ON,
        )
        self._start(order, partial(self._tell_transferred, work))

    def discard(self, copy: UnfinishedCopy) -> None:
        """Delete what an interrupted copy has written."""
        self._do(partial(discard_copy, copy), self._tell_discarded)

    # -- outcomes -------------------------------------------------------------------------------------------------

    def _do(self, work: Callable[[], object], then: Callable[[object], object]) -> None:
        self._tasks.do(work, then, self._report_error)

    def _start(self, order: JobOrder, tell: Callable[[Job], object]) -> None:
        try:
            self._running.append(_Running(self._jobs.start(order), tell))
        except SpeckleScopeError as error:
            self._report_error(error)

    def _trash(self, path: Path) -> TrashedEntry:
        return move_to_trash(self._archives.root_of(path), path)

    def _report_error(self, error: BaseException) -> None:
        self.reported.emit(Message(MessageLevel.ERROR, str(error), Topic.COMMAND))

    def _tell(self, text: str) -> None:
        self.reported.emit(Message(MessageLevel.INFO, text))

    def _refuse(self, entry: Entry, field: Field, typed: str, error: SpeckleScopeError) -> None:
        self.refused.emit(entry, field, typed, str(error))

    def _refuse_trash(self, error: SpeckleScopeError) -> None:
        self.trash_refused.emit(str(error))

    def _tell_changed(self, path: Path, _: object) -> None:
        self.changed.emit((path,))

    def _tell_discarded(self, _: object) -> None:
        self.transfer_ended.emit()

    def _tell_moved(self, former: Path, new: Path) -> None:
        self.changed.emit((former, new))
        self.moved.emit(former, new)

    def _tell_repaired(self, entry: Entry, done: object) -> None:
        assert isinstance(done, CutOff)
        self.changed.emit((entry.path,))
        self._tell(f"{entry.shown_name} is repaired: {done.text}")

    def _tell_trashed(self, entry: Entry, _: object) -> None:
        self.changed.emit((entry.path,))
        self._tell(f"{entry.shown_name} is in the trash; Trash > Restore brings it back")

    def _tell_restored(self, path: Path) -> None:
        self.changed.emit((path,))
        self._tell(f"{visible(path.name)} is back where it was")

    def _tell_emptied(self, job: Job) -> None:
        if job.stage.error is not None:
            self.trash_refused.emit(str(job.stage.error))
        self.read_trash()

    def _tell_transferred(self, work: TransferWork, job: Job) -> None:
        transfer, result = work.transfer, work.result
        self.changed.emit((*transfer.sources, *result.done))
        self.transfer_ended.emit()
        error, folder = job.stage.error, visible(str(transfer.folder))
        done = "copied" if transfer.kind is TransferKind.COPY else "moved"
        if error is not None:
            self._report_error(error)
        elif result.stopped:
            self._tell(f"Stopped: {len(result.done)} of {len(transfer.sources)} {done} to {folder}; do it again to go on")
        else:
            self._tell(f"{len(result.done)} of {len(transfer.sources)} {done} to {folder}, and verified")


@dataclass(frozen=True)
class _Emptying:
    """The work of a job that empties the trash of an archive."""

    root: Path

    def run(self, progress: Progress, stop: Event) -> None:
        empty_trash(self.root, progress, stop)
