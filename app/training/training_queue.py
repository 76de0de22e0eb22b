"""The queue of trainings: kept in a file that survives the program, and shared by all windows of a person."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

import pydantic

from acquisition.archive.atomic_files import write_whole
from acquisition.archive.folder import LockState, lock_state, sole_writer
from app.training.process import TrainingOrder, can_resume, order_of, resume_arguments
from drivers.base import SpeckleScopeError
from drivers.limits import MAX_JSON_BYTES
from drivers.safe_text import parse_json
from reconstruction.models.model import read_card
from reconstruction.training.run import RUN

log = logging.getLogger(__name__)

_VERSION: Final = 1
_REMEDY = "free space on its disk"
_CUT_OFF = "The program ended while it trained"


class QueueError(SpeckleScopeError):
    """Something in the queue cannot be done. The message says why."""


class QueueState(StrEnum):
    """What a training of the queue is doing.

    ::

        WAITING --> RUNNING --> FINISHED
           ^           |
           |           +------> FAILED ---+
           |           +------> STOPPED --+
           +------------------------------+   the operator resumes it
    """

    #: It begins when its turn comes.
    WAITING = "waiting"
    #: It trains.
    RUNNING = "running"
    #: It was stopped, or its program ended; it goes on from its checkpoint.
    STOPPED = "stopped"
    #: The model is trained.
    FINISHED = "finished"
    #: It ended with an error; the note says which.
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class QueuedTraining:
    """A training of the queue. Its folder tells it from the others.

    Parameters
    ----------
    order : TrainingOrder
        What to train.
    state : QueueState
        What it is doing.
    note : str
        Why it has failed or was stopped, for people.
    program : int
        Process of the program that runs it; 0 while none does.
    """

    order: TrainingOrder
    state: QueueState = QueueState.WAITING
    note: str = ""
    program: int = 0

    @property
    def folder(self) -> Path:
        """Folder of the model."""
        return self.order.folder

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.order.folder.name


Trainings = tuple[QueuedTraining, ...]
_ENTRY: Final = pydantic.TypeAdapter(QueuedTraining)


class TrainingQueue:
    """The trainings of a person, in the order in which they run. Any thread may use it.

    Parameters
    ----------
    file : Path, optional
        Where the queue is kept; other programs may use the same file. None keeps it in memory.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.warnings: list[str] = []
        self._file = file
        self._lock = threading.Lock()
        self._trainings: Trainings = ()  # replaced as a whole
        self._read_mark: tuple[int, int] | None = None
        self.refresh()

    @property
    def trainings(self) -> Trainings:
        """All trainings, the next one first; as they were when the file was last read."""
        return self._trainings

    @property
    def running(self) -> QueuedTraining | None:
        """The training that runs, in this program or in another one."""
        return next((one for one in self._trainings if one.state is QueueState.RUNNING), None)

    @property
    def next_waiting(self) -> QueuedTraining | None:
        """The training whose turn is next."""
        return next((one for one in self._trainings if one.state is QueueState.WAITING), None)

    def of(self, folder: Path) -> QueuedTraining | None:
        """Return the training of a model's folder."""
        return next((one for one in self._trainings if one.folder == folder), None)

    def refresh(self) -> bool:
        """Read what other programs have changed, and settle what has ended without a word; return whether anything is new."""
        with self._lock:
            before = self._trainings
            if self._mark() != self._read_mark:
                self._trainings = self._read()
            if any(_has_ended(one) for one in self._trainings):
                self._settle()
            return self._trainings != before

    def add(self, order: TrainingOrder) -> None:
        """Add a training at the end.

        Raises
        ------
        QueueError
            Its folder is not empty, or another training of the queue has it.
        """
        check_folder(order.folder)

        def change(trainings: Trainings) -> Trainings:
            if any(one.folder == order.folder for one in trainings):
                raise QueueError(f"{order.folder.name} is in the queue already; choose another name")
            return (*trainings, QueuedTraining(order=order))

        self._change(change)

    def add_run(self, folder: Path) -> None:
        """Add a run that was started in a terminal; one that was stopped can then be resumed.

        Raises
        ------
        SpeckleScopeError
            There is none in this folder, or it is in the queue already.
        """
        order = order_of(folder)
        state = QueueState.FINISHED if is_trained(folder) else QueueState.STOPPED
        if state is QueueState.STOPPED:
            resume_arguments(folder)  # refuses a run that does not say how it was started
        note = "" if state is QueueState.FINISHED else "Started in a terminal. Resume continues from its checkpoint"

        def change(trainings: Trainings) -> Trainings:
            if any(one.folder == folder for one in trainings):
                raise QueueError(f"{folder.name} is in the queue already")
            return (*trainings, QueuedTraining(order=order, state=state, note=note))

        self._change(change)

    def move(self, folder: Path, places: int) -> None:
        """Move a training by so many places; negative ones are earlier."""

        def change(trainings: Trainings) -> Trainings:
            moved = list(trainings)
            place = _place(trainings, folder)
            moved.insert(max(0, place + places), moved.pop(place))
            return tuple(moved)

        self._change(change)

    def remove(self, folder: Path) -> None:
        """Take a training out of the queue; its files stay.

        Raises
        ------
        QueueError
            It is running.
        """

        def change(trainings: Trainings) -> Trainings:
            one = trainings[_place(trainings, folder)]
            if one.state is QueueState.RUNNING:
                raise QueueError(f"{one.name} is training; stop it first")
            return tuple(other for other in trainings if other is not one)

        self._change(change)

    def resume(self, folder: Path) -> None:
        """Let a training that was stopped or has failed wait for its turn again."""

        def change(trainings: Trainings) -> Trainings:
            one = trainings[_place(trainings, folder)]
            if one.state not in (QueueState.STOPPED, QueueState.FAILED):
                raise QueueError(f"{one.name} is {one.state}; only a training that was stopped or has failed can be resumed")
            return _replaced(trainings, replace(one, state=QueueState.WAITING, note=""))

        self._change(change)

    def begin(self, folder: Path) -> QueuedTraining:
        """Mark a training as running in this program, and return it.

        Raises
        ------
        QueueError
            Another one is running, or this one is not waiting any more.
        """

        def change(trainings: Trainings) -> Trainings:
            one = trainings[_place(trainings, folder)]
            other = next((other for other in trainings if other.state is QueueState.RUNNING), None)
            if other is not None:
                raise QueueError(f"{other.name} is training; {one.name} begins when it has ended")
            if one.state is not QueueState.WAITING:
                raise QueueError(f"{one.name} is {one.state}, and not waiting any more")
            return _replaced(trainings, replace(one, state=QueueState.RUNNING, program=os.getpid(), note=""))

        self._change(change)
        begun = self.of(folder)
        assert begun is not None
        return begun

    def give_back(self, folder: Path) -> None:
        """Let a training that :meth:`begin` has marked, and that could not be started, wait again."""
        self.end(folder, QueueState.WAITING)

    def end(self, folder: Path, state: QueueState, note: str = "") -> None:
        """Note how a training has ended; one that was taken out of the queue meanwhile is left alone."""

        def change(trainings: Trainings) -> Trainings:
            one = next((one for one in trainings if one.folder == folder), None)
            if one is None:
                return trainings
            return _replaced(trainings, replace(one, state=state, note=note, program=0))

        try:
            self._change(change)
        except SpeckleScopeError as error:
            self._warn(f"The queue of trainings was not stored: {error}")
            with self._lock:
                self._trainings = change(self._trainings)

    # -- the file -------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        try:
            self._write(_settled)
        except SpeckleScopeError as error:
            self._warn(f"The queue of trainings was not stored: {error}")
            self._trainings = _settled(self._trainings)

    def _change(self, change: Callable[[Trainings], Trainings]) -> None:
        with self._lock:
            self._write(change)

    def _write(self, change: Callable[[Trainings], Trainings]) -> None:
        file = self._file
        with sole_writer(file, wait=True) if file is not None else nullcontext():
            now = self._read() if file is not None else self._trainings
            changed = change(now)
            if file is not None and changed != now:
                content = {"version": _VERSION, "trainings": [_ENTRY.dump_python(one, mode="json") for one in changed]}
                write_whole(file, json.dumps(content, indent=1) + "\n", _REMEDY, QueueError)
                self._read_mark = self._mark()
            self._trainings = changed

    def _mark(self) -> tuple[int, int] | None:
        """Return what changes whenever the file is replaced; None without a file."""
        try:
            stat = self._file.stat() if self._file is not None else None
        except OSError:
            return None
        return (stat.st_ino, stat.st_mtime_ns) if stat is not None else None

    def _read(self) -> Trainings:
        """Return what the file holds; what cannot be read is left out with a warning."""
        self._read_mark = self._mark()
        if self._file is None or self._read_mark is None:
            return ()
        try:
            with self._file.open("rb") as file:
                content = parse_json(file.read(MAX_JSON_BYTES + 1))
            if content["version"] != _VERSION:
                raise ValueError(f"it is of version {content['version']}, not {_VERSION}")
            values = list(content["trainings"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._warn(f"The queue of trainings in {self._file} cannot be read ({error}); it is empty now")
            return ()
        return tuple(self._valid(values))

    def _valid(self, values: Iterable[object]) -> Iterable[QueuedTraining]:
        for value in values:
            try:
                yield _ENTRY.validate_python(value)
            except pydantic.ValidationError as error:
                self._warn(f"A training of the queue cannot be read ({error.errors()[0]['msg']}); it is left out")

    def _warn(self, text: str) -> None:
        log.warning("%s", text)
        if text not in self.warnings:
            self.warnings.append(text)


def check_folder(folder: Path) -> None:
    """Raise QueueError unless a model can be trained into a folder: it is empty or not there, and could be made."""
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise QueueError(f"{folder} is not empty; choose another name for the model")
        parent = next(place for place in folder.parents if place.exists())
    except OSError as error:
        raise QueueError(f"{folder} cannot be used: {error.strerror or error}; choose another folder") from error
    effective = os.access in os.supports_effective_ids
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK, effective_ids=effective):
        raise QueueError(f"{parent} cannot be written; choose another folder for the models")


def is_trained(folder: Path) -> bool:
    """Whether a folder holds a model whose training has finished: its scores are the last thing that is written."""
    try:
        return "ssim" in read_card(folder).scores
    except SpeckleScopeError:
        return False


def _place(trainings: Trainings, folder: Path) -> int:
    for place, one in enumerate(trainings):
        if one.folder == folder:
            return place
    raise QueueError(f"{folder.name} is not in the queue any more")


def _replaced(trainings: Trainings, changed: QueuedTraining) -> Trainings:
    return tuple(changed if one.folder == changed.folder else one for one in trainings)


def _has_ended(one: QueuedTraining) -> bool:
    """Whether a training that is marked as running has ended: its program was killed, and no process trains in its folder."""
    if one.state is not QueueState.RUNNING or lock_state(one.folder / RUN) is LockState.HELD:
        return False
    return not _is_alive(one.program)


def _settled(trainings: Trainings) -> Trainings:
    return tuple(_ended(one) if _has_ended(one) else one for one in trainings)


def _ended(one: QueuedTraining) -> QueuedTraining:
    if is_trained(one.folder):
        return replace(one, state=QueueState.FINISHED, note="", program=0)
    way = "Resume continues from its checkpoint" if can_resume(one.folder) else "Resume starts it again"
    return replace(one, state=QueueState.STOPPED, note=f"{_CUT_OFF}. {way}", program=0)


def _is_alive(process: int) -> bool:
    if process <= 0 or sys.platform == "win32":  # Windows would end the process
        return process == os.getpid()
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
