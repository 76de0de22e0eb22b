"""An archive's folder: its name, its writer's lock, and the disk space it needs."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import yaml

from acquisition.archive.rows import StorageError

LOCK = "writer.lock"
_FREE_MARGIN = 1.05


class WriterLock:
    """Locks an archive against a second writer; the operating system releases the lock when the process ends.

    Raises
    ------
    StorageError
        Another writer holds the lock, or the folder cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._fd: int | None = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StorageError(f"cannot write to {path}: {one_line(error)}; check its permissions") from error
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(self._fd, msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.close()
            raise StorageError(f"{path} is being written by another writer; close that one first") from error

    def close(self) -> None:
        """Release the lock; may be called twice.

        The empty lock file stays: removing it could remove the lock of the next writer.
        """
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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
        return yaml.safe_dump(dict(metadata), sort_keys=False, allow_unicode=True)
    except yaml.YAMLError as error:
        raise StorageError(f"the metadata holds a value YAML cannot store: {one_line(error)}; use plain values") from error


def check_space(folder: Path, expected_bytes: int) -> None:
    """Raise StorageError unless ``folder`` has room for the expected bytes and 5 % more."""
    needed = int(expected_bytes * _FREE_MARGIN)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageError(
            f"{folder} has {free / 1e9:.3f} GB free, {needed / 1e9:.3f} GB are needed (5 % included); "
            "delete files or choose another disk"
        )


def one_line(error: Exception) -> str:
    """Return an error's message in one line, without the error number."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())
