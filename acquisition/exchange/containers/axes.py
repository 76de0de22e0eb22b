"""Which axis of an array counts the images, and which are the channels, rows and columns of an image.

The evidence, the strongest first: what the operator states, the axes that the file names, the number of values in its columns,
the size that its arrays have in common, an image that is square, and the custom of the program that wrote the file. NumPy has
the images first (N, H, W), MATLAB has them last (H, W, N).

Images have channels only where something tells it: the operator, the axes that the file names, or the names of its channels
beside an array ``speckle`` whose axis of channels has the same size. It is (N, C, H, W) for NumPy and (H, W, C, N) for MATLAB.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from acquisition.archive.shards import Image
from drivers.limits import LimitError

#: The most bytes of images that are read at once.
_BLOCK_BYTES = 64 * 2**20
_FRAMES, _ROWS, _COLUMNS = ("n", "t", "z", "time", "frame", "frames", "image"), ("h", "y", "row", "rows"), ("w", "x", "column")
_CHANNELS = ("c", "channel", "channels")
#: As NumPy and as MATLAB have them. Others are no custom of frames: (N, H, W, C) is that of colour pictures.
_ORDERS_WITH_CHANNELS = ("NCHW", "HWCN")
_LETTERS = {"N": _FRAMES, "C": _CHANNELS, "H": _ROWS, "W": _COLUMNS}
_Sizes = tuple[int, int, int]
#: An image that is so many times longer than wide is no camera frame.
_STRIP = 4
#: A square of so many pixels is no coincidence.
_SQUARE = 48


class Custom(StrEnum):
    """Where a program has the axis of the images when nothing else tells it."""

    FIRST = "as NumPy has it"
    LAST = "as MATLAB has it"


@dataclass(frozen=True)
class Axes:
    """The axes of a stored array, by their numbers; every other axis has one value.

    A single image has no axis ``frames``, and a grey one no axis ``channels``.
    """

    frames: int | None
    rows: int
    columns: int
    channels: int | None = None

    @property
    def image(self) -> tuple[int, ...]:
        """The axes of an image: H and W, or C, H and W."""
        return (self.rows, self.columns) if self.channels is None else (self.channels, self.rows, self.columns)

    def layout(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return (N, H, W) or (N, C, H, W) of an array of this shape."""
        return (1 if self.frames is None else shape[self.frames], *(shape[axis] for axis in self.image))

    def reversed(self, ndim: int) -> Axes:
        """Return the axes of the same content when its axes are stored in reverse order."""
        frames, channels, rows, columns = (
            None if axis is None else ndim - 1 - axis for axis in (self.frames, self.channels, self.rows, self.columns)
        )
        assert rows is not None
        assert columns is not None
        return Axes(frames, rows, columns, channels)

    def names(self, shape: Sequence[int]) -> str:
        """Return the axes as a text such as ``(N 4, H 12, W 20)``."""
        letters = {self.frames: "N ", self.channels: "C ", self.rows: "H ", self.columns: "W "}
        return f"({', '.join(letters.get(axis, '') + str(size) for axis, size in enumerate(shape))})"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The axes of every array that holds images, and how they were decided."""

    axes: Mapping[str, Axes]
    notes: tuple[str, ...]


def named_axes(labels: Sequence[str], shape: Sequence[int]) -> Axes | None:
    """Return the axes that a file names, such as ``t``, ``y``, ``x``, or None if it does not name them all.

    An axis of channels needs one of frames beside it: where nothing else counts the images, the channels may be the frames.
    """
    if len(labels) != len(shape) or len(shape) < 2:
        return None
    axes: dict[str, list[int]] = {letter: [] for letter in _LETTERS}
    for axis, (label, size) in enumerate(zip(labels, shape, strict=True)):
        letter = next((key for key, names in _LETTERS.items() if label.lower() in names), "")
        if letter and (size > 1 or letter not in "NC"):
            axes[letter].append(axis)
        elif size != 1:
            return None
    frames, channels, rows, columns = axes.values()
    if len(frames) > 1 or len(channels) > len(frames) or len(rows) != 1 or len(columns) != 1:
        return None
    return Axes(frames[0] if frames else None, rows[0], columns[0], channels[0] if channels else None)


def decide_axes(
    shapes: Mapping[str, tuple[int, ...]], custom: Custom, *, count: int | None = None, stated: str = "", channels: int = 0
) -> Decision:
    """Decide on the axes of all arrays of a file.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Arrays of numbers, of any number of axes.
    custom : Custom
        Of the program that wrote the file.
    count : int, optional
        Number of images, where something else in the file tells it.
    stated : str
        What the operator states: the letters N, H and W in the order of the axes; NCHW or HWCN where frames have channels.
    channels : int
        How many channels the file names; 0 where it names none.
    """
    with_channels = {
        name: known for name, shape in shapes.items() if (known := _channel_axes(name, shape, custom, channels, stated))
    }
    grey = {name: shape for name, shape in shapes.items() if name not in with_channels}
    spatial = {name: axes for name, shape in grey.items() if (axes := _wide_axes(shape))}
    in_order = stated.replace("C", "")
    sizes = {name: (shapes[name][a], shapes[name][b], shapes[name][c]) for name, (a, b, *rest) in spatial.items() for c in rest}
    common = _common_count(sizes.values(), custom) if count is None else count
    decided: dict[str, Axes] = dict(with_channels)
    reason = "as stated" if "C" in stated else f"its {channels} channels have names"
    notes = [f"axes of {name!r}: {known.names(shapes[name])}, {reason}" for name, known in with_channels.items()]
    for name, axes in spatial.items():
        if len(axes) == 2:
            decided[name], reason = Axes(None, *axes), "a single image"
        elif stated:
            decided[name], reason = Axes(*(axes[in_order.index(letter)] for letter in "NHW")), "as stated"
        else:
            order, reason = _order(sizes[name], common, custom)
            decided[name] = Axes(*axes) if order is Custom.FIRST else Axes(axes[2], axes[0], axes[1])
            if order is custom and count is not None:
                continue  # the file says how many images it has, and they are where they are expected
            reason += "; state --axes where this is wrong"
        notes.append(f"axes of {name!r}: {decided[name].names(shapes[name])}, {reason}")
    notes += [_no_images(name, shape) for name, shape in grey.items() if name not in spatial]
    in_file_order = {name: decided[name] for name in shapes if name in decided}
    return _without_singles(Decision(axes=in_file_order, notes=tuple(notes)), shapes)


def _channel_axes(name: str, shape: tuple[int, ...], custom: Custom, channels: int, stated: str) -> Axes | None:
    """Return the axes of an array whose images have channels, or None where nothing tells that they have."""
    if len(shape) != len("NCHW"):
        return None
    if "C" in stated:
        return Axes(*(stated.index(letter) for letter in "NHWC"))
    axes = Axes(0, 2, 3, 1) if custom is Custom.FIRST else Axes(3, 0, 1, 2)
    return axes if channels and name == "speckle" and axes.layout(shape)[1] == channels else None


def _no_images(name: str, shape: tuple[int, ...]) -> str:
    text = f"{name!r} of shape {shape} holds no images (N, H, W)"
    return f"{text}; if its frames have channels, state --axes NCHW or HWCN" if len(shape) == len("NCHW") else text


def _without_singles(decision: Decision, shapes: Mapping[str, tuple[int, ...]]) -> Decision:
    """Leave single images out where other arrays hold several: a mask is not one of them."""
    singles = [name for name, axes in decision.axes.items() if axes.frames is None]
    if all(axes.layout(shapes[name])[0] == 1 for name, axes in decision.axes.items()):
        return decision
    kept = {name: axes for name, axes in decision.axes.items() if name not in singles}
    notes = [note for note in decision.notes if not any(note.startswith(f"axes of {name!r}:") for name in singles)]
    notes += [f"{name!r} is a single image beside arrays of several, and is not used" for name in singles]
    return Decision(axes=kept, notes=tuple(notes))


def check_stated(stated: str) -> None:
    """Raise LimitError unless this is empty, has the letters N, H and W once each, or is one of two orders with channels."""
    if stated and stated not in _ORDERS_WITH_CHANNELS and sorted(stated) != ["H", "N", "W"]:
        raise LimitError(
            f"--axes {stated} is no order of the letters N, H and W; give for instance HWN, or NCHW or HWCN where frames have "
            "channels"
        )


def _wide_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the two or three axes that remain when axes of one value are left out; () if there are more or fewer.

    An axis of one value inside the shape is left out first, as of channels in (N, 1, H, W), then the last, then the first.
    """
    axes = list(range(len(shape)))
    for axis in (*range(1, len(shape) - 1), len(shape) - 1, 0):
        if len(axes) > 3 and shape[axis] == 1:
            axes.remove(axis)
    return tuple(axes) if len(axes) in (2, 3) else ()


def _common_count(stacks: Iterable[_Sizes], custom: Custom) -> int | None:
    """Return the number of images that suits the arrays best, or None if two numbers suit them equally.

    Arrays that share the size of one end have so many images. But arrays that also share the size in the middle can have images
    of the same size and different numbers of them: then the custom counts.
    """
    stacks = list(stacks)
    scores: dict[int, float] = {}
    for number in {size for first, _, last in stacks for size in (first, last)}:
        supporters = [sizes for sizes in stacks if number in (sizes[0], sizes[2])]
        expected = [number == sizes[0 if custom is Custom.FIRST else 2] for sizes in supporters]
        square = [_square_order(sizes) is not None and number == _square_count(sizes) for sizes in supporters]
        shared = len(supporters) if any(expected) or len({middle for _, middle, _ in supporters}) > 1 else 1
        scores[number] = shared + sum(square) + sum(expected) / 4
    best = sorted(scores, key=lambda number: scores[number], reverse=True)[:2]
    return None if not best or (len(best) > 1 and scores[best[0]] == scores[best[1]]) else best[0]


def _square_order(sizes: _Sizes) -> Custom | None:
    """Return where the images of an array are if they are square in one order, and no such images are likely in the other.

    12 x 12 x 20 may well be 12 images of 12 x 20: a small square alone says nothing, unless the other images are long strips.
    """
    first, middle, last = sizes
    if (first == middle) == (middle == last):
        return None
    strip = (middle, last) if first == middle else (first, middle)
    if middle < _SQUARE and max(strip) < _STRIP * min(strip):
        return None
    return Custom.LAST if first == middle else Custom.FIRST


def _square_count(sizes: _Sizes) -> int:
    return sizes[2] if _square_order(sizes) is Custom.LAST else sizes[0]


def _order(sizes: _Sizes, common: int | None, custom: Custom) -> tuple[Custom, str]:
    """Return where the images of an array are, and why."""
    first, middle, last = sizes
    square = _square_order(sizes)
    order = custom if common in (first, last) or square is None else square
    if common is not None and (first == common) != (last == common):
        order = Custom.FIRST if first == common else Custom.LAST
    if order is custom:
        return order, custom.value
    return (
        order,
        f"because its images are square, {middle} x {middle}" if order is square else f"because there are {common} images",
    )


def read_images(array: Any, axes: Axes) -> Iterator[Image]:
    """Yield the images (H, W) or (C, H, W) of an array or HDF5 dataset, in the byte order of this computer."""
    count, *shape = axes.layout(array.shape)
    per_block = max(1, _BLOCK_BYTES // max(1, math.prod(shape) * array.dtype.itemsize))
    wanted = axes.image if axes.frames is None else (axes.frames, *axes.image)
    order = [sorted(wanted).index(axis) for axis in wanted]
    for start in range(0, count, per_block):
        index: list[int | slice] = [0] * len(array.shape)
        for axis in axes.image:
            index[axis] = slice(None)
        if axes.frames is not None:
            index[axes.frames] = slice(start, min(start + per_block, count))
        block = np.transpose(np.asarray(array[tuple(index)]), order).reshape(-1, *shape)
        for image in block:
            yield np.ascontiguousarray(image, image.dtype.newbyteorder("="))
