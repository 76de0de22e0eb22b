"""HDF5 files, those of MATLAB 7.3 among them: MATLAB's axes are those of HDF5 in reverse order, and its mark shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from acquisition.archive.shards import Image
from acquisition.exchange.check_sums import FACTS, Layout, read_check_sums
from acquisition.exchange.child_reader import check_in_child
from acquisition.exchange.containers.array_file import IMAGE_KINDS, METADATA, ArrayFile, json_mapping
from acquisition.exchange.containers.axes import Axes, Custom, Decision, decide_axes, named_axes, read_images
from acquisition.exchange.containers.facts import (
    CHANNELS,
    SCALARS,
    channel_names,
    is_column,
    metadata_json_of,
    si_columns,
    stated_facts,
    text_of,
    unit_of,
)
from drivers.limits import MAX_COLUMN_BYTES, MAX_EXPANSION, MAX_NESTING, LimitError

#: MATLAB's mark of a variable, and its name for text.
_MATLAB, _CHARACTERS = "MATLAB_class", "char"
_SINGLE = (*METADATA, FACTS, *SCALARS)
#: Arrays and groups of one file.
_MOST_ITEMS = 100_000
#: Where MATLAB keeps the parts of cell arrays.
_REFERENCED = "#refs#"


def read_hdf5(path: Path, axes: str = "") -> ArrayFile:
    """Read an HDF5 file, and nothing outside it, after a child process has read all of it."""
    check_in_child(path)
    return open_hdf5(path, axes)


def open_hdf5(path: Path, axes: str = "") -> ArrayFile:
    """As :func:`read_hdf5`, without a child. Arrays inside groups have the names ``group/array``."""
    with h5py.File(path) as file:
        datasets = _datasets(file)
        for name, item in datasets.items():
            if (is_column(name) or _is_single(name, item)) and item.size * item.dtype.itemsize > MAX_COLUMN_BYTES:
                raise LimitError(f"{name!r} claims {item.size} values; at most {MAX_COLUMN_BYTES} bytes are read")
        stored = {name: _column(item) for name, item in datasets.items() if is_column(name)}
        single = {**file.attrs, **{name: _column(item) for name, item in datasets.items() if _is_single(name, item)}}
        columns, converted = si_columns(stored)
        count = next((len(column) for column in columns.values() if column.ndim == 1), None)
        images = {name: item for name, item in datasets.items() if _holds_images(name, item)}
        units = {name: unit_of(item.attrs) for name, item in images.items()}
        metadata_json = metadata_json_of(single)
        metadata = stated_facts(single, json_mapping(metadata_json))
        decision = _decide(images, count, axes, len(channel_names(metadata)))
        layouts: dict[str, Layout] = {
            name: (array_axes.layout(images[name].shape), images[name].dtype.newbyteorder("="))
            for name, array_axes in decision.axes.items()
        }
    check_sums = read_check_sums(layouts, stored, metadata_json, text_of(single.get(FACTS, "")))
    return ArrayFile(
        arrays=layouts,
        columns=columns,
        metadata=metadata,
        check_sums=check_sums,
        read=partial(_images, path, decision.axes),
        notes=() if check_sums else (*decision.notes, *converted),
        units=units,
    )


def _is_single(name: str, item: h5py.Dataset) -> bool:
    is_text = h5py.check_string_dtype(item.dtype) or text_of(item.attrs.get(_MATLAB, "")) == _CHARACTERS
    return name in _SINGLE or (name == CHANNELS and bool(is_text))


def _decide(images: Mapping[str, h5py.Dataset], count: int | None, stated: str, channels: int) -> Decision:
    """Return the axes of all arrays as they lie in HDF5; the notes show MATLAB's arrays as MATLAB shows them."""
    named = {name: axes for name, item in images.items() if (axes := _labelled(item)) and not stated}
    own = {name: item.shape for name, item in images.items() if name not in named and not _is_matlab(item)}
    reverse = {name: item.shape[::-1] for name, item in images.items() if name not in named and _is_matlab(item)}
    first = decide_axes(own, Custom.FIRST, count=count, stated=stated, channels=channels)
    last = decide_axes(reverse, Custom.LAST, count=count, stated=stated, channels=channels)
    flipped = {name: axes.reversed(len(reverse[name])) for name, axes in last.axes.items()}
    notes = [f"axes of {name!r}: {axes.names(images[name].shape)}, as the file names them" for name, axes in named.items()]
    decided = {**named, **first.axes, **flipped}
    return Decision(axes={name: decided[name] for name in images if name in decided}, notes=(*notes, *first.notes, *last.notes))


def _labelled(item: h5py.Dataset) -> Axes | None:
    return named_axes([dimension.label for dimension in item.dims], item.shape)


def _holds_images(name: str, item: h5py.Dataset) -> bool:
    kind = text_of(item.attrs.get(_MATLAB, ""))
    return item.ndim > 1 and item.dtype.kind in IMAGE_KINDS and kind != _CHARACTERS and not is_column(name)


def _is_matlab(item: h5py.Dataset) -> bool:
    return _MATLAB in item.attrs


def _column(item: h5py.Dataset) -> NDArray[Any]:
    """Return values or texts, one for each image; MATLAB has N x 1 values, or N rows of characters with blanks at their end."""
    if h5py.check_string_dtype(item.dtype):
        return np.asarray(item.asstr("utf-8")[()], np.str_)
    content = np.asarray(item[()])
    if not _is_matlab(item):
        return content
    if text_of(item.attrs[_MATLAB]) != _CHARACTERS:
        return np.ravel(content)
    rows = np.ascontiguousarray(content.T, "<u2")
    return np.array([row.tobytes().decode("utf-16-le").rstrip(" ") for row in rows])


def _datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    """Return every array of a file by its path; raises LimitError when the content of one lies in another place or file."""
    datasets: dict[str, h5py.Dataset] = {}
    groups = [("", file)]
    items = 0
    while groups:
        prefix, group = groups.pop()
        if prefix.count("/") > MAX_NESTING:
            raise LimitError(f"its groups are nested more than {MAX_NESTING} deep; store the arrays in one group")
        inner = []
        for key in group:
            items += 1
            if items > _MOST_ITEMS:
                raise LimitError(f"it has more than {_MOST_ITEMS} arrays and groups; store each stack as one array")
            name = f"{prefix}{key}"
            item = _item(group, key, name)
            if isinstance(item, h5py.Dataset):
                datasets[name] = item
            elif isinstance(item, h5py.Group) and key != _REFERENCED:
                inner.append((f"{name}/", item))
        groups += reversed(inner)
    return datasets


def _item(group: h5py.Group, key: str, name: str) -> object:
    if not isinstance(group.get(key, getlink=True), h5py.HardLink):
        raise LimitError(f"{name!r} is a link, which may lead to another file; store the array itself in this file")
    item = group[key]
    if not isinstance(item, h5py.Dataset):
        return item
    if item.external or item.is_virtual:
        kind = "virtual" if item.is_virtual else "external"
        raise LimitError(f"{name!r} is {kind}: its content lies in another file; store the array itself in this file")
    size = item.file.id.get_filesize()
    if item.shape is not None and item.nbytes > MAX_EXPANSION * size:
        raise LimitError(f"{name!r} claims {item.nbytes} bytes, but the file has {size}; save it with all its values")
    return item if item.shape is not None else None


def _images(path: Path, axes: Mapping[str, Axes], name: str) -> Iterator[Image]:
    with h5py.File(path) as file:
        yield from read_images(file[name], axes[name])
