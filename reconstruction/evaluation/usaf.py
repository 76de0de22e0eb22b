"""Resolution by the USAF-1951 chart: the narrowest bars that a method resolves on a fibre.

Bars of each width appear at several places, on charts of several sizes. The profile of an element is averaged along the bars.
An element is resolved if the two spaces between the bars dip by at least 26.4 % of the bars' height (Rayleigh's criterion: two
points at the first zero of each other's Airy pattern leave 0.735 of the peak between them), for vertical and for horizontal
bars, and if all wider bars are resolved, too. Heights are measured from the dark surroundings of an element, because the
absolute level of the phase is unknown.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from acquisition.patterns.targets import Rectangle, UsafElement, usaf, usaf_elements

Phase = NDArray[np.float32]

#: Least dip between bars, as a fraction of their height.
RAYLEIGH_DIP = 0.264
#: Bars lower than this fraction of the displayed phase range are treated as missing, because they may be noise.
_LEAST_HEIGHT = 0.1
#: Width of the bars of the largest element that fits a whole chart, as a fraction of the frame; and number of wider elements.
_LARGEST, _WIDER = 1 / 31.5, 4
#: Widest bars of :func:`wide_charts`, as a fraction of the disc's diameter, and the length of its bars as a multiple of their
#: width: longer ones would not lie in the disc.
_WIDEST, _LENGTH = 1 / 6, 3


@dataclass(frozen=True, eq=False)
class Chart:
    """A chart to show.

    Parameters
    ----------
    phase_rad : ndarray of float32, shape (n, n)
        The chart's phase in radians.
    elements : tuple of UsafElement
        The elements that lie in the fibre's disc.
    seen : ndarray of bool, shape (n, n), optional
        The pixels that count, if not all do.
    """

    phase_rad: Phase
    elements: tuple[UsafElement, ...]
    seen: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Resolution:
    """Resolution of a method.

    Parameters
    ----------
    bar_px : float, optional
        Width of the narrowest resolved bars in camera pixels; None if not even the widest bars are resolved.
    dips : mapping of float to float
        Dip by width of the bars, widest first; the smaller dip of the two orientations.
    contrasts : mapping of float to float
        The same for the contrast: the phase of the bars minus that of the spaces between them, divided by the displayed phase.
        The dip is relative to the reconstructed height, the contrast to the true one.
    """

    bar_px: float | None
    dips: Mapping[float, float]
    contrasts: Mapping[float, float]

    def contrast_by_group(self) -> dict[float, float]:
        """Return the mean contrast of each group of six widths, by the group's widest bars in camera pixels.

        Bars of a group are half as wide as those of the group before, as on the chart.
        """
        widest_px = max(self.contrasts, default=1.0)
        groups: dict[int, list[float]] = defaultdict(list)
        for width_px, contrast in self.contrasts.items():
            groups[round(6 * math.log2(widest_px / width_px)) // 6].append(contrast)
        return {widest_px / 2**group: float(np.mean(contrasts)) for group, contrasts in sorted(groups.items())}


def charts(frame_px: int, field_radius: float, phase_range_rad: float, whole: int = 4) -> tuple[Chart, ...]:
    """Return charts on which bars of the same width appear at different places.

    Parameters
    ----------
    frame_px : int
        Side of the frame.
    field_radius : float
        Radius of the fibre's disc as a fraction of half the frame. Elements that are partly outside are skipped.
    phase_range_rad : float
        Phase of the bars.
    whole : int
        Number of whole charts that fit the frame, 1 to 4, each two elements smaller than the one before. They come after three
        cut-outs of a larger chart with the wide bars.
    """
    shape = (frame_px, frame_px)
    largest_px = frame_px * _LARGEST
    wide_px = largest_px * 2 ** (_WIDER / 6)
    canvas = (2 * frame_px, 2 * frame_px)
    image, drawn = usaf(canvas, wide_px), usaf_elements(canvas, wide_px)
    shown = []
    for first in (1, 3, 5):
        pair = [bar for each in drawn if each.group == 0 and each.element in (first, first + 1) for bar in each.bars]
        # The cut-out is centred on two neighbouring elements of the widest group.
        down, across = (
            min(max(0, round((min(b[low] for b in pair) + max(b[low + 2] for b in pair) - frame_px) / 2)), frame_px)
            for low in (0, 1)
        )
        moved = [_moved(element, down, across) for element in drawn]
        shown.append((image[down : down + frame_px, across : across + frame_px], moved))
    for number in range(whole):
        bar_px = largest_px / 2 ** (number / 3)
        shown.append((usaf(shape, bar_px), list(usaf_elements(shape, bar_px))))
    return tuple(
        Chart(
            np.ascontiguousarray(grey * np.float32(phase_range_rad)),
            tuple(element for element in elements if _within(element, frame_px, field_radius)),
        )
        for grey, elements in shown
    )


def wide_charts(frame_px: int, field_radius: float, phase_range_rad: float) -> tuple[Chart, ...]:
    """Return charts with bars that are wider than those of :func:`charts`, for fibres of few cores.

    Each has three bars in the middle of the disc, vertical or horizontal. The widest bars are a sixth of the disc's diameter
    wide, so that bars, spaces and the dark beside them fill it. They are three times as long as they are wide.

    Parameters
    ----------
    frame_px, field_radius, phase_range_rad
        As for :func:`charts`.
    """
    radius_px, centre = field_radius * frame_px / 2, frame_px / 2
    axis = np.arange(frame_px) + 0.5 - centre
    seen = np.hypot(axis[:, None], axis[None, :]) <= radius_px
    shown = []
    bar_px = 2 * radius_px * _WIDEST
    while bar_px > 1.05 * frame_px * _LARGEST * 2 ** (_WIDER / 6):
        half = _LENGTH * bar_px / 2
        lefts = [centre + offset * bar_px for offset in (-2.5, -0.5, 1.5)]
        upright: tuple[Rectangle, ...] = tuple((centre - half, left, centre + half, left + bar_px) for left in lefts)
        element = UsafElement(group=0, element=1, bar_px=bar_px, bars=upright)
        image = _drawn(frame_px, upright) * np.float32(phase_range_rad)
        shown.append(Chart(image, (element,), seen))
        shown.append(Chart(np.ascontiguousarray(image.T), (replace(element, bars=tuple(map(_turned, upright))),), seen))
        bar_px /= 2 ** (1 / 3)
    return tuple(shown)


def resolution(reconstructed: Sequence[Phase], shown: Sequence[Chart], phase_range_rad: float) -> Resolution:
    """Find the narrowest resolved bars.

    Parameters
    ----------
    reconstructed : sequence of ndarray of float32, shape (grid, grid)
        Reconstructed phase of each chart, in radians.
    shown : sequence of Chart
        The charts, in the same order.
    phase_range_rad : float
        Displayed phase of the bars.

    Returns
    -------
    Resolution
        Bars narrower than a cell of the grid are not evaluated, because the grid cannot represent them.
    """
    heights: dict[float, dict[int, list[tuple[float, float, float]]]] = defaultdict(lambda: defaultdict(list))
    for phase, chart in zip(reconstructed, shown, strict=True):
        n = len(chart.phase_rad)
        image = cv2.resize(phase, (n, n), interpolation=cv2.INTER_LINEAR).astype(np.float64)
        for element in chart.elements:
            if element.bar_px >= n / len(phase):
                width = round(element.bar_px, 2)
                upright = [bar for bar in element.bars if bar[2] - bar[0] > bar[3] - bar[1]]
                lying = [_turned(bar) for bar in element.bars if bar not in upright]
                seen = np.ones((n, n), bool) if chart.seen is None else chart.seen
                # Horizontal bars are vertical bars of the transposed image.
                for number, (picture, mask, bars) in enumerate(((image, seen, upright), (image.T, seen.T, lying))):
                    if bars:
                        heights[width][number].append(_heights(picture, mask, bars))
    widths = sorted(heights, reverse=True)
    dips = {width: min(_dip(each, phase_range_rad) for each in heights[width].values()) for width in widths}
    contrasts = {width: min(_contrast(each, phase_range_rad) for each in heights[width].values()) for width in widths}
    narrowest = None
    for width, dip in dips.items():
        if dip < RAYLEIGH_DIP:
            break
        narrowest = width
    return Resolution(narrowest, dips, contrasts)


def _moved(element: UsafElement, down: int, across: int) -> UsafElement:
    bars = tuple((top - down, left - across, bottom - down, right - across) for top, left, bottom, right in element.bars)
    return replace(element, bars=bars)


def _within(element: UsafElement, frame_px: int, field_radius: float) -> bool:
    corners = [(y, x) for top, left, bottom, right in element.bars for y in (top, bottom) for x in (left, right)]
    radius = field_radius * frame_px / 2
    return all(math.hypot(y - frame_px / 2, x - frame_px / 2) <= radius for y, x in corners)


def _turned(bar: Rectangle) -> Rectangle:
    """Return a rectangle of the transposed image."""
    top, left, bottom, right = bar
    return left, top, right, bottom


def _drawn(side: int, bars: Sequence[Rectangle]) -> NDArray[np.float32]:
    """Draw rectangles as 1 on 0; pixels at an edge get the part that is covered."""
    image = np.zeros((side, side), np.float32)
    edges = np.arange(side)
    for top, left, bottom, right in bars:
        down, across = (
            np.clip(np.minimum(edges + 1, high) - np.maximum(edges, low), 0, 1) for low, high in ((top, bottom), (left, right))
        )
        image += np.outer(down, across).astype(np.float32)
    return image


def _heights(image: NDArray[np.float64], seen: NDArray[np.bool_], bars: Sequence[Rectangle]) -> tuple[float, float, float]:
    """Return the mean phase of the lowest bar, of the highest space, and of the surroundings of three vertical bars."""
    top, left, bottom, right = bars[0]
    width = right - left
    # Half a width at both ends of the bars is not used. The middle halves of bars and spaces are compared.
    rows = slice(round(top + width / 2), round(bottom - width / 2))
    counts = seen[rows].sum(0)
    sums = np.where(seen[rows], image[rows], 0).sum(0)
    middles = [left + (0.5 + k) * width for k in range(-1, 6)]
    means = [_mean(sums, counts, (middle - width / 4, middle + width / 4)) for middle in middles]
    return min(means[1], means[3], means[5]), max(means[2], means[4]), (means[0] + means[6]) / 2


def _mean(sums: NDArray[np.float64], counts: NDArray[np.int64], ends: tuple[float, float]) -> float:
    """Return the mean between two columns, from the sums and numbers of their pixels; parts of columns count."""
    clipped = np.clip(ends, 0, len(sums))
    total, number = (
        float(np.diff(np.interp(clipped, np.arange(len(each) + 1), np.concatenate([[0.0], np.cumsum(each)])))[0])
        for each in (sums, counts)
    )
    return total / max(number, 1e-6)


def _dip(elements: Sequence[tuple[float, float, float]], phase_range_rad: float) -> float:
    """Return the dip between the bars divided by their height, averaged over places; 0 without bars."""
    bar, space, dark = np.mean(elements, axis=0)
    height = bar - dark
    return float((bar - space) / height) if height >= _LEAST_HEIGHT * phase_range_rad else 0.0


def _contrast(elements: Sequence[tuple[float, float, float]], phase_range_rad: float) -> float:
    """Return bars minus spaces, averaged over places, divided by the displayed phase of the bars."""
    bar, space, _ = np.mean(elements, axis=0)
    return float((bar - space) / phase_range_rad)
