"""NPY and NPZ files that may be hostile: what their headers promise is compared with the file before memory is used."""

from __future__ import annotations

import math
import os
import re
import tokenize
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from drivers.limits import MAX_ARRAY_BYTES, MAX_EXPANSION, LimitError, check_regular

#: How much larger than in the file the content of a member can be, by kind of compression.
_RATIOS = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: MAX_EXPANSION}
_MEMBER = re.compile(r"[A-Za-z0-9_]{1,64}\.npy")


def load_npy(path: Path) -> NDArray[Any]:
    """Read a ``.npy`` file of plain numbers.

    Raises
    ------
    OSError, ValueError
        It cannot be read, is no such file, holds Python objects, or its header promises more than the file holds.
    """
    check_regular(path)
    with path.open("rb") as file:
        read_npy_header(file, os.fstat(file.fileno()).st_size)
        file.seek(0)
        array: NDArray[Any] = np.load(file, allow_pickle=False)
        return array


def read_npy_header(
    stream: IO[bytes], available: int, most: int = MAX_ARRAY_BYTES
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, Fortran order and dtype; the array itself is not read.

    Parameters
    ----------
    stream : binary file
        At its beginning.
    available : int
        Bytes of the whole file.
    most : int
        The largest array that the caller takes, in bytes.

    Raises
    ------
    ValueError
        It is no ``.npy`` file, holds Python objects, or promises more than ``available`` or ``most`` bytes.
    """
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise LimitError(f"it is a .npy file of version {version[0]}.{version[1]}; save it with version 1.0 or 2.0")
    try:
        header = npy.read_array_header_1_0(stream) if version == (1, 0) else npy.read_array_header_2_0(stream)
    except (tokenize.TokenError, SyntaxError, TypeError, LookupError, ArithmeticError, RecursionError, MemoryError) as error:
        raise LimitError(f"its header is no description of an array ({error}); save it again") from error
    shape, _, dtype = header
    if dtype.hasobject:
        raise LimitError("it holds Python objects, which could run code; save plain numbers and text")
    nbytes = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or nbytes > available:
        raise LimitError(f"its header promises {shape} {dtype}, {nbytes} bytes, but the file has {available}; copy it again")
    if nbytes > most:
        raise LimitError(f"its array {shape} {dtype} has {nbytes} bytes, at most {most} are read; save a smaller one")
    return header


def npz_members(file: zipfile.ZipFile, available: int) -> dict[str, zipfile.ZipInfo]:
    """Return the members of a ``.npz`` file by the names of their arrays.

    Parameters
    ----------
    file : ZipFile
        The file.
    available : int
        Its size in bytes.

    Raises
    ------
    ValueError
        A member has a name that :func:`numpy.savez` gives no array, occurs twice, is encrypted, or claims a size that the
        file cannot hold.
    """
    members: dict[str, zipfile.ZipInfo] = {}
    for info in file.infolist():
        name = info.filename.removesuffix(".npy")
        if not _MEMBER.fullmatch(info.filename):
            raise LimitError(f"its member {info.filename!r} is no array NAME.npy; save the file again with numpy.savez")
        if name in members or info.flag_bits & 1:
            what = "occurs twice" if name in members else "is encrypted"
            raise LimitError(f"its member {info.filename!r} {what}; save the file again with numpy.savez")
        if info.compress_type not in _RATIOS or info.compress_size > available:
            raise LimitError(f"its member {info.filename!r} is not stored as numpy.savez does; save the file again with it")
        if info.file_size > _RATIOS[info.compress_type] * info.compress_size:
            raise LimitError(
                f"its member {info.filename!r} claims {info.file_size} bytes in {info.compress_size}; copy it again"
            )
        members[name] = info
    return members
