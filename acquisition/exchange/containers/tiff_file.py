"""TIFF stacks: OME-TIFF, the hyperstacks of ImageJ, and plain files of several pages."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image as Pillow

from acquisition.archive.shards import Image
from acquisition.exchange.check_sums import Layout, read_ome_check_sums, read_ome_facts
from acquisition.exchange.containers.array_file import ArrayFile, joined, json_mapping, planes_of
from acquisition.exchange.containers.axes import Axes, read_images
from acquisition.exchange.containers.facts import channel_names, plain_columns
from acquisition.exchange.containers.ome_xml import OmeStack, read_ome
from acquisition.exchange.containers.units import length_um, regular_times_ns
from drivers.limits import MAX_EXPANSION, LimitError, check_pixels, check_regular
from drivers.pictures import check_pages, page_faults, whole_pages


@dataclass(kw_only=True)
class _Stack:
    """The images of one array: their pages, or the images that follow each other without pages of their own."""

    pages: Sequence[int]
    columns: dict[str, NDArray[Any]] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    axes: Axes | None = None
    raw_count: int = 0


def read_tiff(path: Path, name: str) -> ArrayFile:
    """Read a TIFF file. Its array gets the name ``name``; several ones have the names of their channels or images.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Name of its array if it has one; empty if only the names in the file count.
    """
    check_regular(path)
    with page_faults() as faults, tifffile.TiffFile(path) as tiff:
        page_count = len(tiff.pages)
        check_pages(faults)
        xml = tiff.ome_metadata or ""
        first: Any = tiff.pages.first
        described = read_ome(xml, page_count) if xml else []
        if xml:
            stacks = _named_stacks(described, name or path.name.split(".")[0])
        elif path.name.lower().endswith((".ome.tif", ".ome.tiff")):
            # A truncated file may have lost its description or pages; tifffile only logs this.
            raise ValueError(f"{path.name} has no OME metadata for its {page_count} pages")
        elif tiff.imagej_metadata:
            stacks = _imagej_stacks(tiff, page_count, name or path.stem)
        else:
            stacks = _plain_stacks(tiff, page_count, name or path.stem)
        layouts = {key: _layout(path, tiff, stack) for key, stack in stacks.items()}
    chosen = stacks.get("speckle", next(iter(stacks.values())))
    own_columns, own_metadata = read_ome_facts(xml)
    if own_columns:  # more than OME has elements for, and the times as they were stored
        chosen.columns = plain_columns(own_columns)
        chosen.metadata = json_mapping(own_metadata)
    bits = int(first.bitspersample)
    if "bit_depth" not in chosen.metadata and bits not in (8, 16, 32, 64) and first.dtype is not None:
        chosen.metadata["bit_depth"] = bits
    notes = [f"{key!r}: {note}" for key, stack in stacks.items() for note in stack.notes]
    if first.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        notes.append("0 is white in it: its values are subtracted from white")
    if xml and page_count > (used := sum(len(stack.pages) for stack in stacks.values())):
        notes.append(f"{page_count - used} of its {page_count} pages are not in its OME metadata, and are not used")
    channels = [stack.channel for stack in described]
    content = ArrayFile(
        arrays=layouts,
        columns=chosen.columns,
        metadata=chosen.metadata,
        check_sums=None,
        read=partial(_images, path, stacks),
        notes=tuple(notes),
        planes=planes_of(name, channels) if len({stack.number for stack in described}) == 1 else (),
    )
    if own_columns and channels == list(channel_names(chosen.metadata)):
        content = joined(content, name or path.name.split(".")[0], tuple(layouts))
    return _with_check_sums(content, xml)


def _with_check_sums(content: ArrayFile, xml: str) -> ArrayFile:
    """Return a file with the check sums of its only array, or as it is where it has none."""
    sole = next(iter(content.arrays))
    check_sums = read_ome_check_sums(sole, xml, content.arrays[sole]) if xml and len(content.arrays) == 1 else None
    return replace(content, check_sums=check_sums, notes=()) if check_sums else content


def _named_stacks(stacks: Sequence[OmeStack], name: str) -> dict[str, _Stack]:
    """Return OME's stacks by name: that of the file, else those of the channels or images where these differ."""
    converted = [_Stack(pages=s.pages, columns=s.columns, metadata=s.metadata, notes=s.notes) for s in stacks]
    if len(stacks) == 1:
        return {name: converted[0]}
    for names in ([s.channel for s in stacks], [s.image for s in stacks]):
        if all(names) and len(set(names)) == len(names):
            return dict(zip(names, converted, strict=True))
    if all(len(stack.pages) == 1 for stack in stacks):
        return {name: _one_after_the_other(converted)}
    return {f"{name}/{number}": stack for number, stack in enumerate(converted)}


def _one_after_the_other(stacks: Sequence[_Stack]) -> _Stack:
    """Return channels of one image each as one stack: programs call the first axis so when nobody names it."""
    columns = {
        key: np.concatenate([s.columns[key] for s in stacks])
        for key in stacks[0].columns
        if all(key in s.columns for s in stacks)
    }
    pages = [page for stack in stacks for page in stack.pages]
    notes = [*stacks[0].notes, f"its {len(pages)} channels without names are frames"]
    return _Stack(pages=pages, columns=columns, metadata=stacks[0].metadata, notes=notes)


def _imagej_stacks(tiff: tifffile.TiffFile, page_count: int, name: str) -> dict[str, _Stack]:
    """Return the channels of a hyperstack; its images are in the order channel, slice, frame, the first one fastest."""
    facts: dict[str, Any] = tiff.imagej_metadata or {}
    count = int(facts.get("images", page_count))
    channels, slices = (max(1, int(facts.get(key, 1))) for key in ("channels", "slices"))
    if count != page_count and page_count > 1:
        raise ValueError(f"ImageJ states {count} images, but the file has {page_count} pages")
    if count % channels:
        raise ValueError(f"ImageJ states {count} images in {channels} channels")
    metadata, notes = _imagej_pixel(tiff, facts)
    if channels == count > 1:
        notes.append(f"its {channels} channels are frames, because it has no others")
        channels = 1
    frames = count // channels
    columns: dict[str, NDArray[Any]] = {}
    step, unit = facts.get("finterval", 0), str(facts.get("tunit", "s"))
    regular = regular_times_ns(step, unit, frames) if slices == 1 else None
    if regular is not None:
        columns["t_ns"] = np.array(regular, np.int64)
        notes.append(f"its times follow from ImageJ's frame interval, {step:g} {unit}")
    if slices > 1:
        notes.append(f"its {slices} slices are frames" + (f", {slices} at each time" if frames > slices else ""))
    if {"c0", "c1"} <= facts.keys():
        notes.append(f"ImageJ shows {facts['c0']} + {facts['c1']} x value; the stored values are used")
    names = [name] if channels == 1 else [f"{name}/{number}" for number in range(channels)]
    return {
        key: _Stack(
            pages=range(number, count, channels),
            columns=columns,
            metadata=dict(metadata),
            notes=list(notes),
            raw_count=count if page_count == 1 < count else 0,
        )
        for number, key in enumerate(names)
    }


def _imagej_pixel(tiff: tifffile.TiffFile, facts: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    resolution = tiff.pages.first.tags.get("XResolution")
    unit = str(facts.get("unit", ""))
    if resolution is None or not unit or not all(resolution.value):
        return {}, []
    per_unit, one = resolution.value
    side_um = length_um(one / per_unit, unit)
    if side_um is None:
        return {}, [f"its pixel size is not used: {unit!r} is no unit of length"]
    return {"pixel_um": side_um}, [f"its pixel size is {side_um:g} um: {one / per_unit:g} {unit}"]


def _plain_stacks(tiff: tifffile.TiffFile, page_count: int, name: str) -> dict[str, _Stack]:
    page: Any = tiff.pages.first
    if page_count > 1:
        pages = whole_pages(tiff)
        notes = ["its pages are the images, in order"]
        notes += (
            [f"{page_count - len(pages)} of its pages are small views or masks, and are not used"]
            if len(pages) < page_count
            else []
        )
        return {name: _Stack(pages=pages, notes=notes)}
    if len(page.shape) == 3 and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:  # tifffile writes 3 or 4 images so
        return {name: _Stack(pages=[0], axes=Axes(0, 1, 2), notes=[f"the {page.shape[0]} planes of its page are the images"])}
    shape = tiff.shaped_metadata[0]["shape"] if tiff.shaped_metadata else page.shape
    count = math.prod(shape[:-2]) if len(page.shape) == 2 else 1
    notes = [f"its {count} images follow each other"] if count > 1 else []
    return {name: _Stack(pages=range(count), notes=notes, raw_count=count if count > 1 else 0)}


def _layout(path: Path, tiff: tifffile.TiffFile, stack: _Stack) -> Layout:
    """Return (N, H, W) and dtype of a stack; every one of its pages is compared with the first when it is read."""
    page: Any = tiff.pages[0 if stack.raw_count else stack.pages[0]]
    dtype = np.dtype(page.dtype if page.dtype is not None else np.uint16).newbyteorder("=")
    if stack.axes is not None:
        return stack.axes.layout(page.shape), dtype
    if len(page.shape) != 2:
        raise LimitError(f"its pages of shape {page.shape} are in colour; save them in grey")
    check_pixels(page.shape)
    size = path.stat().st_size
    if math.prod(page.shape) * dtype.itemsize > MAX_EXPANSION * size:
        raise LimitError(f"a page claims {page.shape} {dtype}, but the file has {size} bytes; copy it again")
    if stack.raw_count:
        end = page.dataoffsets[0] + stack.raw_count * math.prod(page.shape) * dtype.itemsize
        if page.compression != tifffile.COMPRESSION.NONE or end > size:
            raise ValueError(f"it states {stack.raw_count} images, but does not hold them all")
    return (len(stack.pages), *page.shape), dtype


def _images(path: Path, stacks: Mapping[str, _Stack], name: str) -> Iterator[Image]:
    stack = stacks[name]
    with ExitStack() as opened:
        faults = opened.enter_context(page_faults())
        tiff = opened.enter_context(tifffile.TiffFile(path))
        layout = _layout(path, tiff, stack)
        if stack.axes is not None:
            yield from read_images(tiff.pages.first.asarray(), stack.axes)
            return
        decode: Callable[[Any, int], NDArray[Any]] = _Decoder(path, opened)
        for number in stack.pages:
            page: Any = tiff.pages[0 if stack.raw_count else number]
            check_pages(faults)
            if page.shape != layout[0][1:] or (page.dtype is not None and page.dtype != layout[1]):
                raise LimitError(f"{path.name} has pages of {layout[0][1:]} and of {page.shape}; export it again")
            image = _raw(path, page, number) if stack.raw_count else decode(page, number)
            yield _dark_is_zero(image.astype(layout[1], copy=False), page)


class _Decoder:
    """Decodes pages: tifffile most of them, Pillow those in LZW and others that tifffile reads only with another package."""

    def __init__(self, path: Path, opened: ExitStack) -> None:
        self._path = path
        self._opened = opened
        self._pillow: Any = None

    def __call__(self, page: Any, number: int) -> NDArray[Any]:
        if self._pillow is None:
            try:
                image: NDArray[Any] = page.asarray()
            except ValueError as error:
                if "imagecodecs" not in str(error):
                    raise
            else:
                return image
            self._pillow = self._opened.enter_context(Pillow.open(self._path, formats=("TIFF",)))
        self._pillow.seek(number)
        decoded = np.asarray(self._pillow)
        if decoded.shape != page.shape:
            raise LimitError("its pages are in colour, or of a kind that is not read; save them in grey without compression")
        return decoded


def _raw(path: Path, page: Any, number: int) -> NDArray[Any]:
    """Return an image that follows the first one without a page of its own, as ImageJ writes stacks above 4 GB."""
    dtype = np.dtype(page.dtype).newbyteorder(page.parent.byteorder)
    size = math.prod(page.shape) * dtype.itemsize
    with path.open("rb") as file:
        file.seek(page.dataoffsets[0] + number * size)
        return np.frombuffer(file.read(size), dtype).reshape(page.shape)


def _dark_is_zero(image: NDArray[Any], page: Any) -> Image:
    """Return an image whose value 0 is dark, also where the file states that 0 is white."""
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and image.dtype.kind in "ub":
        return np.ascontiguousarray(~image if image.dtype == bool else (2 ** int(page.bitspersample) - 1) - image)
    return np.ascontiguousarray(image)
