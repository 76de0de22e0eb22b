"""The datasets of an archive: the unfinished ones first, each with whether the instrument can complete it."""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from acquisition.capture.certificate import CERTIFICATE
from app.datasets.resume import AcquisitionDevices, Resumable, find_resumable
from app.library.entry import Entry, EntryEnd, EntryKind
from app.library.library import Library
from drivers.base import SpeckleScopeError

_VERIFIED = re.compile(r"^verified: (true|false)$", re.MULTILINE)


class Verified(Enum):
    """What the last verification of a dataset has found."""

    YES = "verified"
    NO = "verification failed"
    UNKNOWN = "not verified"


@dataclass(frozen=True, kw_only=True)
class ListedDataset:
    """One dataset.

    Parameters
    ----------
    entry : Entry
        What it is and how it ended.
    verified : Verified
        What its certificate says.
    resumable : Resumable, optional
        What is missing; None where it is finished, or cannot be resumed.
    refusal : str
        Why an unfinished dataset cannot be resumed; empty when it can.
    """

    entry: Entry
    verified: Verified
    resumable: Resumable | None = None
    refusal: str = ""

    @property
    def path(self) -> Path:
        """Its folder."""
        return self.entry.path

    @property
    def is_unfinished(self) -> bool:
        """Whether pairs are missing, and nobody is capturing them."""
        return self.entry.is_unfinished and self.entry.end is not EntryEnd.WRITING


class DatasetList:
    """The datasets of one archive. One thread at a time looks.

    Parameters
    ----------
    root : Path
        The archive.
    cache_file : Path, optional
        Where to remember what was found, see :class:`app.library.library.Library`.
    """

    def __init__(self, root: Path, cache_file: Path | None = None) -> None:
        self.root = root
        self._library = Library(root, cache_file)

    def look(self, devices: AcquisitionDevices, stop: threading.Event | None = None) -> tuple[ListedDataset, ...]:
        """Return all datasets: the unfinished ones first, then the newest.

        Parameters
        ----------
        devices : AcquisitionDevices
            What would complete them.
        stop : threading.Event, optional
            Ends the look when it is set.

        Raises
        ------
        LibraryError
            The archive cannot be read.
        """
        if not self.root.exists():  # nothing was stored yet
            return ()
        entries = [entry for entry in self._library.scan(stop=stop) if entry.kind is EntryKind.DATASET]
        return tuple(sorted((listed(entry, devices) for entry in entries), key=lambda one: not one.is_unfinished))


def listed(entry: Entry, devices: AcquisitionDevices) -> ListedDataset:
    """Return one dataset as a list shows it."""
    unfinished = ListedDataset(entry=entry, verified=_verified(entry.path))
    if not unfinished.is_unfinished:
        return unfinished
    try:
        resumable = find_resumable(entry.path, devices)
    except SpeckleScopeError as error:
        return ListedDataset(entry=entry, verified=unfinished.verified, refusal=str(error))
    return ListedDataset(entry=entry, verified=unfinished.verified, resumable=resumable)


def _verified(path: Path) -> Verified:
    with suppress(OSError, UnicodeDecodeError):
        verdict = _VERIFIED.search((path / CERTIFICATE).read_text(encoding="utf-8"))
        if verdict is not None:
            return Verified.YES if verdict[1] == "true" else Verified.NO
    return Verified.UNKNOWN
