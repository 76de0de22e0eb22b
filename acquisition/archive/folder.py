"""An archive's folder: its name, its writer's lock, and the disk space it needs."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from typing import Self

import yaml

from acquisition.archive.atomic_files import make_folder
from acquisition.archive.rows import StorageError
from drivers.safe_text import dump_yaml

LOCK = "writer.lock"
#: How often a writer that waits tries again, in seconds.
_POLL_S = 0.1
#: The most that is read of a lock file, and the byte of it that is locked on Windows.
_HOLDER_BYTES, _LOCKED_BYTE = 1000, 2**30
_FREE_MARGIN = 1.05
_announce: ContextVar[Callable[[str], None]] = ContextVar("announce", default=lambda text: None)


@contextmanager
def waiting_announced(announce: Callable[[str], None]) -> Iterator[None]:
    """Inside this block, call ``announce`` with one line whenever this thread begins to wait for another writer."""
    token = _announce.set(announce)
    try:
        yield
    finally:
        _announce.reset(token)


@contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """Keep other processes from writing a new file or folder until the end of this block; it need not exist yet.

    Raises
    ------
    StorageError
        Another process writes it (the message says which), or its parent folder cannot be written.
    """
    try:
        make_folder(path.parent)
    except OSError as error:
        raise StorageError(f"cannot write to {path.parent}: {one_line(error)}; choose another folder") from error
    lock = WriterLock(path.parent, f".{path.name}.lock", target=path)
    try:
        yield
    finally:
        lock.close(remove=True)


class WriterLock:
    """Keeps a second writer out of a folder, or away from one file; readers need no lock.

    The operating system releases the lock when the process ends, however it ends. While the lock is held, its file says which
    process holds it, on which computer and since when. It is also used for model folders in training, and for engine caches.

    Parameters
    ----------
    folder : Path
        The folder to lock; it exists.
    file : str
        Name of the lock file in it.
    wait : bool
        Whether to wait until another writer has finished. By default a second writer is refused.
    target : Path, optional
        What the lock is for, as messages name it. By default the folder.

    Raises
    ------
    StorageError
        Another writer holds the lock (the message says which), or the folder cannot be written.
    """

    def __init__(self, folder: Path, file: str = LOCK, *, wait: bool = False, target: Path | None = None) -> None:
        self.path = folder / file
        target = target or folder
        self._fd: int | None = self._open()
        try:
            announced = False
            while not self._is_ours():
                if not wait:
                    raise StorageError(f"{target} is being written by {self._holder()}; wait for its end, or close it first")
                if not announced:
                    _announce.get()(f"waiting for {self._holder()}, which writes {target}")
                    announced = True
                time.sleep(_POLL_S)
            self._sign()
        except BaseException:
            self._release()
            raise

    def close(self, *, remove: bool = False) -> None:
        """Release the lock; may be called twice. The empty lock file stays, unless ``remove`` is given."""
        if self._fd is None:
            return
        with contextlib.suppress(OSError):  # a full disk does not keep the lock
            os.ftruncate(self._fd, 0)
        if remove and sys.platform != "win32":  # Windows removes no open file
            # Before the release. A writer that waits sees that the file has gone, and opens the next one.
            self.path.unlink(missing_ok=True)
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StorageError(f"cannot write to {self.path.parent}: {one_line(error)}; check its permissions") from error

    def _is_ours(self) -> bool:
        """Try to lock the file; return whether it is locked now, and still the file of this name."""
        assert self._fd is not None
        try:
            if sys.platform == "win32":
                import msvcrt

                # Far behind the text, which others must be able to read.
                os.lseek(self._fd, _LOCKED_BYTE, os.SEEK_SET)
                msvcrt.locking(self._fd, msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(self._fd), self.path.stat()):
                return True
        self._release()
        self._fd = self._open()
        return self._is_ours()

    def _sign(self) -> None:
        assert self._fd is not None
        since = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
        holder = {"process": os.getpid(), "computer": platform.node(), "since": since}
        with contextlib.suppress(OSError):  # on a full disk the lock counts, without its text
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
            os.write(self._fd, json.dumps(holder).encode())

    def _holder(self) -> str:
        """Return who holds the lock, as its file says."""
        assert self._fd is not None
        try:
            os.lseek(self._fd, 0, os.SEEK_SET)
            holder = json.loads(os.read(self._fd, _HOLDER_BYTES))
            process, computer, since = int(holder["process"]), str(holder["computer"]), str(holder["since"])
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"
        return f"process {process} on computer {computer!r} since {since}"

    def _release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def clean_name(text: str) -> str:
    """Return an archive's name in a form that can be part of a folder's name.

    Raises
    ------
    StorageError
        Nothing is left of it, or it holds path separators.
    """
    cleaned = re.sub(r"[^\w.-]+", "-", text).strip("-.")[:80]
    if not cleaned or "/" in text or "\\" in text:
        raise StorageError(f"archive name {text!r} cannot be part of a folder name; use letters and digits")
    return cleaned


def metadata_text(metadata: Mapping[str, object]) -> str:
    """Return the metadata as YAML; raises StorageError when a value is not a plain one, such as a NumPy scalar."""
    try:
        return dump_yaml(dict(metadata))
    except yaml.YAMLError as error:
        raise StorageError(f"the metadata holds a value YAML cannot store: {one_line(error)}; use plain values") from error


def free_bytes(folder: Path) -> int:
    """Return the free space on the disk of a folder, in bytes; raise StorageError if the folder cannot be read any more."""
    try:
        return shutil.disk_usage(folder).free
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be read: {one_line(error)}; check whether it was deleted or its disk was removed, then repeat"
        ) from error


def check_space(folder: Path, expected_bytes: int) -> None:
    """Raise StorageError unless ``folder`` has room for the expected bytes and 5 % more."""
    needed = int(expected_bytes * _FREE_MARGIN)
    free = free_bytes(folder)
    if free < needed:
        raise StorageError(
            f"{folder} has {free / 1e9:.3f} GB free, {needed / 1e9:.3f} GB are needed (5 % included); "
            "delete files or choose another disk"
        )


def one_line(error: Exception) -> str:
    """Return an error's message in one line, without the error number."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())
