"""MATLAB files of version 5, which every program reads, written image by image.

Such a file is a header and then one element for each variable. SciPy writes the small variables, but would need all images of
a variable in memory.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

_HEADER_BYTES = 128
#: Types of elements.
_INT8, _INT32, _UINT32, _MATRIX = 1, 5, 6, 14
#: Of each dtype the type of an element, and the class of a variable.
_TYPES = {
    "int8": (1, 8),
    "uint8": (2, 9),
    "int16": (3, 10),
    "uint16": (4, 11),
    "int32": (5, 12),
    "uint32": (6, 13),
    "float32": (7, 7),
    "float64": (9, 6),
    "int64": (12, 14),
    "uint64": (13, 15),
}
#: A variable has less than 2 GiB in this version.
MOST_BYTES = 2**31 - 2**16


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Images (H, W) that become one variable H x W x N, or (C, H, W) that become H x W x C x N.

    Parameters
    ----------
    shape : tuple of int
        (N, H, W) or (N, C, H, W).
    dtype : str
        Name of their dtype.
    images : iterable of ndarray
        The images in order.
    """

    shape: tuple[int, ...]
    dtype: str
    images: Iterable[NDArray[Any]]

    @property
    def nbytes(self) -> int:
        """Bytes of all images."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize


def holds(stack: Stack) -> bool:
    """Whether this version can hold these images."""
    return stack.nbytes <= MOST_BYTES and stack.dtype in _TYPES


def write_matlab5(path: Path, stacks: Mapping[str, Stack], values: Mapping[str, NDArray[Any] | str]) -> None:
    """Write a MATLAB file.

    Parameters
    ----------
    path : Path
        The new file.
    stacks : mapping of str to Stack
        The images by the name of their variable.
    values : mapping of str to ndarray or str
        Columns (N,): numbers become N x 1, texts cells N x 1; and single texts.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    memory = io.BytesIO()
    savemat(memory, {name: _cells(value) for name, value in values.items()}, format="5", oned_as="column")
    small = memory.getvalue()
    with path.open("xb") as file:
        file.write(small[:_HEADER_BYTES])
        for name, stack in stacks.items():
            _write_stack(file, name, stack)
        file.write(small[_HEADER_BYTES:])


def _cells(value: NDArray[Any] | str) -> NDArray[Any] | str:
    return value.astype(object)[:, None] if isinstance(value, np.ndarray) and value.dtype.kind == "U" else value


def _write_stack(file: BinaryIO, name: str, stack: Stack) -> None:
    count, *channels, height, width = stack.shape
    sizes = (height, width, *channels, count)
    data_type, kind = _TYPES[stack.dtype]
    padding = -stack.nbytes % 8
    parts = [
        _element(_UINT32, struct.pack("<2I", kind, 0)),
        _element(_INT32, struct.pack(f"<{len(sizes)}i", *sizes)),
        _element(_INT8, name.encode("utf-8")),
        struct.pack("<2I", data_type, stack.nbytes),
    ]
    head = b"".join(parts)
    file.write(struct.pack("<2I", _MATRIX, len(head) + stack.nbytes + padding) + head)
    for image in stack.images:  # MATLAB's first axis is the fastest
        file.write(np.ascontiguousarray(np.swapaxes(image, -1, -2), image.dtype.newbyteorder("<")).data)
    file.write(bytes(padding))


def _element(kind: int, content: bytes) -> bytes:
    return struct.pack("<2I", kind, len(content)) + content + bytes(-len(content) % 8)
