"""Files and folders that are written completely or not at all, also on a full disk and when the power fails.

Each is written under a hidden temporary name beside its own name, synced to the disk and renamed; then its folder is synced.
An older file of this name stays until the new one is complete. Every file that the program writes in one piece is written here,
as ``tests/test_writes.py`` checks.
"""

from __future__ import annotations

import ctypes
import errno
import io
import os
import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.base import SpeckleScopeError

#: Some network drives cannot sync a folder; they answer so.
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP}
#: Of Linux' ``renameat2``: relative to the working folder, and exchange the two names.
_HERE, _SWAP = -100, 2


def write_bytes(path: Path, content: bytes, remedy: str, error_class: type[SpeckleScopeError] = SpeckleScopeError) -> None:
    """Write a file completely or not at all.

    Parameters
    ----------
    path : Path
        The file; its folder is made if absent.
    content : bytes
        What it shall hold.
    remedy : str
        What to do when it cannot be written; ends the error message.
    error_class : type of SpeckleScopeError
        Class of the error.

    Raises
    ------
    SpeckleScopeError
        The file cannot be written; nothing is left of it, and an older file of this name is unchanged.
    """
    write_together({path: content}, remedy, error_class)


def write_together(
    files: Mapping[Path, bytes] | Sequence[tuple[Path, bytes]],
    remedy: str,
    error_class: type[SpeckleScopeError] = SpeckleScopeError,
) -> None:
    """Write files that belong together: all are on disk before the first gets its name, then they get their names in order.

    Parameters and errors as for :func:`write_bytes`. If one cannot be written, the older files of all names are unchanged. In a
    sequence, a name may occur twice: the first content is there until the second replaces it.
    """
    path = Path()
    pairs = list(files.items()) if isinstance(files, Mapping) else list(files)
    try:
        with ExitStack() as stack:
            for path, content in reversed(pairs):  # the stack renames the last one first
                make_folder(path.parent)
                part = stack.enter_context(_renamed_at_end(path))
                write_inside(part, content)
                _sync(part)
    except OSError as error:
        raise error_class(f"cannot write {path}: {error.strerror or error}; {remedy}") from error


def write_whole(path: Path, text: str, remedy: str, error_class: type[SpeckleScopeError] = SpeckleScopeError) -> None:
    """Write a text file, completely or not at all; parameters and errors as for :func:`write_bytes`."""
    write_bytes(path, text.encode("utf-8"), remedy, error_class)


def save_array(path: Path, array: NDArray[Any], remedy: str, error_class: type[SpeckleScopeError] = SpeckleScopeError) -> None:
    """Write an array as ``.npy``, completely or not at all; parameters and errors as for :func:`write_bytes`."""
    write_bytes(path, array_bytes(array), remedy, error_class)


def array_bytes(array: NDArray[Any]) -> bytes:
    """Return an array as the bytes of a ``.npy`` file."""
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    return content.getvalue()


def write_image(path: Path, image: NDArray[Any], remedy: str, error_class: type[SpeckleScopeError] = SpeckleScopeError) -> None:
    """Write an image, completely or not at all; parameters and errors as for :func:`write_bytes`.

    The format follows from the suffix, such as ``.png`` or ``.tif``. Colours are in OpenCV's order: blue, green, red.
    """
    write_bytes(path, image_bytes(image, path.suffix), remedy, error_class)


def image_bytes(image: NDArray[Any], suffix: str = ".png") -> bytes:
    """Return an image as the bytes of a file.

    ``cv2.imwrite`` is used nowhere, because it returns True although the disk is full.

    Raises
    ------
    SpeckleScopeError
        The format cannot hold such an image.
    """
    import cv2

    try:
        done, content = cv2.imencode(suffix, image)
    except cv2.error:
        done = False
    if not done:
        raise SpeckleScopeError(
            f"cannot encode an image of {image.shape} {image.dtype} as {suffix or 'a file without suffix'}; "
            "choose another file name, such as .png"
        )
    return content.tobytes()


def write_inside(path: Path, content: bytes) -> None:
    """Write a file inside the temporary folder of :func:`moved_when_complete`, which syncs it; raises OSError."""
    with path.open("xb") as file:
        file.write(content)


@contextmanager
def moved_when_complete(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, for a file or a folder.

    If the block succeeds, the file or folder is synced and renamed to ``path``; if not, it is deleted. A file replaces a file,
    and a folder replaces a folder, but never one the other.

    Raises
    ------
    OSError
        It cannot be synced or renamed.
    """
    with _renamed_at_end(path) as part:
        yield part
        _sync(part)


@contextmanager
def moved_together(*paths: Path) -> Iterator[list[Path]]:
    """As :func:`moved_when_complete`, for what belongs together: all is on disk before the first path gets its name.

    They get their names in order; one that occurs twice has the first content until it gets the second.
    """
    with ExitStack() as stack:
        # The stack renames the last one first.
        parts = [stack.enter_context(_renamed_at_end(path)) for path in reversed(paths)][::-1]
        yield parts
        for part in parts:
            _sync(part)


@contextmanager
def _renamed_at_end(path: Path) -> Iterator[Path]:
    """As :func:`moved_when_complete`, for a block that syncs the file itself."""
    mark = uuid.uuid4().hex[:8]
    part, old = path.with_name(f".{path.name}.{mark}.part"), path.with_name(f".{path.name}.{mark}.old")
    try:
        yield part
        both_folders = part.is_dir() and path.is_dir()
        if not (both_folders and _swapped(part, path)):
            if both_folders:
                path.replace(old)
            part.replace(path)
        sync_folder(path.parent)
    except BaseException:
        if old.exists() and not path.exists():
            old.replace(path)
        raise
    finally:
        for leftover in (part, old):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)


def _swapped(first: Path, second: Path) -> bool:
    """Exchange two folders in one step, which only Linux can; return whether it is done.

    Elsewhere a power cut between two renames could leave no folder of this name: a rename replaces only files.
    """
    if not sys.platform.startswith("linux"):
        return False
    call = getattr(ctypes.CDLL(None), "renameat2", None)  # not in every C library
    return call is not None and call(_HERE, os.fsencode(first), _HERE, os.fsencode(second), _SWAP) == 0


def make_folder(path: Path) -> None:
    """Make a folder and those that it lies in, and wait until their names are on disk; raises OSError.

    Without that wait, a power cut could remove a new folder together with the synced files in it.
    """
    new = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in new:
        sync_folder(folder.parent)


def sync_folder(path: Path) -> None:
    """Wait until a folder's list of files is on disk; Windows needs no such wait."""
    if sys.platform == "win32":
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(fd)


def _sync(path: Path) -> None:
    """Wait until a file, or a folder with everything in it, is on disk."""
    if path.is_dir():
        for inner in path.iterdir():
            _sync(inner)
        sync_folder(path)
        return
    with path.open("rb+") as file:
        os.fsync(file.fileno())
