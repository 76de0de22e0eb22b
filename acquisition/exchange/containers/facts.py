"""Facts about images in files of other people: columns with one value for each image, and single values for all of them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.exchange.check_sums import CRC
from acquisition.exchange.containers.array_file import COLUMNS, METADATA
from acquisition.exchange.containers.units import time_ns, time_s

#: Facts about all images that a file may state under their own names.
SCALARS = ("pixel_um", "bit_depth", "phase_range_rad")
#: The names of the channels of a frame, in our metadata, and as a list of texts in files of other programs.
CHANNELS = "channels"
#: Our name of a column, and the unit in the name of another program's column.
_TIMED = re.compile(r"(t|time|exposure|latency)_(ns|us|ms|s)")


def is_column(name: str) -> bool:
    """Whether an array of this name holds one fact about every image."""
    return name in COLUMNS or name.startswith(CRC) or _TIMED.fullmatch(name) is not None


def si_columns(stored: Mapping[str, NDArray[Any]]) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Return the columns with times in ``t_ns``, ``exposure_s`` and ``latency_s``, and notes about what was converted."""
    columns = {name: column for name, column in stored.items() if name in COLUMNS or name.startswith(CRC)}
    notes = []
    for name, column in stored.items():
        match = _TIMED.fullmatch(name)
        if not match or name in columns:
            continue
        quantity, unit = match.groups()
        own = "t_ns" if quantity in ("t", "time") else f"{quantity}_s"
        convert = time_ns if own == "t_ns" else time_s
        values = [convert(value, unit) for value in np.ravel(column).tolist()]
        if own in columns or any(value is None for value in values):
            notes.append(f"{name!r} is not used: {own!r} is there too, or it has values that are no times")
            continue
        columns[own] = np.array(values, np.int64 if own == "t_ns" else np.float64).reshape(column.shape)
        notes.append(f"{own!r} is {name!r}, converted")
    return columns, notes


def plain_columns(stored: Mapping[str, object]) -> dict[str, NDArray[Any]]:
    """Return columns from lists of plain values, as JSON holds them; a missing number is None there."""
    lists = {name: values for name, values in stored.items() if is_column(name) and isinstance(values, list)}
    return {name: np.array([np.nan if value is None else value for value in values]) for name, values in lists.items()}


def text_of(value: object) -> str:
    """Return a text that a file may hold as characters or as bytes."""
    item = value.item() if isinstance(value, np.ndarray | np.generic) and np.size(value) == 1 else value
    return item.decode("utf-8") if isinstance(item, bytes) else str(item)


def unit_of(attributes: Mapping[str, object]) -> str:
    """Return the unit that the attributes of an array state; empty if they state none."""
    return next((text_of(attributes[name]).strip() for name in ("unit", "units", "Unit", "Units") if name in attributes), "")


def metadata_json_of(values: Mapping[str, object]) -> str:
    """Return the metadata of one of our files as they are stored; an empty object for others."""
    return next((text_of(values[name]) for name in METADATA if name in values), "{}")


def stated_facts(values: Mapping[str, object], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of one of our files, or else single values that another program stores under our names."""
    facts = dict(metadata)
    if CHANNELS not in facts and (named := _texts(values.get(CHANNELS))):
        facts[CHANNELS] = named
    for name in SCALARS:
        number = values.get(name)
        if name not in facts and isinstance(number, int | float | np.ndarray | np.generic) and np.size(number) == 1:
            single = np.ravel(number)[0]
            if single.dtype.kind in "uif" and 0 < single < math.inf:
                facts[name] = int(single) if name == "bit_depth" else float(single)
    return facts


def _texts(value: object) -> list[str]:
    """Return the texts of an array or a list; an empty list where it is none, or not all are texts."""
    listed = np.ravel(value).tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(listed, list) or not all(isinstance(item, str | bytes) for item in listed):
        return []
    return [text_of(item) for item in listed]


def channel_names(metadata: Mapping[str, object]) -> tuple[str, ...]:
    """Return the names of the channels that the metadata state; () unless every channel has a name of its own."""
    named = _texts(metadata.get(CHANNELS))
    return tuple(named) if all(named) and len(set(named)) == len(named) else ()
