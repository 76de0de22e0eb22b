"""An HDF5 file without its images, built in memory and then written with plain writes.

HDF5 crashes the process when the disk is full while it writes or closes a file. So it never writes to a disk here.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

_PAGE_BYTES = 1 << 16


class _SparseFile(io.RawIOBase):
    """A file in memory; pages that were never written take no memory and read as zeros."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}
        self._size = 0
        self._position = 0

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def truncate(self, size: int | None = None) -> int:
        self._size = self._position if size is None else size
        return self._size

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._size - self._position))
        for page, inside, start, length in _pieces(self._position, count):
            content = self._pages.get(page)
            view[start : start + length] = bytes(length) if content is None else content[inside : inside + length]
        self._position += count
        return count

    def write(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        for page, inside, start, length in _pieces(self._position, len(view)):
            content = self._pages.setdefault(page, bytearray(_PAGE_BYTES))
            content[inside : inside + length] = view[start : start + length]
        self._position += len(view)
        self._size = max(self._size, self._position)
        return len(view)

    def write_to(self, path: Path) -> None:
        """Write a new file of the same content; raises OSError."""
        with path.open("xb") as file:
            for page, content in sorted(self._pages.items()):
                start = page * _PAGE_BYTES
                file.seek(start)
                file.write(content[: max(0, self._size - start)])
            file.truncate(self._size)


def _pieces(position: int, count: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield page, offset in this page, offset in the buffer and length of each part of a read or write."""
    done = 0
    while done < count:
        page, inside = divmod(position + done, _PAGE_BYTES)
        length = min(count - done, _PAGE_BYTES - inside)
        yield page, inside, done, length
        done += length


@contextmanager
def hdf5_skeleton(path: Path, **options: Any) -> Iterator[h5py.File]:
    """Yield a new HDF5 file in memory, and write it to ``path`` at the end of the block.

    Parameters
    ----------
    path : Path
        The new file.
    **options
        Options of :class:`h5py.File`.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    memory = _SparseFile()
    with h5py.File(memory, "w", **options) as file:
        yield file
    memory.write_to(path)
