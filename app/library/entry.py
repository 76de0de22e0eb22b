"""One recording, dataset or snapshot of an archive, as a list shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum
from pathlib import Path

from acquisition.archive.kinds import COMPLETE_VERDICT
from app.library.notes import Notes
from drivers.base import SpeckleScopeError
from drivers.visible_text import visible


class LibraryError(SpeckleScopeError):
    """Something in an archive cannot be done. The message is one sentence: what, why, and what to do."""


class EntryKind(StrEnum):
    """What an entry is."""

    RECORDING = "recording"
    DATASET = "dataset"
    SNAPSHOT = "snapshot"
    #: A folder of an archive that cannot be read; its problem says why.
    UNREADABLE = "unreadable"


class EntryEnd(Enum):
    """How an entry ended."""

    COMPLETE = "complete"
    #: The operator stopped it; a dataset can be resumed.
    STOPPED = "stopped"
    #: It ended with an error; what was acknowledged before is safe.
    FAILED = "failed"
    #: The program was killed, or the computer lost power; what was acknowledged before is safe.
    CUT_OFF = "cut off"
    #: It is being written now.
    WRITING = "being written"
    #: The entry cannot be read.
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A recording, a dataset or a snapshot.

    Parameters
    ----------
    path : Path
        Its folder.
    kind : EntryKind
        What it is.
    name : str
        Its name, for people.
    date : datetime, optional
        When it began, with the time zone of this computer.
    end : EntryEnd
        How it ended.
    ended : str
        The same as a text for people, with the reason.
    seconds : float, optional
        Time from its first to its last frame.
    frames : int
        Frames of a recording; 1 of a snapshot.
    frames_without_phase : int, optional
        How many of them have no phase; None where it is not known.
    pairs : int
        Pairs of a dataset.
    size_bytes : int
        Size of all its files on the disk.
    instrument, fibre : str
        Names of the instrument and of the fibre; empty where unknown.
    simulated : bool, optional
        Whether its frames come from the simulated microscope; None where it is not known.
    model, model_id : str
        Name and hash of the model that reconstructed it; empty where there was none.
    notes : Notes
        What people have added: a note, tags, a star.
    problem : str
        What is wrong with it, for people; empty when nothing is.
    """

    path: Path
    kind: EntryKind
    name: str
    date: datetime | None = None
    end: EntryEnd
    ended: str = ""
    seconds: float | None = None
    frames: int = 0
    frames_without_phase: int | None = None
    pairs: int = 0
    size_bytes: int = 0
    instrument: str = ""
    fibre: str = ""
    simulated: bool | None = None
    model: str = ""
    model_id: str = ""
    notes: Notes = field(default_factory=Notes)
    problem: str = ""

    @property
    def is_unfinished(self) -> bool:
        """Whether something is missing at its end, as after a crash; a dataset among these offers to be resumed."""
        return self.end in (EntryEnd.CUT_OFF, EntryEnd.WRITING) or (
            self.kind is EntryKind.DATASET and self.end in (EntryEnd.STOPPED, EntryEnd.FAILED)
        )

    @property
    def has_faults(self) -> bool:
        """Whether it is complete as far as frames came, but something went wrong meanwhile; :attr:`ended` says what."""
        return self.end is EntryEnd.COMPLETE and self.ended.startswith(f"{COMPLETE_VERDICT}, with")

    @property
    def shown_name(self) -> str:
        """Its name, in which no character is invisible."""
        return visible(self.name)
