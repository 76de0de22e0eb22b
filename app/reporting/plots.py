"""Plots for reports, drawn by matplotlib.

Matplotlib takes a good part of a second to load. It is imported only when a plot is drawn, and never through ``pyplot``, which
would look for a screen.
"""

from __future__ import annotations

import enum
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Numbers = Sequence[float] | NDArray[Any]

TEAL: Final = "#14746f"
INK: Final = "#1d242c"
FAINT: Final = "#44505c"
_RED = "#b42318"
_ORANGE, _GREY = "#c2570c", "#7b8794"
#: As wide as the text of a report.
_WIDTH_IN, _HEIGHT_IN = 10.0, 3.8
#: Markers of one series in a plot; of longer series every n-th point has one.
_MOST_MARKERS = 400
#: Lines of at most this many points show their points too.
_MARKED_LINE = 200
#: Applied on top of matplotlib's defaults, so that a user's own settings change no report.
_STYLE: Final[Mapping[str, Any]] = {
    "axes.axisbelow": True,
    "axes.edgecolor": _GREY,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 12,
    "grid.color": "#e3e8ee",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    # The same numbers give the same file, and text stays text: it can be searched, and takes little space.
    "svg.fonttype": "none",
    "svg.hashsalt": "specklescope",
    "text.color": INK,
    # Names of models and files may contain a dollar sign. It does not begin a formula.
    "text.parse_math": False,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
}


class Role(enum.Enum):
    """What a series stands for; it decides colour and shape."""

    PLAIN = "plain"  # a line with its points
    MEASURED = "measured"  # points, as measured
    CORRECTED = "corrected"  # points, after a correction
    BEFORE = "before"  # a dashed line: what was assumed before the measurement
    AFTER = "after"  # a line: what the measurement gave


_LINES: Final[Mapping[Role, Mapping[str, Any]]] = {
    Role.PLAIN: {"color": TEAL},
    Role.MEASURED: {"color": _GREY, "linestyle": "none", "marker": "o"},
    Role.CORRECTED: {"color": TEAL, "linestyle": "none", "marker": "o"},
    Role.BEFORE: {"color": _ORANGE, "linestyle": "--"},
    Role.AFTER: {"color": TEAL},
}


@dataclass(frozen=True, eq=False)
class Series:
    """Points that belong together.

    Parameters
    ----------
    x, y : sequence or ndarray of float
        Coordinates. Points that are not finite are not drawn.
    name : str
        Text in the legend; a series without a name has no entry.
    role : Role
        What the series stands for.
    """

    x: Numbers
    y: Numbers
    _: KW_ONLY
    name: str = ""
    role: Role = Role.PLAIN

    def points(self) -> NDArray[np.float64]:
        """Return the points that can be drawn, shape (N, 2)."""
        both = np.column_stack([np.asarray(self.x, np.float64), np.asarray(self.y, np.float64)])
        return both[np.isfinite(both).all(axis=1)]


@dataclass(frozen=True)
class Limit:
    """A horizontal line: the smallest or largest accepted value, dashed; without a name a plain line, such as zero.

    Parameters
    ----------
    value : float
        Height of the line.
    name : str
        Text in the legend.
    """

    value: float
    name: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Plot:
    """A plot that is drawn when a report shows it; its points can be read too.

    Parameters
    ----------
    series : sequence of Series
        Drawn in this order, later ones on top.
    x_title, y_title : str
        Axis titles with units.
    limit : Limit, optional
        A horizontal line.
    """

    series: Sequence[Series]
    x_title: str
    y_title: str
    limit: Limit | None = None

    def __html__(self) -> str:
        """Return the plot as an ``svg`` element, for a template."""
        return plot(self.series, self.x_title, self.y_title, self.limit)


def line_plot(x: Numbers, y: Numbers, x_title: str, y_title: str, limit: Limit | None = None) -> Markup:
    """Return a plot of y over x as an ``svg`` element, see :func:`plot`."""
    return plot([Series(x, y)], x_title, y_title, limit)


def plot(series: Sequence[Series], x_title: str, y_title: str, limit: Limit | None = None) -> Markup:
    """Return a plot of several series as an ``svg`` element.

    Parameters
    ----------
    series : sequence of Series
        Drawn in this order, later ones on top.
    x_title, y_title : str
        Axis titles with units.
    limit : Limit, optional
        A horizontal line.

    Returns
    -------
    Markup
        HTML. A paragraph of text if no point can be drawn.
    """
    shown = [(each, points) for each in series if len(points := each.points())]
    if not shown:
        return Markup("<p>{}: nothing to plot</p>").format(y_title)
    with new_figure(_WIDTH_IN, _HEIGHT_IN) as figure:
        axes = figure.add_subplot()
        if limit is not None:
            style = {"color": _RED, "linestyle": "--"} if limit.name else {"color": _GREY}
            axes.axhline(limit.value, linewidth=1.2, label=limit.name or None, **style)  # type: ignore[arg-type]
        for each, points in shown:
            _draw(axes, each, points)
        axes.set_xlabel(x_title)
        axes.set_ylabel(y_title)
        if axes.get_legend_handles_labels()[1]:
            # Above the axes, where it covers no data.
            figure.legend(loc="outside upper left", ncols=3)
        drawn = svg(figure)
    # Without the XML declaration, which has no place inside a page. Matplotlib has escaped all text.
    element = drawn[drawn.index("<svg") :].replace("<svg ", f'<svg role="img" aria-label="{escape(y_title)}" ', 1)
    return Markup(element)


def _draw(axes: Axes, series: Series, points: NDArray[np.float64]) -> None:
    style = dict(_LINES[series.role])
    if series.role is Role.PLAIN and len(points) <= _MARKED_LINE:
        style["marker"] = "o"
    step = max(1, len(points) // _MOST_MARKERS)
    axes.plot(points[:, 0], points[:, 1], markevery=step, label=series.name or None, **style)


@contextmanager
def new_figure(width_in: float, height_in: float, *, layout: str | None = "constrained") -> Iterator[Figure]:
    """Provide an empty figure in the style of the reports; draw and save it inside the ``with`` block.

    Parameters
    ----------
    width_in, height_in : float
        Size in inches.
    layout : str, optional
        Matplotlib's layout engine; None for figures that place their axes themselves.
    """
    import matplotlib.style
    from matplotlib.figure import Figure

    with matplotlib.style.context(["default", dict(_STYLE)]), warnings.catch_warnings():
        # A name may hold characters that our font lacks. A browser takes them from another font.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield Figure(figsize=(width_in, height_in), layout=layout)  # type: ignore[arg-type]


def svg(figure: Figure) -> str:
    """Return a figure as the text of an SVG file; equal figures give equal text."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return text.getvalue()


def png(figure: Figure, dots_per_inch: float) -> bytes:
    """Return a figure as the bytes of a PNG file; equal figures give equal bytes."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=dots_per_inch, metadata={"Software": None})
    return content.getvalue()
