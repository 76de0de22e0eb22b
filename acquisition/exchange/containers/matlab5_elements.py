"""The variables of a MATLAB file of version 5, read with every size checked: SciPy's reader crashes on damaged structs.

A file is a header of 128 bytes and one element for each variable. An element is its type, its size and its content; a variable
is one that holds others: flags, sizes of the axes, name, and its values. A compressed variable is such an element in zlib's
format. Uncompressed numbers are not copied: they stay in the file.
"""

from __future__ import annotations

import math
import mmap
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from drivers.limits import MAX_ARRAY_BYTES, MAX_COLUMN_BYTES, MAX_EXPANSION, MAX_NESTING, LimitError

_HEADER_BYTES, _TAG_BYTES = 128, 8
_Order = Literal["<", ">"]
#: How the end of the header shows the order of bytes.
_ORDERS: dict[bytes, _Order] = {b"IM": "<", b"MI": ">"}
_INT8, _INT32, _UINT32, _MATRIX, _COMPRESSED, _UTF8, _UTF16 = 1, 5, 6, 14, 15, 16, 17
#: The dtype of each type of element, and that of each class of variables, which can be stored in smaller elements.
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_CELL, _STRUCT, _TEXT = 1, 2, 4
_COMPLEX, _LOGICAL = 0x800, 0x200
#: Bytes of a compressed variable that surely hold its flags, axes and name.
_HEAD_BYTES = 4096


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A variable, or a part of one.

    Parameters
    ----------
    shape : tuple of int
        Sizes of its axes, as MATLAB shows them.
    dtype : dtype, optional
        Of its numbers; None where it holds none, such as text.
    values : ndarray, optional
        Its numbers, perhaps of a smaller type; None for a compressed variable that was only listed.
    texts : tuple of str
        Its rows of characters, or the texts in its cells.
    fields : mapping of str to Variable
        Those of a struct 1 x 1.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None = None
    values: NDArray[Any] | None = None
    texts: tuple[str, ...] = ()
    fields: Mapping[str, Variable] = field(default_factory=dict)


def read_variables(path: Path, wanted: str = "") -> dict[str, Variable]:
    """Return the variables of a file, or the one that is wanted.

    Without one that is wanted, compressed numbers are only listed.

    Raises
    ------
    OSError, ValueError, struct.error, zlib.error
        It is no such file, or is damaged.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
        order = _ORDERS.get(header[126:])
        if order is None or header[125 if order == "<" else 124] != 1:
            raise ValueError("it is no MATLAB file of version 5 or 7.3; save it with -v7")
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    variables: dict[str, Variable] = {}
    place = _HEADER_BYTES
    while place < len(content):
        kind, size = struct.unpack(f"{order}2I", content[place : place + _TAG_BYTES])
        element = content[place + _TAG_BYTES : place + _TAG_BYTES + size]
        if len(element) < size:
            raise ValueError("it is cut off; copy it again")
        if kind in (_MATRIX, _COMPRESSED):
            name, variable = _top(element, order, wanted, is_compressed=kind == _COMPRESSED)
            variables |= {name: variable} if variable else {}
        place += _TAG_BYTES + size
    return variables


def _top(element: memoryview, order: _Order, wanted: str, *, is_compressed: bool) -> tuple[str, Variable | None]:
    """Return the name of a variable, and the variable unless another one is wanted."""
    if not is_compressed:
        name, variable = _Matrix(element, order).read()
        return name, variable if wanted in ("", name) else None
    head = _Matrix(_unpacked(element, _HEAD_BYTES)[_TAG_BYTES:], order)
    name, shape, dtype, _ = head.head()
    if wanted not in ("", name):
        return name, None
    if dtype is not None and not wanted:
        return name, Variable(shape=shape, dtype=dtype)
    most = MAX_COLUMN_BYTES if dtype is None else MAX_ARRAY_BYTES
    if dtype is not None and math.prod(shape) * dtype.itemsize > MAX_EXPANSION * len(element):
        raise LimitError(f"{name!r} claims {math.prod(shape)} values in {len(element)} bytes; save it again")
    return _Matrix(_unpacked(element, most)[_TAG_BYTES:], order).read()


def _unpacked(element: memoryview, most: int) -> memoryview:
    return memoryview(zlib.decompressobj().decompress(element, most))


class _Matrix:
    """Reads one variable from its bytes, part by part."""

    def __init__(self, content: memoryview, order: _Order, depth: int = 0) -> None:
        if depth > MAX_NESTING:
            raise LimitError(f"its cells are nested more than {MAX_NESTING} deep; save plain variables")
        self._content = content
        self._order: _Order = order
        self._depth = depth
        self._place = 0

    def head(self) -> tuple[str, tuple[int, ...], np.dtype[Any] | None, int]:
        """Return name, shape, dtype of its numbers if it has real ones, and flags."""
        flags = int(self._numbers(_UINT32)[0])
        shape = tuple(self._numbers(_INT32).tolist())
        name = bytes(self._part(_INT8)[1]).decode("latin-1")
        if len(shape) < 2 or min(shape) < 0:
            raise ValueError(f"{name!r} states the sizes {shape}")
        dtype = np.dtype(_CLASSES[flags & 0xFF]) if flags & 0xFF in _CLASSES else None
        if flags & _COMPLEX and dtype is not None:
            dtype = np.dtype("c16")
        return name, shape, np.dtype(bool) if flags & _LOGICAL and dtype is not None else dtype, flags & 0xFF

    def read(self) -> tuple[str, Variable]:
        """Return name and content."""
        name, shape, dtype, kind = self.head()
        if dtype is not None:
            element, data = self._part()
            stored = np.dtype(_STORED[element]).newbyteorder(self._order)
            if len(data) != math.prod(shape) * stored.itemsize:
                raise ValueError(f"{name!r} claims {math.prod(shape)} values, but has {len(data)} bytes of them; copy it again")
            values = np.frombuffer(data, stored).reshape(shape, order="F")
            return name, Variable(shape=shape, dtype=dtype, values=values)
        if kind == _TEXT:
            return name, Variable(shape=shape, texts=self._rows(shape))
        if kind == _CELL and math.prod(shape) <= len(self._content) // _TAG_BYTES:
            cells = [self._inner() for _ in range(math.prod(shape))]
            return name, Variable(shape=shape, texts=tuple(cell.texts[0] if cell.texts else "" for cell in cells))
        if kind == _STRUCT and shape == (1, 1):
            longest = int(self._numbers(_INT32)[0])
            block = bytes(self._part(_INT8)[1])
            names = [block[at : at + longest].split(b"\0")[0].decode("latin-1") for at in range(0, len(block), max(1, longest))]
            return name, Variable(shape=shape, fields={key: self._inner() for key in names})
        return name, Variable(shape=shape)

    def _inner(self) -> Variable:
        _, data = self._part(_MATRIX)
        return _Matrix(data, self._order, self._depth + 1).read()[1] if len(data) else Variable(shape=(0, 0))

    def _rows(self, shape: tuple[int, ...]) -> tuple[str, ...]:
        """Return the rows of characters; MATLAB stores the first character of every row, then the second one."""
        element, data = self._part()
        encoding = {_UTF8: "utf-8", _UTF16: "utf-16", 4: "utf-16", _INT8: "latin-1", 2: "latin-1"}[element]
        suffix = {"<": "-le", ">": "-be"}[self._order] if encoding == "utf-16" else ""
        text = bytes(data).decode(encoding + suffix)
        return tuple(text[row :: shape[0]].rstrip(" ") for row in range(min(shape[0], len(text))))

    def _numbers(self, expected: int) -> NDArray[Any]:
        _, data = self._part(expected)
        return np.frombuffer(data, np.dtype(_STORED[expected]).newbyteorder(self._order))

    def _part(self, expected: int | None = None) -> tuple[int, memoryview]:
        """Return type and content of the next part; up to four bytes are in its tag."""
        tag = self._content[self._place : self._place + _TAG_BYTES]
        element, size = struct.unpack(f"{self._order}2I", tag)
        if element >> 16:
            element, size, data = element & 0xFFFF, element >> 16, tag[4:]
            self._place += _TAG_BYTES
        else:
            start = self._place + _TAG_BYTES
            data = self._content[start:]
            self._place = start + -(-size // _TAG_BYTES) * _TAG_BYTES
        if size > len(data) or (expected is not None and element != expected):
            raise ValueError(f"a part of type {element} and {size} bytes is none of a variable; copy it again")
        return element, data[:size]
