"""What every reader of array files returns, and the errors of such files.

A reader returns the content of a file as stacks of images (N, H, W), whatever the axes, the order of bytes and the units are in
the file, and tells in its notes what it decided.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import tifffile
from numpy.typing import NDArray

from acquisition.archive.old_names import with_present_names
from acquisition.archive.shards import Image
from acquisition.exchange.check_sums import CheckSums, Layout
from drivers.base import SpeckleScopeError
from drivers.safe_text import parse_json

INTEGERS = ("frame_index", "t_ns")
NUMBERS = ("exposure_s", "latency_s")
TEXTS = ("pattern_id", "pattern_name", "host_utc", "model_id", "engine")
#: Where our own files keep the metadata; version 0.1.0 used the second name.
METADATA = ("metadata_json", "card_json")
COLUMNS = (*INTEGERS, *NUMBERS, *TEXTS, "extra_json")
#: Kinds of dtypes that images can have: truth values, integers, real and complex numbers.
IMAGE_KINDS = "buifc"


class ArrayFileError(SpeckleScopeError):
    """A file of arrays cannot be read."""


@dataclass(kw_only=True)
class ArrayFile:
    """The content of a file.

    Parameters
    ----------
    arrays : dict of str to (shape, dtype)
        Every array of images as (N, H, W), with the dtype in the byte order of this computer.
    columns : dict of str to ndarray, shape (N,)
        One fact about every image, such as ``t_ns`` in nanoseconds and ``exposure_s`` in seconds.
    metadata : dict
        Facts about all images, such as ``pixel_um``, ``bit_depth`` and ``phase_range_rad``; only those that the file states.
    check_sums : CheckSums, optional
        Its check sums.
    read : callable
        Takes the name of an array and yields its images (H, W) in order.
    notes : tuple of str
        What was decided about axes, units and order, and why.
    units : mapping of str to str
        Units of arrays, as the file states them.
    """

    arrays: dict[str, Layout]
    columns: dict[str, NDArray[Any]]
    metadata: dict[str, Any]
    check_sums: CheckSums | None
    read: Callable[[str], Iterator[Image]]
    notes: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)


def json_mapping(text: object) -> dict[str, Any]:
    """Return a JSON object with the present names of its keys; raises ValueError."""
    content = parse_json(str(text))
    if not isinstance(content, dict):
        raise ValueError(f"{str(text)[:40]!r} is not a JSON object")
    return dict(with_present_names(content))


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn the libraries' errors for a missing, damaged or foreign file into an ArrayFileError of one line."""
    try:
        yield
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        ArithmeticError,
        EOFError,
        RuntimeError,
        struct.error,
        zlib.error,
        zipfile.BadZipFile,
        tifffile.TiffFileError,
        ElementTree.ParseError,
    ) as error:
        raise ArrayFileError(f"it cannot be read ({' '.join(str(error).split())}); export it again") from error
