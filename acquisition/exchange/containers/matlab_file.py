"""MATLAB files of version 5, which ``save`` writes unless it is told ``-v7.3``; also those of version 4 and of GNU Octave.

Version 7.3 is HDF5, see :mod:`acquisition.exchange.containers.hdf5_file`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat, whosmat
from scipy.io.matlab import MatReadError

from acquisition.archive.shards import Image
from acquisition.exchange.check_sums import FACTS, Layout, read_check_sums
from acquisition.exchange.child_reader import FileLibrary, check_in_child
from acquisition.exchange.containers.array_file import IMAGE_KINDS, METADATA, ArrayFile, json_mapping
from acquisition.exchange.containers.axes import Axes, Custom, decide_axes, read_images
from acquisition.exchange.containers.facts import SCALARS, is_column, metadata_json_of, si_columns, stated_facts, text_of
from acquisition.exchange.containers.matlab5_places import mapped_variable
from drivers.limits import MAX_ARRAY_BYTES, MAX_COLUMN_BYTES, MAX_EXPANSION, LimitError

#: MATLAB's names of real numbers and truth values; those of integers are NumPy's.
_DTYPES = {"double": "float64", "single": "float32", "logical": "bool"}
_NUMBERS = (*_DTYPES, *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))
_SINGLE = (*METADATA, FACTS, *SCALARS)


def read_matlab5(path: Path, axes: str = "") -> ArrayFile:
    """Read a MATLAB file of version 4 or 5 after a child process has read all of it."""
    check_in_child(path, FileLibrary.MATLAB5)
    return open_matlab5(path, axes)


def open_matlab5(path: Path, axes: str = "") -> ArrayFile:
    """As :func:`read_matlab5`, without a child. Arrays inside a struct have the names ``struct/array``."""
    layouts = _variables(path)
    facts = [name for name in layouts if is_column(name) or name in _SINGLE]
    for name in facts:
        _check_size(path, name, layouts[name], MAX_COLUMN_BYTES)
    loaded = _load(path, facts) if facts else {}
    stored = {name: _column(value) for name, value in loaded.items() if is_column(name)}
    single = {name: _column(value) for name, value in loaded.items() if name in _SINGLE}
    columns, converted = si_columns(stored)
    count = next((len(column) for column in columns.values() if column.ndim == 1), None)
    images = {name: layout for name, layout in layouts.items() if name not in facts and len(layout[0]) > 1}
    images = {name: layout for name, layout in images.items() if layout[1].kind in IMAGE_KINDS}
    for name, layout in images.items():
        _check_size(path, name, layout, MAX_ARRAY_BYTES)
    decision = decide_axes({name: shape for name, (shape, _) in images.items()}, Custom.LAST, count=count, stated=axes)
    arrays: dict[str, Layout] = {
        name: (array_axes.layout(images[name][0]), images[name][1]) for name, array_axes in decision.axes.items()
    }
    metadata_json = metadata_json_of(single)
    check_sums = read_check_sums(arrays, stored, metadata_json, text_of(single.get(FACTS, "")))
    return ArrayFile(
        arrays=arrays,
        columns=columns,
        metadata=stated_facts(single, json_mapping(metadata_json)),
        check_sums=check_sums,
        read=partial(_images, path, decision.axes, images),
        notes=() if check_sums else (*decision.notes, *converted),
    )


def _variables(path: Path) -> dict[str, Layout]:
    """Return shape and dtype of every variable, and of every field of a struct, as MATLAB shows them."""
    with _scipy_errors():
        listed = whosmat(path, appendmat=False)
    layouts: dict[str, Layout] = {}
    for name, shape, matlab_class in listed:
        if matlab_class == "struct" and shape == (1, 1):
            layouts |= _fields(name, _load(path, [name])[name])
        else:
            dtype = _DTYPES.get(matlab_class, matlab_class) if matlab_class in _NUMBERS else "O"
            layouts[name] = tuple(map(int, shape)), np.dtype(dtype)
    return layouts


def _fields(prefix: str, struct: NDArray[Any]) -> dict[str, Layout]:
    layouts: dict[str, Layout] = {}
    for name in struct.dtype.names or ():
        value = np.asarray(struct[0, 0][name])
        if value.dtype.names and value.shape == (1, 1):
            layouts |= _fields(f"{prefix}/{name}", value)
        elif value.dtype.kind in IMAGE_KINDS:
            layouts[f"{prefix}/{name}"] = value.shape, value.dtype.newbyteorder("=")
    return layouts


def _check_size(path: Path, name: str, layout: Layout, most: int) -> None:
    nbytes, size = math.prod(layout[0]) * layout[1].itemsize, path.stat().st_size
    if nbytes > min(most, MAX_EXPANSION * size):
        raise LimitError(f"{name!r} claims {nbytes} bytes, but the file has {size}; save it again, or as a smaller array")


def _load(path: Path, names: list[str]) -> dict[str, NDArray[Any]]:
    # With `mat_dtype`, scipy drops imaginary parts; without it, numbers have the type that saved the most space.
    with _scipy_errors():
        loaded: dict[str, NDArray[Any]] = loadmat(path, variable_names=names, appendmat=False)
    return {name: loaded[name] for name in names}


@contextmanager
def _scipy_errors() -> Iterator[None]:
    """Turn scipy's errors for a damaged file into ValueError; for a variable of no known class it forgets to set its result."""
    try:
        yield
    except (MatReadError, NameError) as error:
        raise ValueError(str(error)) from error


def _column(value: NDArray[Any]) -> NDArray[Any]:
    """Return values N x 1, texts in cells, or N rows of characters as a column (N,)."""
    if value.dtype == object:
        return np.array([str(np.ravel(cell)[0]) if np.size(cell) else "" for cell in np.ravel(value)])
    if value.dtype.kind == "U":
        return np.array([str(text).rstrip(" ") for text in np.ravel(value)])
    return np.ravel(value)


def _images(path: Path, axes: Mapping[str, Axes], layouts: Mapping[str, Layout], name: str) -> Iterator[Image]:
    variable, *fields = name.split("/")
    mapped = None if fields else mapped_variable(path, variable)
    array = _load(path, [variable])[variable] if mapped is None else mapped
    for field in fields:
        array = array[0, 0][field]
    shape, dtype = layouts[name]
    if array.dtype.kind == "c" and dtype.kind != "c":
        raise LimitError(f"{name!r} is complex; save angle({variable}) for its phase")
    if array.shape != shape:
        raise LimitError(f"{name!r} has shape {array.shape}, but its header promises {shape}; save it again")
    for image in read_images(array, axes[name]):
        yield image.astype(dtype, copy=False)
