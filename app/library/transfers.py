"""Copies or moves several entries to another folder, one after the other; one that fails does not stop the others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path

from app.library.entry import LibraryError
from app.library.folder_reader import folder_bytes
from app.library.transfer import copy_entry, move_entry
from drivers.base import SpeckleScopeError

#: Called with how many steps are done, and how many there are.
Progress = Callable[[int, int], None]
_MB = 2**20


class TransferKind(Enum):
    """What becomes of the source."""

    COPY = "Copy"
    #: It goes to the trash of its archive when the copy is verified.
    MOVE = "Move"


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """Entries that shall lie in another folder.

    Parameters
    ----------
    kind : TransferKind
        What becomes of the sources.
    root : Path
        The archive of the sources.
    sources : tuple of Path
        The folders of the entries.
    folder : Path
        Where they shall lie.
    """

    kind: TransferKind
    root: Path
    sources: tuple[Path, ...]
    folder: Path


@dataclass(frozen=True, kw_only=True)
class TransferResult:
    """What became of a transfer.

    Parameters
    ----------
    done : tuple of Path
        The entries that lie at their new place, verified.
    failed : tuple of str
        A sentence for each entry that does not.
    stopped : bool
        Whether it was stopped; the same transfer goes on from there.
    """

    done: tuple[Path, ...] = ()
    failed: tuple[str, ...] = ()
    stopped: bool = False


@dataclass
class TransferWork:
    """The work of a transfer, for a thread.

    Attributes
    ----------
    transfer : Transfer
        What is done.
    result : TransferResult
        What became of it so far; replaced as a whole.
    """

    transfer: Transfer
    result: TransferResult = field(default_factory=TransferResult)

    def run(self, progress: Progress, stop: threading.Event) -> None:
        """Copy or move every entry; the progress is counted in megabytes, each of which is written and read back.

        Raises
        ------
        LibraryError
            At least one entry could not be copied; all others are.
        """
        sizes = [2 * folder_bytes(source) for source in self.transfer.sources]
        total = sum(sizes)
        for number, source in enumerate(self.transfer.sources):
            tell = partial(_tell, progress, sum(sizes[:number]), total)
            if stop.is_set() or not self._is_through(source, tell, stop):
                self._keep(stopped=True)
                break
        if self.result.failed:
            raise LibraryError("; ".join(self.result.failed))

    def _is_through(self, source: Path, progress: Progress, stop: threading.Event) -> bool:
        """Copy or move one entry; return whether it was not stopped."""
        transfer = self.transfer
        try:
            if transfer.kind is TransferKind.COPY:
                target = copy_entry(source, transfer.folder, progress, stop)
            else:
                target = move_entry(transfer.root, source, transfer.folder, progress, stop)
        except SpeckleScopeError as error:
            self._keep(failed=(str(error),))
            return True
        self._keep(done=() if target is None else (target,))
        return target is not None

    def _keep(self, *, done: tuple[Path, ...] = (), failed: tuple[str, ...] = (), stopped: bool = False) -> None:
        result = self.result
        self.result = TransferResult(done=result.done + done, failed=result.failed + failed, stopped=result.stopped or stopped)


def _tell(progress: Progress, before: int, total: int, done: int, _: int) -> None:
    progress(min(before + done, total) // _MB, max(1, total // _MB))
