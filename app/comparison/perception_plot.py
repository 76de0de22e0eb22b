"""Perception against distortion: how like true pictures the pictures of a method are, against how far they are from the truth.

No method can be best in both (Blau and Michaeli, CVPR 2018): the mean of all pictures that fit the light has the least error
and is too smooth; a sample has the right texture and a larger error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from app.reporting.plots import FAINT, INK, TEAL, new_figure, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = Mapping[str, object]

_WIDTH_IN, _HEIGHT_IN = 10.0, 4.6
_GREY = "#7b8794"
#: Score on the vertical axis of each panel, and its title.
_PANELS: Final = (
    ("perceptual", "distance of the patches"),
    ("spectrum_error", "error of the log power spectrum"),
)
_DISTORTION: Final = "mae_rad_centred"
#: Places of a label beside its point, in typographic points, the preferred one first; and the distance that is enough.
_PLACES: Final = ((9, 7), (9, -7), (-9, 7), (-9, -7), (0, 11), (0, -11), (12, 0), (-12, 0))
_ENOUGH_ROOM: Final = 11.0
_POINTS_PER_INCH: Final = 72.0


def perception_plot(rows: Sequence[Row], beside: Sequence[Row] = ()) -> str:
    """Return an SVG file with two panels: both scores of texture against the mean absolute error without the mean phase.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of a comparison. Rows with ``steps`` are joined by a line, and every point has its number of steps. Other rows have
        their number as in the list below the panels.
    beside : sequence of mapping
        Further rows, drawn as grey squares with their names.
    """
    with new_figure(_WIDTH_IN, _HEIGHT_IN + 0.2 * max(0, len(_listed(rows, beside)) - 4)) as figure:
        panels = figure.subplots(1, len(_PANELS))
        for axes, (key, title) in zip(panels, _PANELS, strict=True):
            _draw(axes, key, rows, beside)
            axes.set_title(title, loc="left", fontsize=11, color=FAINT)
            axes.set_xlabel("mean absolute error, mean phase removed, rad")
        figure.supxlabel("\n".join(_listed(rows, beside)), fontsize=10, color=FAINT, x=0.02, horizontalalignment="left")
        return svg(figure)


def _draw(axes: Axes, key: str, rows: Sequence[Row], beside: Sequence[Row]) -> None:
    by_steps = any("steps" in row for row in rows)
    points = [(_number(row, _DISTORTION), _number(row, key)) for row in rows]
    others = [(_number(row, _DISTORTION), _number(row, key)) for row in beside]
    axes.plot(*zip(*points, strict=True), color=TEAL, marker="o", linestyle="-" if by_steps else "none", gid=f"{key}-points")
    if others:
        axes.plot(*zip(*others, strict=True), color=_GREY, marker="s", linestyle="none")
    axes.margins(0.12)
    axes.set_ylim(bottom=0)
    texts = [str(row.get("steps", number)) for number, row in enumerate(rows, start=1)]
    letters = [chr(ord("a") + number) for number in range(len(beside))]
    _label(axes, [*texts, *letters], [*points, *others])


def _label(axes: Axes, texts: Sequence[str], points: Sequence[tuple[float, float]]) -> None:
    """Write a text beside each point, at the place that has the most room."""
    axes.autoscale_view()
    marks = axes.transData.transform(points) * _POINTS_PER_INCH / axes.figure.dpi
    taken = list(marks)
    for text, point, mark in zip(texts, points, marks, strict=True):
        room = [min(float(np.hypot(*(mark + place - other))) for other in taken) for place in _PLACES]
        place = _PLACES[int(np.argmax(np.minimum(room, _ENOUGH_ROOM)))]
        taken.append(mark + place)
        colour = FAINT if text.isalpha() else INK
        axes.annotate(
            text, point, xytext=place, textcoords="offset points", fontsize=10, color=colour, ha="center", va="center"
        )


def _listed(rows: Sequence[Row], beside: Sequence[Row]) -> list[str]:
    """Return the lines below the panels."""
    first = rows[0] if rows else {}
    if "steps" in first:
        lines = [f"1, 2, ...: steps of {str(first['method']).rpartition(',')[0]}"]
    else:
        lines = [f"{number}: {row['method']}" for number, row in enumerate(rows, start=1)]
    return [*lines, *(f"{chr(ord('a') + number)}: {row['method']}" for number, row in enumerate(beside))]


def _number(row: Row, key: str) -> float:
    return float(str(row[key]))
