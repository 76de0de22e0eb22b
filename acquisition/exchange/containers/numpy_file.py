"""Files of NumPy: ``.npz`` with all arrays, or ``.npy`` with one."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np

from acquisition.archive.shards import Image
from acquisition.exchange.check_sums import FACTS, Layout, read_check_sums
from acquisition.exchange.containers.array_file import IMAGE_KINDS, METADATA, ArrayFile, json_mapping
from acquisition.exchange.containers.axes import Axes, Custom, decide_axes, read_images
from acquisition.exchange.containers.facts import (
    CHANNELS,
    SCALARS,
    channel_names,
    is_column,
    metadata_json_of,
    si_columns,
    stated_facts,
)
from drivers.limits import MAX_ARRAY_BYTES, MAX_COLUMN_BYTES, LimitError, check_regular
from drivers.safe_arrays import npz_members, read_npy_header

_Read = TypeVar("_Read")
_SINGLE = (*METADATA, FACTS, *SCALARS)


@dataclass(frozen=True, kw_only=True)
class _Member:
    """An array in its file: shape and axes in the order of the bytes, which for Fortran order is the reverse one."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    axes: Axes
    available: int


def read_npz(path: Path, axes: str = "") -> ArrayFile:
    """Read a ``.npz`` file; ``axes`` are those that the operator states."""
    with zipfile.ZipFile(path) as file:
        headers = {name: _member_header(file, name, info) for name, info in npz_members(file, path.stat().st_size).items()}
    with np.load(path, allow_pickle=False) as loaded:
        stored = {name: loaded[name] for name in loaded if is_column(name)}
        single = {name: loaded[name] for name in loaded if name in _SINGLE or _holds_names(name, headers)}
    columns, converted = si_columns(stored)
    count = next((len(column) for column in columns.values() if column.ndim == 1), None)
    shapes = {name: shape for name, (shape, _, dtype, _) in headers.items() if _holds_images(name, shape, dtype)}
    metadata_json = metadata_json_of(single)
    metadata = stated_facts(single, json_mapping(metadata_json))
    decision = decide_axes(shapes, Custom.FIRST, count=count, stated=axes, channels=len(channel_names(metadata)))
    members = {name: _member(headers[name], array_axes) for name, array_axes in decision.axes.items()}
    layouts: dict[str, Layout] = {
        name: (array_axes.layout(shapes[name]), headers[name][2].newbyteorder("="))
        for name, array_axes in decision.axes.items()
    }
    check_sums = read_check_sums(layouts, stored, metadata_json, str(single.get(FACTS, "")))
    return ArrayFile(
        arrays=layouts,
        columns=columns,
        metadata=metadata,
        check_sums=check_sums,
        read=partial(_npz_images, path, members),
        notes=() if check_sums else (*decision.notes, *converted),
    )


def read_npy(path: Path, name: str, axes: str = "") -> ArrayFile:
    """Read a ``.npy`` file, whose array gets the name ``name``."""
    check_regular(path)
    with path.open("rb") as stream:
        size = path.stat().st_size
        shape, fortran_order, dtype = read_npy_header(stream, size, size)
    decision = decide_axes({name: shape}, Custom.FIRST, stated=axes)
    members = {name: _member((shape, fortran_order, dtype, size), array_axes) for name, array_axes in decision.axes.items()}
    return ArrayFile(
        arrays={key: (array_axes.layout(shape), dtype.newbyteorder("=")) for key, array_axes in decision.axes.items()},
        columns={},
        metadata={},
        check_sums=None,
        read=partial(_npy_images, path, members),
        notes=decision.notes,
    )


_Header = tuple[tuple[int, ...], bool, np.dtype[Any], int]


def _member_header(file: zipfile.ZipFile, name: str, info: zipfile.ZipInfo) -> _Header:
    most = MAX_COLUMN_BYTES if is_column(name) or name in _SINGLE else info.file_size
    with file.open(info) as stream:
        return (*_named(name, partial(read_npy_header, stream, info.file_size, most)), info.file_size)


def _member(header: _Header, axes: Axes) -> _Member:
    shape, fortran_order, dtype, available = header
    if fortran_order:
        shape, axes = shape[::-1], axes.reversed(len(shape))
    return _Member(shape=shape, dtype=dtype, axes=axes, available=available)


def _holds_names(name: str, headers: Mapping[str, _Header]) -> bool:
    shape, _, dtype, _ = headers[name]
    return name == CHANNELS and dtype.kind in "US" and math.prod(shape) * dtype.itemsize <= MAX_COLUMN_BYTES


def _holds_images(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    return len(shape) > 1 and dtype.kind in IMAGE_KINDS and not is_column(name)


def _npz_images(path: Path, members: Mapping[str, _Member], name: str) -> Iterator[Image]:
    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with zipfile.ZipFile(path) as file, file.open(f"{name}.npy") as stream:
            yield stream

    return _images(opened, members[name])


def _npy_images(path: Path, members: Mapping[str, _Member], name: str) -> Iterator[Image]:
    return _images(lambda: path.open("rb"), members[name])


def _images(opened: Callable[[], Any], member: _Member) -> Iterator[Image]:
    """Yield the images of an array, one by one where they follow each other in the file, else from the whole array."""
    with opened() as stream:
        read_npy_header(stream, member.available, member.available)
        wide = [axis for axis, size in enumerate(member.shape) if size != 1]
        if member.axes.frames is not None and wide and min(wide) < member.axes.frames:
            nbytes = math.prod(member.shape) * member.dtype.itemsize
            if nbytes > MAX_ARRAY_BYTES:
                raise LimitError(
                    f"its {nbytes} bytes have to be in memory at once, at most {MAX_ARRAY_BYTES} are; "
                    "save it with axes N, H, W in C order"
                )
            whole = np.frombuffer(stream.read(nbytes), member.dtype).reshape(member.shape)
            yield from read_images(whole, member.axes)
            return
        count = member.axes.layout(member.shape)[0]
        nbytes = math.prod(member.shape) // max(1, count) * member.dtype.itemsize
        shape = [1 if axis == member.axes.frames else size for axis, size in enumerate(member.shape)]
        for _ in range(count):
            yield from read_images(np.frombuffer(stream.read(nbytes), member.dtype).reshape(shape), member.axes)


def _named(name: str, read: Callable[[], _Read]) -> _Read:
    """Return what ``read`` returns; its errors begin with the name of the array."""
    try:
        return read()
    except ValueError as error:
        raise LimitError(f"{name}: {error}") from error
