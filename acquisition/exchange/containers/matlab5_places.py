"""Where the numbers of uncompressed variables lie in a MATLAB file of version 5, so that no whole variable is in memory."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

_HEADER_BYTES, _TAG_BYTES = 128, 8
#: How the end of the header shows the order of bytes.
_ORDERS: dict[bytes, Literal["<", ">"]] = {b"IM": "<", b"MI": ">"}
_MATRIX, _SIGNED, _UNSIGNED, _NAME = 14, 5, 6, 1
#: The dtype of each type of element, and the type that a class of variables has when it is not stored in a smaller one.
_DTYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TYPES = {6: 9, 7: 7, 8: 1, 9: 2, 10: 3, 11: 4, 12: 5, 13: 6, 14: 12, 15: 13}
_LOGICAL_OR_COMPLEX = 0x0A00
_LONGEST = 4096


def mapped_variable(path: Path, name: str) -> NDArray[Any] | None:
    """Return a variable of real numbers as a map of the file, or None if it is compressed or of another kind.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    with path.open("rb") as file:
        order = _ORDERS.get(file.read(_HEADER_BYTES)[-2:])
        if order is None:
            return None
        for start, size in _elements(file, order):
            place = _numbers(file, order, name.encode("latin-1", "replace"))
            if place is not None:
                shape, dtype, offset = place
                if offset + math.prod(shape) * dtype.itemsize <= start + size:
                    return np.memmap(path, dtype, "r", offset, shape, "F")
    return None


def _elements(file: IO[bytes], order: Literal["<", ">"]) -> Iterator[tuple[int, int]]:
    """Yield start and size of every uncompressed variable; the file is then at its start."""
    place = _HEADER_BYTES
    while True:
        file.seek(place)
        tag = file.read(_TAG_BYTES)
        if len(tag) < _TAG_BYTES:
            return
        element, size = struct.unpack(f"{order}2I", tag)
        place += _TAG_BYTES
        if element == _MATRIX:
            yield place, size
        place += size


def _numbers(file: IO[bytes], order: Literal["<", ">"], name: bytes) -> tuple[tuple[int, ...], np.dtype[Any], int] | None:
    """Return shape and dtype of a variable, and where its numbers begin, if it has this name and holds plain numbers."""
    flags = _part(file, order, _UNSIGNED)
    sizes = _part(file, order, _SIGNED)
    if len(flags) != 8 or len(sizes) < 8 or _part(file, order, _NAME) != name:
        return None
    (flag_bits,) = struct.unpack(f"{order}I", flags[:4])
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes[: len(sizes) // 4 * 4])
    element, nbytes = struct.unpack(f"{order}2I", file.read(_TAG_BYTES).ljust(_TAG_BYTES, b"\0"))
    if flag_bits & _LOGICAL_OR_COMPLEX or min(shape) < 1 or _TYPES.get(flag_bits & 0xFF) != element:
        return None
    dtype = np.dtype(_DTYPES[element]).newbyteorder(order)
    return (shape, dtype, file.tell()) if nbytes == math.prod(shape) * dtype.itemsize else None


def _part(file: IO[bytes], order: str, expected: int) -> bytes:
    """Return the content of the next part of a variable; nothing if it is of another type. Four bytes fit into the tag."""
    tag = file.read(_TAG_BYTES).ljust(_TAG_BYTES, b"\0")
    element, size = struct.unpack(f"{order}2I", tag)
    if element >> 16:
        return tag[4 : 4 + (element >> 16)] if element & 0xFFFF == expected else b""
    if element != expected or size > _LONGEST:
        return b""
    return file.read(-(-size // 8) * 8)[:size]
