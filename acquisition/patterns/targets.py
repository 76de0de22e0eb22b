"""Test targets, exact to the pixel: a pixel is bright when its centre lies inside the ideal figure. No antialiasing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from acquisition.patterns.source_name import Parameters, PatternError
from acquisition.patterns.zernike import zernike

Grey = NDArray[np.float32]
Draw = Callable[[int], tuple[str, Grey]]
Rectangle = tuple[float, float, float, float]

#: Height of a column of six elements, in units of its largest bar: each is 5 bars high and 2 from the next.
_COLUMN = 7 * sum(2 ** (-k / 6) for k in range(6)) - 2 * 2 ** (-5 / 6)
_GRATING_PERIODS_PX = (4, 8, 16, 32, 64)
_GRATING_ANGLES = 8


@dataclass(frozen=True)
class UsafElement:
    """One element of the chart: three upright and three lying bars.

    Parameters
    ----------
    group, element : int
        Group 0 is the largest; elements are 1 to 6.
    bar_px : float
        Width of its bars and of the spaces between them; a bar is five times as long.
    bars : tuple of (top, left, bottom, right)
        The six bars in pixels, from the image's corner; edges lie between pixels.
    """

    group: int
    element: int
    bar_px: float
    bars: tuple[Rectangle, ...]


def usaf_elements(shape: tuple[int, int], bar_px: float = 0.0) -> tuple[UsafElement, ...]:
    """Return the elements of a USAF-1951 chart (MIL-STD-150A) that fit into an image.

    Element e of group g has bars of ``bar_px / 2**(g + (e - 1) / 6)``. Groups stand side by side, the largest on the left,
    with their six elements one below the other. Elements with bars below one pixel are left out.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the image in pixels.
    bar_px : float
        Width of the largest bar; 0 fills four fifths of the height.

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
            upright = [(top, left + 2 * k * bar, top + 5 * bar, left + (2 * k + 1) * bar) for k in range(3)]
            lying = [(top + 2 * k * bar, left + 7 * bar, top + (2 * k + 1) * bar, left + 12 * bar) for k in range(3)]
            elements.append(UsafElement(group, element, bar, tuple(upright + lying)))
            top += 7 * bar
        left += 14 * group_px
    bars = [bar for element in elements for bar in element.bars]
    down = (height - max(bar[2] for bar in bars)) / 2
    across = (width - max(bar[3] for bar in bars)) / 2
    return tuple(
        UsafElement(
            element.group,
            element.element,
            element.bar_px,
            tuple((top + down, left + across, bottom + down, right + across) for top, left, bottom, right in element.bars),
        )
        for element in elements
    )


def usaf(shape: tuple[int, int], bar_px: float = 0.0) -> Grey:
    """Return the chart of :func:`usaf_elements`, (H, W) of 0 and 1: bright bars."""
    chart = np.zeros(shape, np.float32)
    for element in usaf_elements(shape, bar_px):
        for top, left, bottom, right in element.bars:
            # The centres k + 0.5 that lie in [low, high).
            rows = slice(math.ceil(top - 0.5), math.ceil(bottom - 0.5))
            chart[rows, math.ceil(left - 0.5) : math.ceil(right - 0.5)] = 1
    return chart


def siemens(shape: tuple[int, int], spokes: int = 36) -> Grey:
    """Return a Siemens star, (H, W) of 0 and 1, with its centre in the middle and a radius of 0.45 of the shorter side.

    Bright where ``cos(spokes * angle) >= 0``, the angle counted from the columns towards the rows.
    """
    y, x = _centred(shape)
    # Centres that lie on an edge, the diagonals' for instance, are bright whatever rounding makes of them.
    bright = np.cos(spokes * np.arctan2(y, x)) >= -1e-9
    return (bright & (np.hypot(y, x) <= 0.45 * min(shape))).astype(np.float32)


def grating(shape: tuple[int, int], kind: str, period_px: float, angle_rad: float) -> Grey:
    """Return a ``binary``, ``sinusoidal`` or ``blazed`` grating in 0..1 whose phase rises towards ``angle_rad``."""
    y, x = _centred(shape)
    turns = (x * math.cos(angle_rad) + y * math.sin(angle_rad)) / period_px
    fraction = turns - np.floor(turns)
    if kind == "binary":
        return (fraction < 0.5).astype(np.float32)
    if kind == "sinusoidal":
        return (0.5 + 0.5 * np.sin(2 * np.pi * turns)).astype(np.float32)
    return fraction.astype(np.float32)


def checkerboard(shape: tuple[int, int], cell_px: int) -> Grey:
    """Return a checkerboard of 0 and 1 whose first cell, at the top left, is 0."""
    rows, columns = np.indices(shape) // cell_px
    return ((rows + columns) % 2).astype(np.float32)


def target_drawer(parameters: Parameters, shape: tuple[int, int], seed: int) -> Draw | None:
    """Return what draws the targets of a source name, or None when it is no target.

    Raises
    ------
    PatternError
        A parameter is out of its bounds, or the target does not fit.
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
    rest, kind = divmod(index, 3)
    rest, period = divmod(rest, len(_GRATING_PERIODS_PX))
    name, period_px = ("binary", "sinusoidal", "blazed")[kind], _GRATING_PERIODS_PX[period]
    angle_rad = (rest % _GRATING_ANGLES) * math.pi / _GRATING_ANGLES
    return f"{name} grating {period_px} px {math.degrees(angle_rad):g} deg", grating(shape, name, period_px, angle_rad)


@lru_cache(maxsize=4)
def _mode(shape: tuple[int, int], noll: int) -> Grey:
    """Return a Zernike mode from 0 to 1 on the inscribed disc, 0 around it."""
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
    """Draw a digit in one of OpenCV's fonts, turned, sheared, scaled and bent at random: not handwriting, but used like it."""
    rng = np.random.default_rng(seed)
    side, digit = min(shape), int(rng.integers(10))
    canvas: NDArray[Any] = np.zeros((side, side), np.uint8)
    font = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX)[rng.integers(3)]
    thick = max(1, int(side * rng.uniform(0.03, 0.08)))
    scale = side * 0.6 / cv2.getTextSize("0", font, 1.0, 1)[0][1]
    (across, up), _ = cv2.getTextSize(str(digit), font, scale, thick)
    cv2.putText(canvas, str(digit), ((side - across) // 2, (side + up) // 2), font, scale, 255, thick)
    turn: NDArray[Any] = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(-20, 20), rng.uniform(0.7, 1.1))
    turn[0, 1] += rng.uniform(-0.2, 0.2)
    turn[:, 2] += rng.uniform(-0.08, 0.08, 2) * side
    canvas = cv2.warpAffine(canvas, turn, (side, side))
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
    """Return the pixels' centres, counted from the middle of the image."""
    y = np.arange(shape[0], dtype=np.float64)[:, None] + 0.5 - shape[0] / 2
    x = np.arange(shape[1], dtype=np.float64)[None, :] + 0.5 - shape[1] / 2
    return y, x
