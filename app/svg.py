"""Small line plots as SVG text, for reports that any browser opens without us."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np

_WIDTH, _HEIGHT = 640, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 28, 14, 40


def line_plot(x: Sequence[float], y: Sequence[float], x_title: str, y_title: str, limit: float | None = None) -> str:
    """Return a plot of y over x, as an ``svg`` element.

    Parameters
    ----------
    x, y : sequence of float
        Points, of which those that are not finite are left out.
    x_title, y_title : str
        Axis titles with units.
    limit : float, optional
        A horizontal line: the smallest or largest accepted value.
    """
    points = [(float(a), float(b)) for a, b in zip(x, y, strict=True) if np.isfinite(a) and np.isfinite(b)]
    if not points:
        return f"<p>{html.escape(y_title)}: nothing to plot</p>"
    xs, ys = zip(*points, strict=True)
    heights = [*ys, *([] if limit is None else [limit])]
    left, right = min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1
    low, high = _widened(min(heights), max(heights))

    def place(a: float, b: float) -> tuple[float, float]:
        across = _LEFT + (a - left) / (right - left) * (_WIDTH - _LEFT - _RIGHT)
        down = _TOP + (high - b) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)
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
    placed = [place(a, b) for a, b in points]
    if len(placed) > 1:
        parts.append(f'<polyline points="{" ".join(f"{a},{b}" for a, b in placed)}"/>')
    if len(placed) <= 200:
        parts += [f'<circle cx="{a}" cy="{b}" r="2.5"/>' for a, b in placed]
    parts.append(f'<text x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">{html.escape(x_title)}</text>')
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(f'<text transform="translate(12 {middle}) rotate(-90)" text-anchor="middle">{html.escape(y_title)}</text>')
    return "".join([*parts, "</svg>"])


def _widened(low: float, high: float) -> tuple[float, float]:
    """Return a range with some air, also around a single value."""
    air = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    return low - air, high + air


def _tick(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2g}"
