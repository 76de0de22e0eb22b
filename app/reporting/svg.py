"""Small plots as SVG text, for reports that any browser opens without us."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Numbers = Sequence[float] | NDArray[Any]

_WIDTH, _HEIGHT = 640, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 28, 14, 40
_LEGEND = 20
_COLOURS = {"plain": "#14746f", "after": "#14746f", "before": "#c2570c", "measured": "#7b8794", "corrected": "#14746f"}
_MOST_CIRCLES = 400


@dataclass(frozen=True, eq=False)
class Series:
    """Points of one kind.

    Parameters
    ----------
    x, y : sequence or ndarray of float
        Points, of which those that are not finite are left out.
    name : str
        For the legend; none has no entry.
    role : {"plain", "measured", "corrected", "before", "after"}
        Colour and shape: points for what was measured, raw or corrected, a dashed line for what was believed before, a line
        for what is believed now.
    """

    x: Numbers
    y: Numbers
    name: str = ""
    role: Literal["plain", "measured", "corrected", "before", "after"] = "plain"

    def points(self) -> list[tuple[float, float]]:
        """Return those that can be drawn."""
        return [(float(a), float(b)) for a, b in zip(self.x, self.y, strict=True) if np.isfinite(a) and np.isfinite(b)]


def line_plot(x: Numbers, y: Numbers, x_title: str, y_title: str, limit: float | None = None) -> str:
    """Return a plot of y over x, as an ``svg`` element, see :func:`plot`."""
    return plot([Series(x, y)], x_title, y_title, limit)


def plot(series: Sequence[Series], x_title: str, y_title: str, limit: float | None = None) -> str:
    """Return a plot of several series, as an ``svg`` element.

    Parameters
    ----------
    series : sequence of Series
        Drawn in this order, later ones on top.
    x_title, y_title : str
        Axis titles with units.
    limit : float, optional
        A horizontal line: the smallest or largest accepted value.
    """
    shown = [(each, points) for each in series if (points := each.points())]
    if not shown:
        return f"<p>{html.escape(y_title)}: nothing to plot</p>"
    xs, ys = zip(*(point for _, points in shown for point in points), strict=True)
    heights = [*ys, *([] if limit is None else [limit])]
    left, right = min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1
    low, high = _widened(min(heights), max(heights))
    top = _TOP + (_LEGEND if any(each.name for each, _ in shown) else 0)

    def place(a: float, b: float) -> tuple[float, float]:
        across = _LEFT + (a - left) / (right - left) * (_WIDTH - _LEFT - _RIGHT)
        down = top + (high - b) / (high - low) * (_HEIGHT - top - _BOTTOM)
        return round(across, 1), round(down, 1)

    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img" aria-label="{html.escape(y_title)}">']
    for value in np.linspace(low, high, 5):
        _, down = place(left, float(value))
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{down}" y2="{down}" class="grid"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{down + 4}" text-anchor="end">{value:.3g}</text>')
    for value in np.linspace(left, right, 5):
        across, _ = place(float(value), low)
        parts.append(f'<text x="{across}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{_tick(float(value))}</text>')
    if limit is not None:
        _, down = place(left, limit)
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{down}" y2="{down}" class="limit"/>')
    across = float(_LEFT)
    for each, points in shown:
        parts += _drawn(each, [place(a, b) for a, b in points])
        if each.name:
            parts.append(f'<rect x="{across}" y="8" width="12" height="8" fill="{_COLOURS[each.role]}"/>')
            parts.append(f'<text x="{across + 17}" y="16">{html.escape(each.name)}</text>')
            across += 35 + 6.2 * len(each.name)
    parts.append(f'<text x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">{html.escape(x_title)}</text>')
    middle = (top + _HEIGHT - _BOTTOM) / 2
    parts.append(f'<text transform="translate(12 {middle}) rotate(-90)" text-anchor="middle">{html.escape(y_title)}</text>')
    return "".join([*parts, "</svg>"])


def _drawn(series: Series, placed: list[tuple[float, float]]) -> list[str]:
    colour, parts = _COLOURS[series.role], []
    dots = series.role in ("measured", "corrected")
    if len(placed) > 1 and not dots:
        dashes = ' stroke-dasharray="6 4"' if series.role == "before" else ""
        parts.append(f'<polyline points="{" ".join(f"{a},{b}" for a, b in placed)}" stroke="{colour}"{dashes}/>')
    if dots or (series.role == "plain" and len(placed) <= _MOST_CIRCLES // 2):
        step = max(1, len(placed) // _MOST_CIRCLES)
        parts += [f'<circle cx="{a}" cy="{b}" r="2.5" fill="{colour}"/>' for a, b in placed[::step]]
    return parts


def _widened(low: float, high: float) -> tuple[float, float]:
    """Return a range with some air, also around a single value."""
    air = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    return low - air, high + air


def _tick(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2g}"
