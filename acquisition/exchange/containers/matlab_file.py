"""MATLAB files of version 5, which ``save`` writes unless it is told ``-v7.3``; version 7.3 is HDF5."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.shards import Image
from acquisition.exchange.check_sums import FACTS, Layout, read_check_sums
from acquisition.exchange.containers.array_file import METADATA, ArrayFile, json_mapping
from acquisition.exchange.containers.axes import Axes, Custom, decide_axes, read_images
from acquisition.exchange.containers.facts import (
    CHANNELS,
    SCALARS,
    channel_names,
    is_column,
    metadata_json_of,
    si_columns,
    stated_facts,
    text_of,
)
from acquisition.exchange.containers.matlab5_elements import Variable, read_variables
from drivers.limits import MAX_ARRAY_BYTES, MAX_COLUMN_BYTES, MAX_EXPANSION, LimitError

_SINGLE = (*METADATA, FACTS, *SCALARS)


def read_matlab5(path: Path, axes: str = "") -> ArrayFile:
    """Read a MATLAB file of version 5. Arrays inside a struct have the names ``struct/array``."""
    variables = read_variables(path)
    facts = {name: _fact(path, name, item) for name, item in variables.items() if is_column(name) or _is_single(name, item)}
    stored = {name: value for name, value in facts.items() if is_column(name)}
    single = {name: value for name, value in facts.items() if not is_column(name)}
    columns, converted = si_columns(stored)
    count = next((len(column) for column in columns.values() if column.ndim == 1), None)
    layouts = {name: layout for name, layout in _layouts("", variables).items() if name not in facts}
    for name, layout in layouts.items():
        _check_size(path, name, layout, MAX_ARRAY_BYTES)
    metadata_json = metadata_json_of(single)
    metadata = stated_facts(single, json_mapping(metadata_json))
    shapes = {name: shape for name, (shape, _) in layouts.items()}
    channels = len(channel_names(metadata))
    decision = decide_axes(shapes, Custom.LAST, count=count, stated=axes, channels=channels)
    arrays: dict[str, Layout] = {
        name: (array_axes.layout(layouts[name][0]), layouts[name][1]) for name, array_axes in decision.axes.items()
    }
    check_sums = read_check_sums(arrays, stored, metadata_json, text_of(single.get(FACTS, "")))
    return ArrayFile(
        arrays=arrays,
        columns=columns,
        metadata=metadata,
        check_sums=check_sums,
        read=partial(_images, path, decision.axes, layouts),
        notes=() if check_sums else (*decision.notes, *converted),
    )


def _is_single(name: str, variable: Variable) -> bool:
    return name in _SINGLE or (name == CHANNELS and variable.dtype is None)


def _layouts(prefix: str, variables: Mapping[str, Variable]) -> dict[str, Layout]:
    """Return shape and dtype of all numbers by their paths."""
    layouts: dict[str, Layout] = {}
    for name, variable in variables.items():
        layouts |= _layouts(f"{prefix}{name}/", variable.fields)
        if variable.dtype is not None:
            layouts[f"{prefix}{name}"] = variable.shape, variable.dtype
    return layouts


def _check_size(path: Path, name: str, layout: Layout, most: int) -> None:
    nbytes, size = math.prod(layout[0]) * layout[1].itemsize, path.stat().st_size
    if nbytes > min(most, MAX_EXPANSION * size):
        raise LimitError(f"{name!r} claims {nbytes} bytes, but the file has {size}; save it again, or as a smaller array")


def _fact(path: Path, name: str, variable: Variable) -> NDArray[Any]:
    """Return values N x 1, texts in cells, or N rows of characters as a column (N,)."""
    if variable.dtype is None:
        return np.array(variable.texts, np.str_)
    _check_size(path, name, (variable.shape, variable.dtype), MAX_COLUMN_BYTES)
    values = read_variables(path, name)[name].values if variable.values is None else variable.values
    return np.ravel(np.asarray(values, variable.dtype))


def _images(path: Path, axes: Mapping[str, Axes], layouts: Mapping[str, Layout], name: str) -> Iterator[Image]:
    _, dtype = layouts[name]
    variable, *fields = name.split("/")
    if dtype == np.complex128:
        raise LimitError(f"{name!r} is complex; save angle({variable}) for its phase")
    item = read_variables(path, variable)[variable]
    for key in fields:
        item = item.fields[key]
    assert item.values is not None
    for image in read_images(item.values, axes[name]):
        yield image.astype(dtype, copy=False)
