"""Test targets, exact to the pixel: a pixel is bright when its centre is inside the ideal figure, without antialiasing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from acquisition.patterns.source_name import Parameters, PatternError
from acquisition.patterns.zernike import zernike

Grey = NDArray[np.float32]
Draw = Callable[[int], tuple[str, Grey]]
#: Top, left, bottom and right edge in pixels.
Rectangle = tuple[float, float, float, float]

#: Height of a column of six elements, in units of its largest bar: each element is 5 bars high, and 2 bars lie between two.
_COLUMN = 7 * sum(2 ** (-k / 6) for k in range(6)) - 2 * 2 ** (-5 / 6)
_GRATING_PERIODS_PX = (4, 8, 16, 32, 64)
_GRATING_ANGLES = 8


class GratingKind(StrEnum):
    """Profile of a grating."""

    BINARY = "binary"
    SINUSOIDAL = "sinusoidal"
    BLAZED = "blazed"


@dataclass(frozen=True, kw_only=True)
class UsafElement:
    """One element of the chart: three vertical and three horizontal bars.

    Parameters
    ----------
    group, element : int
        Number of the group, where 0 is the largest, and of the element in it, from 1 to 6.
    bar_px : float
        Width of its bars and of the spaces between them; a bar is five times as long.
    bars : tuple of (top, left, bottom, right)
        Edges of the six bars in pixels from the image's corner.
    """

    group: int
    element: int
    bar_px: float
    bars: tuple[Rectangle, ...]


def usaf_elements(shape: tuple[int, int], bar_px: float = 0.0) -> tuple[UsafElement, ...]:
    """Return the elements of a USAF-1951 chart (MIL-STD-150A) that fit into an image.

    The bars of element e of group g are ``bar_px / 2**(g + (e - 1) / 6)`` wide. Groups are side by side, the largest on the
    left, with their six elements below each other. Elements with bars below one pixel are omitted.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the image in pixels.
    bar_px : float
        Width of the largest bar in pixels; 0 for a chart that fills four fifths of the height.

    Raises
    ------
    PatternError
        The largest group does not fit.
    """
    height, width = shape
    first_px = bar_px or 0.8 * min(shape) / _COLUMN
    if _COLUMN * first_px > height or 12 * first_px > width:
        most = min(height / _COLUMN, width / 12)
        raise PatternError(f"a USAF chart with bars of {first_px:g} px does not fit into {shape}; choose at most {most:.1f} px")
    elements = _elements(width, first_px)
    bars = [bar for element in elements for bar in element.bars]
    down = (height - max(bar[2] for bar in bars)) / 2
    across = (width - max(bar[3] for bar in bars)) / 2
    return tuple(
        replace(
            element,
            bars=tuple((top + down, left + across, bottom + down, right + across) for top, left, bottom, right in element.bars),
        )
        for element in elements
    )


def _elements(width: int, first_px: float) -> list[UsafElement]:
    """Return the elements that fit into a width, with the chart's corner at (0, 0)."""
    elements = []
    left = 0.0
    for group in range(32):
        group_px = first_px / 2**group
        if group_px < 1 or left + 12 * group_px > width:
            break
        top = 0.0
        for element in range(1, 7):
            bar = group_px / 2 ** ((element - 1) / 6)
            if bar < 1:
                break
            vertical = [(top, left + 2 * k * bar, top + 5 * bar, left + (2 * k + 1) * bar) for k in range(3)]
            horizontal = [(top + 2 * k * bar, left + 7 * bar, top + (2 * k + 1) * bar, left + 12 * bar) for k in range(3)]
            elements.append(UsafElement(group=group, element=element, bar_px=bar, bars=tuple(vertical + horizontal)))
            top += 7 * bar
        left += 14 * group_px
    return elements


def usaf(shape: tuple[int, int], bar_px: float = 0.0) -> Grey:
    """Return the chart of :func:`usaf_elements` as an image (H, W): 1 in the bars, 0 elsewhere."""
    chart = np.zeros(shape, np.float32)
    for element in usaf_elements(shape, bar_px):
        for top, left, bottom, right in element.bars:
            # The pixels whose centres k + 0.5 lie in [low, high).
            rows = slice(math.ceil(top - 0.5), math.ceil(bottom - 0.5))
            chart[rows, math.ceil(left - 0.5) : math.ceil(right - 0.5)] = 1
    return chart


def siemens(shape: tuple[int, int], spokes: int = 36) -> Grey:
    """Return a Siemens star as an image (H, W) of 0 and 1, centred, with a radius of 0.45 of the shorter side.

    It is 1 where ``cos(spokes * angle) >= 0``, with the angle from the x axis towards the y axis.
    """
    y, x = _centred(shape)
    # A centre exactly on an edge, for instance on a diagonal, is bright in spite of rounding errors.
    bright = np.cos(spokes * np.arctan2(y, x)) >= -1e-9
    return (bright & (np.hypot(y, x) <= 0.45 * min(shape))).astype(np.float32)


def grating(shape: tuple[int, int], kind: GratingKind, period_px: float, angle_rad: float) -> Grey:
    """Return a grating (H, W) in 0..1 whose phase increases in the direction ``angle_rad``."""
    y, x = _centred(shape)
    turns = (x * math.cos(angle_rad) + y * math.sin(angle_rad)) / period_px
    fraction = turns - np.floor(turns)
    if kind is GratingKind.BINARY:
        return (fraction < 0.5).astype(np.float32)
    if kind is GratingKind.SINUSOIDAL:
        return (0.5 + 0.5 * np.sin(2 * np.pi * turns)).astype(np.float32)
    return fraction.astype(np.float32)


def checkerboard(shape: tuple[int, int], cell_px: int) -> Grey:
    """Return a checkerboard (H, W) of 0 and 1; the first cell, at the top left, is 0."""
    rows, columns = np.indices(shape) // cell_px
    return ((rows + columns) % 2).astype(np.float32)


def target_drawer(parameters: Parameters, shape: tuple[int, int], seed: int) -> Draw | None:
    """Return a function that draws the targets of a source name, or None when the name is not a target's.

    Raises
    ------
    PatternError
        A parameter is out of its range, or the target does not fit.
    """
    base, side = parameters.base, min(shape)
    if base == "usaf":
        chart = usaf(shape, parameters.number("bar_px", 0.0, 1, side))
        return lambda index: ("usaf", chart)
    if base == "siemens":
        spokes = parameters.whole("spokes", 36, 2, 720)
        star = siemens(shape, spokes)
        return lambda index: (f"siemens {spokes}", star)
    if base == "zernike":
        first = parameters.whole("first", 2, 1, 500)
        return lambda index: (f"zernike {first + index}", _mode(shape, first + index))
    if base == "gratings":
        return lambda index: _grating(shape, index)
    if base == "checkerboards":
        cells = [2**k for k in range(side.bit_length()) if 2**k <= max(1, side // 2)]
        return lambda index: (f"checkerboard {cells[index % len(cells)]} px", checkerboard(shape, cells[index % len(cells)]))
    if base == "random":
        cell_px = parameters.whole("cell_px", 1, 1, side)
        return lambda index: (f"random-{index}", _random(shape, cell_px, (seed, 4, index)))
    if base == "digits":
        return lambda index: _digit(shape, (seed, 5, index))
    return None


def _grating(shape: tuple[int, int], index: int) -> tuple[str, Grey]:
    kinds = tuple(GratingKind)
    index, kind = divmod(index, len(kinds))
    index, period = divmod(index, len(_GRATING_PERIODS_PX))
    period_px = _GRATING_PERIODS_PX[period]
    angle_rad = (index % _GRATING_ANGLES) * math.pi / _GRATING_ANGLES
    label = f"{kinds[kind]} grating {period_px} px {math.degrees(angle_rad):g} deg"
    return label, grating(shape, kinds[kind], period_px, angle_rad)


@lru_cache(maxsize=4)
def _mode(shape: tuple[int, int], noll: int) -> Grey:
    """Return a Zernike mode, scaled to 0..1, on the inscribed disc, and 0 outside."""
    y, x = _centred(shape)
    radius = min(shape) / 2
    values = zernike(noll, np.hypot(y, x) / radius, np.arctan2(y, x))
    inside = np.hypot(y, x) <= radius
    most = float(np.abs(values[inside]).max()) or 1.0
    return np.where(inside, 0.5 + 0.5 * values / most, 0).astype(np.float32)


def _random(shape: tuple[int, int], cell_px: int, seed: tuple[int, int, int]) -> Grey:
    size = (-(-shape[0] // cell_px), -(-shape[1] // cell_px))
    cells = np.random.default_rng(seed).random(size, np.float32)
    return np.ascontiguousarray(np.repeat(np.repeat(cells, cell_px, 0), cell_px, 1)[: shape[0], : shape[1]])


def _digit(shape: tuple[int, int], seed: tuple[int, int, int]) -> tuple[str, Grey]:
    """Draw a digit in one of OpenCV's fonts, rotated, sheared, scaled and bent at random, in place of handwritten digits."""
    rng = np.random.default_rng(seed)
    side, digit = min(shape), int(rng.integers(10))
    canvas: NDArray[Any] = np.zeros((side, side), np.uint8)
    font = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX)[rng.integers(3)]
    thick = max(1, int(side * rng.uniform(0.03, 0.08)))
    scale = side * 0.6 / cv2.getTextSize("0", font, 1.0, 1)[0][1]
    (text_width, text_height), _ = cv2.getTextSize(str(digit), font, scale, thick)
    cv2.putText(canvas, str(digit), ((side - text_width) // 2, (side + text_height) // 2), font, scale, 255, thick)
    affine: NDArray[Any] = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(-20, 20), rng.uniform(0.7, 1.1))
    affine[0, 1] += rng.uniform(-0.2, 0.2)
    affine[:, 2] += rng.uniform(-0.08, 0.08, 2) * side
    canvas = cv2.warpAffine(canvas, affine, (side, side))
    y, x = np.indices((side, side), np.float32)
    bend = [rng.uniform(-0.04, 0.04) * side for _ in range(2)]
    phase = rng.uniform(0, 2 * np.pi, 2)
    bent_x = x + bend[0] * np.sin(2 * np.pi * y / side + phase[0])
    bent_y = y + bend[1] * np.sin(2 * np.pi * x / side + phase[1])
    canvas = cv2.remap(canvas, bent_x.astype(np.float32), bent_y.astype(np.float32), cv2.INTER_LINEAR)
    whole = np.zeros(shape, np.float32)
    top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
    whole[top : top + side, left : left + side] = canvas / np.float32(255)
    return f"digit {digit}-{seed[2]}", whole


def _centred(shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the y and x coordinates of the pixels' centres in pixels from the middle of the image."""
    y = np.arange(shape[0], dtype=np.float64)[:, None] + 0.5 - shape[0] / 2
    x = np.arange(shape[1], dtype=np.float64)[None, :] + 0.5 - shape[1] / 2
    return y, x
