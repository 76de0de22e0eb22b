"""The metadata of OME-TIFF: which page is which image, pixel size, times, bits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from acquisition.exchange.containers.units import length_um, regular_times_ns, time_ns, time_s
from drivers.limits import LimitError

_SIZES = ("SizeZ", "SizeC", "SizeT")
#: The most pages of one file.
_MOST_PAGES = 10_000_000


@dataclass(kw_only=True)
class OmeStack:
    """The images of one channel.

    Parameters
    ----------
    image, channel : str
        Names of the image and the channel in the file; empty where it has none.
    number : int
        Number of the image in the file.
    pages : list of int
        The page of every image, in order.
    columns : dict of str to ndarray, shape (N,)
        Times and exposures, where the file states them for every image.
    metadata : dict
        ``pixel_um`` and ``bit_depth``, where the file states them.
    notes : list of str
        What was decided.
    """

    image: str
    channel: str
    number: int
    pages: list[int]
    columns: dict[str, NDArray[Any]] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_ome(xml: str, page_count: int) -> list[OmeStack]:
    """Return the stacks of an OME-TIFF file, one for each channel of each image.

    Raises
    ------
    ValueError
        The text is damaged, does not fit the pages, has entities, or names other files.
    """
    if "<!" in xml.replace("<!--", ""):
        raise LimitError("it declares entities in its OME metadata; export it again")
    root = ElementTree.fromstring(xml)
    stacks: list[OmeStack] = []
    next_page = 0
    for number, image in enumerate(root.iterfind("{*}Image")):
        pixels = image.find("{*}Pixels")
        if pixels is None:
            continue
        sizes = [int(pixels.get(name, "1")) for name in _SIZES]
        planes = math.prod(sizes)
        if any(channel.get("SamplesPerPixel", "1") != "1" for channel in pixels.findall("{*}Channel")):
            raise LimitError("its images are in colour; save each channel in grey")
        if min(sizes) < 1 or planes > min(page_count, _MOST_PAGES):
            raise ValueError(f"its OME metadata state {planes} images, but it has {page_count} pages")
        pages = _pages(root, pixels, sizes, next_page)
        next_page = max(pages.values(), default=-1) + 1
        if len(pages) < planes or next_page > page_count:
            raise ValueError(f"its OME metadata state {planes} images, but not the pages of all of them")
        stacks += _channels((number, image.get("Name", "")), pixels, sizes, pages)
    if not stacks:
        raise ValueError("it has no OME metadata for its pages")
    return stacks


_Number = TypeVar("_Number")
_Plane = tuple[int, int, int]


def _pages(root: ElementTree.Element, pixels: ElementTree.Element, sizes: Sequence[int], first: int) -> dict[_Plane, int]:
    """Return the page of every plane (z, c, t)."""
    order = list(_ordered(pixels.get("DimensionOrder", "XYZCT"), sizes))
    places = {plane: place for place, plane in enumerate(order)}
    blocks = pixels.findall("{*}TiffData")
    pages: dict[_Plane, int] = {}
    own = root.get("UUID", "")
    files = {uuid.text for block in blocks if (uuid := block.find("{*}UUID")) is not None}
    if len(files) > 1 or (own and files - {own}):
        raise LimitError("some of its images lie in other files; save it as one file")
    for block in blocks:
        corner = (int(block.get("FirstZ", "0")), int(block.get("FirstC", "0")), int(block.get("FirstT", "0")))
        start = places.get(corner, len(order))
        stated = block.get("IFD")
        count = int(block.get("PlaneCount", "1" if stated is not None else str(len(order) - start)))
        page = int(stated) if stated is not None else first
        if count < 0 or page < 0:
            raise ValueError("its OME metadata state a negative page")
        for number, plane in enumerate(order[start : start + count]):
            pages[plane] = page + number
    return pages or {plane: first + place for place, plane in enumerate(order)}


def _ordered(order: str, sizes: Sequence[int]) -> Iterator[_Plane]:
    """Yield all planes (z, c, t), the first axis after X and Y fastest."""
    axes = ["ZCT".index(letter) for letter in order[2:]]
    if sorted(axes) != [0, 1, 2]:
        raise ValueError(f"its DimensionOrder is {order!r}")
    for slow in range(sizes[axes[2]]):
        for middle in range(sizes[axes[1]]):
            for fast in range(sizes[axes[0]]):
                by_axis = {axes[0]: fast, axes[1]: middle, axes[2]: slow}
                yield (by_axis[0], by_axis[1], by_axis[2])


def _channels(
    image: tuple[int, str], pixels: ElementTree.Element, sizes: Sequence[int], pages: dict[_Plane, int]
) -> Iterator[OmeStack]:
    """Yield the stack of every channel of an image, of which number and name are given."""
    number, name = image
    size_z, size_c, size_t = sizes
    names = [channel.get("Name", "") for channel in pixels.findall("{*}Channel")]
    planes = {_place(plane): plane for plane in pixels.findall("{*}Plane")}
    for c in range(size_c):
        frames = [(z, c, t) for t in range(size_t) for z in range(size_z)]
        channel = names[c] if c < len(names) else ""
        stack = OmeStack(image=name, channel=channel, number=number, pages=[pages[frame] for frame in frames])
        if size_z > 1:
            stack.notes.append(f"its {size_z} images along Z are frames" + (f", {size_z} at each time" if size_t > 1 else ""))
        _add_times(stack, pixels, [planes.get(frame) for frame in frames], frames)
        _add_pixel_size(stack, pixels)
        bits = pixels.get("SignificantBits")
        if bits is not None and pixels.get("Type", "").removeprefix("u").startswith("int"):
            stack.metadata["bit_depth"] = int(bits)
        yield stack


def _place(plane: ElementTree.Element) -> _Plane:
    return (int(plane.get("TheZ", "0")), int(plane.get("TheC", "0")), int(plane.get("TheT", "0")))


def _add_times(
    stack: OmeStack, pixels: ElementTree.Element, planes: Sequence[ElementTree.Element | None], frames: Sequence[_Plane]
) -> None:
    times = [None if plane is None else _quantity(plane, "DeltaT", time_ns) for plane in planes]
    exposures = [None if plane is None else _quantity(plane, "ExposureTime", time_s) for plane in planes]
    step, unit = pixels.get("TimeIncrement", "0"), pixels.get("TimeIncrementUnit", "s")
    regular = regular_times_ns(step, unit, len(frames)) if len({t for *_, t in frames}) == len(frames) else None
    if all(value is not None for value in times):
        stack.columns["t_ns"] = np.array(times, np.int64)
    elif regular is not None:
        stack.columns["t_ns"] = np.array(regular, np.int64)
        stack.notes.append(f"its times follow from TimeIncrement, {step} {unit}")
    if all(value is not None for value in exposures):
        stack.columns["exposure_s"] = np.array(exposures, np.float64)
    for name, values in (("DeltaT", times), ("ExposureTime", exposures)):
        stated = [plane for plane in planes if plane is not None and plane.get(name) is not None]
        units = sorted({plane.get(f"{name}Unit", "s") for plane in stated})
        if stated and any(value is None for value in values):
            stack.notes.append(f"its {name} in {', '.join(units)} is not used: a value or unit is missing or unknown")
        elif stated and units != ["s"]:
            stack.notes.append(f"its {name} is in {', '.join(units)}")


def _quantity(element: ElementTree.Element, name: str, convert: Callable[[object, str], _Number | None]) -> _Number | None:
    value = element.get(name)
    return None if value is None else convert(value, element.get(f"{name}Unit", "s"))


def _add_pixel_size(stack: OmeStack, pixels: ElementTree.Element) -> None:
    width = pixels.get("PhysicalSizeX")
    if width is None:
        return
    unit = pixels.get("PhysicalSizeXUnit")
    side_um = length_um(width, unit or "um")
    if side_um is None:
        stack.notes.append(f"its pixel size {width} {unit or ''} is not used: it is no length")
        return
    stack.metadata["pixel_um"] = side_um
    if unit is None or side_um != float(width):
        stack.notes.append(f"its pixel size is {side_um:g} um: {width} {unit or 'without a unit, which is um in OME'}")
    height = pixels.get("PhysicalSizeY")
    height_um = None if height is None else length_um(height, pixels.get("PhysicalSizeYUnit") or "um")
    if height_um is not None and not math.isclose(height_um, side_um, rel_tol=1e-6):
        stack.notes.append(f"its pixels are not square, {side_um:g} x {height_um:g} um; pixel_um is their width")
