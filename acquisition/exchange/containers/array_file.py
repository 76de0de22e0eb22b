"""What every reader of array files returns, and the errors of such files.

A reader returns the content of a file as stacks of images (N, H, W), or (N, C, H, W) where they have channels, whatever the
axes, the order of bytes and the units are in the file, and tells in its notes what it decided.
"""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile
from numpy.typing import NDArray

from acquisition.archive.old_names import with_present_names
from acquisition.archive.shards import Image
from acquisition.exchange.check_sums import CheckSums, Layout
from drivers.base import SpeckleScopeError
from drivers.limits import check_pixels
from drivers.safe_text import parse_json

INTEGERS = ("frame_index", "t_ns")
NUMBERS = ("exposure_s", "latency_s")
TEXTS = ("pattern_id", "pattern_name", "host_utc", "model_id", "engine")
#: Where our own files keep the metadata; version 0.1.0 used the second name.
METADATA = ("metadata_json", "card_json")
COLUMNS = (*INTEGERS, *NUMBERS, *TEXTS, "extra_json")
#: Kinds of dtypes that images can have: truth values, integers, real and complex numbers.
IMAGE_KINDS = "buifc"
#: Arrays of pairs, by the names that we give them.
KNOWN = ("speckle", "phase", "label", "labels", "uncertainty")


class ArrayFileError(SpeckleScopeError):
    """A file of arrays cannot be read."""


@dataclass(kw_only=True)
class ArrayFile:
    """The content of a file.

    Parameters
    ----------
    arrays : dict of str to (shape, dtype)
        Every array of images as (N, H, W) or (N, C, H, W), with the dtype in the byte order of this computer.
    columns : dict of str to ndarray, shape (N,)
        One fact about every image, such as ``t_ns`` in nanoseconds and ``exposure_s`` in seconds.
    metadata : dict
        Facts about all images, such as ``pixel_um``, ``bit_depth`` and ``phase_range_rad``; only those that the file states.
    check_sums : CheckSums, optional
        Its check sums.
    read : callable
        Takes the name of an array and yields its images (H, W) or (C, H, W) in order.
    notes : tuple of str
        What was decided about axes, units and order, and why.
    units : mapping of str to str
        Units of arrays, as the file states them.
    planes : tuple of str
        Arrays that are the channels of one image by OME's axis C, each with a name of its own. They can become one array.
    """

    arrays: dict[str, Layout]
    columns: dict[str, NDArray[Any]]
    metadata: dict[str, Any]
    check_sums: CheckSums | None
    read: Callable[[str], Iterator[Image]]
    notes: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    planes: tuple[str, ...] = ()


def check_image(shape: Sequence[int]) -> None:
    """Raise LimitError unless an image (H, W) or (C, H, W) has between 1 pixel and the most that are read."""
    check_pixels((math.prod(shape[:-1]), shape[-1]))


def planes_of(name: str, channels: Sequence[str]) -> tuple[str, ...]:
    """Return the channels of an image of another program that can become one array of this name; () where that is ambiguous.

    The file has to call the image speckle, and every channel has to have a name of its own that is no array of pairs.
    """
    is_clear = len(set(channels)) == len(channels) > 1 and all(channels) and not {*channels} & {*KNOWN}
    return tuple(channels) if is_clear and name == "speckle" else ()


def joined(content: ArrayFile, name: str, planes: Sequence[str]) -> ArrayFile:
    """Return a file in which arrays of one channel each, all of one shape, are one array (N, C, H, W).

    Parameters
    ----------
    content : ArrayFile
        The file.
    name : str
        Name of the new array; it comes first.
    planes : sequence of str
        Names of the arrays, in the order of the channels.
    """
    (count, *shape), dtype = content.arrays[planes[0]]
    others = {key: layout for key, layout in content.arrays.items() if key not in planes}

    def read(key: str) -> Iterator[Image]:
        if key != name:
            return content.read(key)
        return (np.stack(images) for images in zip(*map(content.read, planes), strict=True))

    return replace(content, arrays={name: ((count, len(planes), *shape), dtype), **others}, read=read, planes=())


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
