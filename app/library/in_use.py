"""Who uses the folder of an archive as a whole: many may read it, and only one may move it, while nobody reads or writes it.

The lock is on the folder itself, so that reading changes nothing on the disk. The operating system releases it when a process
ends. Where a drive knows no such locks, as on some networks, and on Windows, nothing is locked; Windows itself moves no folder
whose files are open.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from acquisition.archive.folder import LOCK, WriterLock
from acquisition.archive.rows import StorageError

_WAIT = "wait for its end, or stop it"


@contextmanager
def kept_in_place(path: Path) -> Iterator[None]:
    """Keep a folder in its place while it is read for long, as by an export; several may do so at once.

    Raises
    ------
    StorageError
        The folder is being moved or renamed now.
    """
    with _locked(path, f"{path.name} is being moved or renamed; try again when that is done", exclusive=False):
        yield


@contextmanager
def sole_user(path: Path) -> Iterator[None]:
    """Keep readers and writers away from a folder while it is moved or renamed.

    Raises
    ------
    StorageError
        It is being written or read, or it cannot be written.
    """
    with _locked(path, f"{path.name} is in use, for instance by an export; {_WAIT}", exclusive=True):
        lock = WriterLock(path) if (path / LOCK).exists() else None
        if lock is None:
            yield
            return
        if sys.platform == "win32":  # it moves no folder with an open file
            lock.close()
        with lock:
            yield


@contextmanager
def _locked(path: Path, refusal: str, *, exclusive: bool) -> Iterator[None]:
    if sys.platform == "win32":
        yield
        return
    import fcntl

    try:
        folder = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}; check whether it is still there") from error
    try:
        with contextlib.suppress(OSError):  # a drive without locks
            try:
                fcntl.flock(folder, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StorageError(refusal) from error
        yield
    finally:
        os.close(folder)
