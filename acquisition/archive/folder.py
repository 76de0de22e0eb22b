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
from enum import Enum
from io import FileIO
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
def sole_writer(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Keep other processes from writing a new file or folder until the end of this block; it need not exist yet.

    Parameters
    ----------
    path : Path
        The file or folder.
    wait : bool
        Whether to wait until another writer has finished. By default a second writer is refused.

    Raises
    ------
    StorageError
        Another process writes it (the message says which), or its parent folder cannot be written.
    """
    try:
        make_folder(path.parent)
    except OSError as error:
        raise StorageError(f"cannot write to {path.parent}: {one_line(error)}; choose another folder") from error
    file = f".{path.name}.lock"
    lock = None
    try:
        lock = WriterLock(path.parent, file, wait=wait, target=path)
        with lock:
            yield
        _remove_lock(path.parent, file)
    except BaseException:  # also a signal that comes while the lock is released
        if lock is not None:
            lock.close()
        _remove_lock(path.parent, file)
        raise


def _remove_lock(folder: Path, file: str) -> None:
    """Remove a lock file, unless another writer holds it now."""
    lock = None
    try:
        lock = WriterLock(folder, file)
        lock.remove_file()
    except StorageError:
        pass
    finally:
        if lock is not None:
            lock.close()


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
        self._file = self._open()
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
            self._file.close()
            raise

    def close(self) -> None:
        """Release the lock; may be called twice. The empty lock file stays."""
        try:
            if not self._file.closed:
                self._file.truncate(0)
        except OSError:
            pass  # a full disk does not keep the lock
        finally:
            self._file.close()

    def remove_file(self) -> None:
        """Remove the lock file, before the release: a writer that waits sees that it has gone, and opens the next one."""
        if sys.platform != "win32":  # Windows removes no open file
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> FileIO:
        try:
            return FileIO(self.path, "r+", opener=lambda path, flags: os.open(path, flags | os.O_CREAT, 0o644))
        except OSError as error:
            raise StorageError(f"cannot write to {self.path.parent}: {one_line(error)}; check its permissions") from error

    def _is_ours(self) -> bool:
        """Try to lock the file; return whether it is locked now, and still the file of this name."""
        try:
            if sys.platform == "win32":
                import msvcrt

                # Far behind the text, which others must be able to read.
                self._file.seek(_LOCKED_BYTE)
                msvcrt.locking(self._file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(self._file.fileno()), self.path.stat()):
                return True
        self._file.close()
        self._file = self._open()
        return self._is_ours()

    def _sign(self) -> None:
        since = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
        holder = {"process": os.getpid(), "computer": platform.node(), "since": since}
        with contextlib.suppress(OSError):  # on a full disk the lock counts, without its text
            self._file.truncate(0)
            self._file.seek(0)
            self._file.write(json.dumps(holder).encode())

    def _holder(self) -> str:
        """Return who holds the lock, as its file says."""
        try:
            self._file.seek(0)
            holder = json.loads(self._file.read(_HOLDER_BYTES))
            process, computer, since = int(holder["process"]), str(holder["computer"]), str(holder["since"])
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"
        return f"process {process} on computer {computer!r} since {since}"


class LockState(Enum):
    """What the lock file of a folder says, without taking the lock."""

    #: Nobody writes, and the last writer ended by itself.
    FREE = "free"
    #: A process writes now.
    HELD = "held"
    #: The last writer was killed, or its computer lost power.
    LEFT = "left"


def lock_state(folder: Path, file: str = LOCK) -> LockState:
    """Return whether a folder is being written, or was when its last writer ended; a folder that cannot be read is free."""
    try:
        with (folder / file).open("rb") as lock:
            if not lock.read(1):  # a writer that ends by itself leaves an empty file
                return LockState.FREE
            return LockState.LEFT if _is_unlocked(lock.fileno()) else LockState.HELD
    except OSError:
        return LockState.FREE


def _is_unlocked(file: int) -> bool:
    """Whether no other process holds the lock of an open file. For an instant, it is locked for readers."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(file, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
            os.lseek(file, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_UNLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


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
