"""The plots of measurements: values along lines, values over time, and the running numbers for alignment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor
from PyQt6.QtWidgets import QLabel, QVBoxLayout, QWidget

from app.gui.image_view.contents import Content
from app.gui.image_view.measure.measurements import Measurements
from app.gui.image_view.measure.shape_item import COLOURS
from app.gui.image_view.measure.tools import ALIGNMENT
from app.gui.widgets.palette import PICTURE
from app.measuring.alignment import FORMULAS
from app.measuring.measurement import Result
from app.measuring.time_series import TimeSeries

_MAX_POINTS = 2000  # of a curve; more cannot be seen, and take time
_TITLES = {"mean": "Mean", "saturated_fraction": "Saturated", "contrast": "Contrast", "focus": "Focus"}
#: Units of pictures.
UNITS = ("counts", "rad")
_UNITS = {"mean": "counts", "saturated_fraction": "%", "contrast": "", "focus": ""}


def number_text(value: float, digits: int = 4) -> str:
    """Write a number with a fixed number of significant digits, or a dash when it is unknown."""
    return f"{value:#.{digits}g}".rstrip(".") if np.isfinite(value) else "\N{EN DASH}"


def unit_of(picture: str) -> str:
    """Return the unit of the values of a picture."""
    return Content(picture).values.unit if picture in list(Content) else ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """Values over distance or time."""

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    unit: str
    colour: str


class CurvePlot(QWidget):
    """One plot with named curves.

    Parameters
    ----------
    x_label, y_label : str
        What the axes show, with units.
    """

    def __init__(self, x_label: str, y_label: str) -> None:
        super().__init__()
        self.plot = pg.PlotWidget(background=QColor(PICTURE.background))
        self.plot.setAcceptDrops(False)  # files are for the window
        self._item = self.plot.getPlotItem()
        self._item.setMenuEnabled(enableMenu=False)
        self._item.hideButtons()
        self._item.showGrid(x=True, y=True, alpha=0.15)
        for side in ("left", "bottom"):
            axis = self._item.getAxis(side)
            axis.setPen(pg.mkPen(PICTURE.muted))
            axis.setTextPen(pg.mkPen(PICTURE.muted))
            axis.enableAutoSIPrefix(enable=False)
        self._item.setLabel("bottom", x_label, color=PICTURE.muted)
        self._item.getAxis("left").setWidth(56)
        self._item.setLabel("left", y_label, color=PICTURE.muted)
        self._curves: dict[str, pg.PlotDataItem] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.plot)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the curves."""
        return tuple(self._curves)

    def save_height(self, *, is_last: bool) -> None:
        """Be one of a column of plots with the same x: few numbers at the left, and below only those of the last plot."""
        self._item.getAxis("left").setStyle(maxTickLevel=0)
        self._item.getAxis("left").setTickDensity(0.4)
        self._item.getAxis("bottom").setStyle(showValues=is_last)

    def set_heading(self, text: str) -> None:
        """Show a line above the plot."""
        self._item.setTitle(text, color=PICTURE.text, size="10pt")

    def show_curve(self, name: str, x: NDArray[np.float64], y: NDArray[np.float64], colour: str) -> None:
        """Show a curve; one of this name is replaced. Values that are not finite leave a gap."""
        if name not in self._curves:
            self._curves[name] = self._item.plot(pen=pg.mkPen(colour, width=1.6), connect="finite")
        self._curves[name].setData(x, y, connect="finite")

    def keep_only(self, names: Sequence[str]) -> None:
        """Remove all other curves."""
        for name in [name for name in self._curves if name not in names]:
            self._item.removeItem(self._curves.pop(name))

    def data(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what a curve shows; raises KeyError when there is none of this name."""
        x, y = self._curves[name].getData()
        return (np.zeros(0), np.zeros(0)) if x is None else (x, y)


class UnitPlots(QWidget):
    """One plot for each unit, one below the other: counts and radians share no axis.

    A plot is made when its first curve comes: the page opens faster.

    Parameters
    ----------
    x_label, y_label : str
        What the axes show; the unit of the vertical axis is added.
    hint : str
        What the operator has to do while there is no curve.
    """

    def __init__(self, x_label: str, y_label: str, hint: str) -> None:
        super().__init__()
        self._x_label, self._y_label = x_label, y_label
        self._hint = QLabel(hint)
        self._hint.setObjectName("muted")
        self._hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._hint.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._hint, 1)
        self._layout = layout
        self._plots: dict[str, CurvePlot] = {}

    def show_curves(self, curves: Sequence[Curve], heading: str = "") -> None:
        """Show these curves, and no others."""
        self._hint.setVisible(not curves)
        for unit in UNITS:
            own = [curve for curve in curves if curve.unit == unit]
            if not own and unit not in self._plots:
                continue
            plot = self._plot(unit)
            plot.keep_only([curve.name for curve in own])
            plot.setVisible(bool(own))
            plot.set_heading(heading)
            for curve in own:
                plot.show_curve(curve.name, curve.x, curve.y, curve.colour)

    def _plot(self, unit: str) -> CurvePlot:
        if unit not in self._plots:
            above = sum(other in self._plots for other in UNITS[: UNITS.index(unit)])
            self._plots[unit] = CurvePlot(self._x_label, f"{self._y_label} / {unit}")
            self._layout.insertWidget(1 + above, self._plots[unit], 1)  # below the hint
        return self._plots[unit]

    def data(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what the curve of this name shows; raises KeyError when there is none."""
        plot = next((plot for plot in self._plots.values() if name in plot.names), None)
        if plot is None:
            raise KeyError(name)
        return plot.data(name)

    @property
    def units(self) -> tuple[str, ...]:
        """The units that have a plot now."""
        return tuple(unit for unit in UNITS if unit in self._plots and self._plots[unit].names)


def profile_curves(results: Sequence[Result], measurements: Measurements) -> tuple[list[Curve], str]:
    """Return the values along all lines, and a heading with the number of their frame."""
    curves: list[Curve] = []
    frames: set[int] = set()
    for result in results:
        if result.profile is not None and result.picture is not None:
            name, profile = result.measurement.name, result.profile
            curve = Curve(
                name=name,
                x=profile.distance_um,
                y=profile.values,
                unit=result.picture.unit,
                colour=_colour(measurements, name),
            )
            curves.append(curve)
            if result.picture.frame_index is not None:
                frames.add(result.picture.frame_index)
    return curves, f"Frame {', '.join(str(frame) for frame in sorted(frames))}" if frames else ""


def trace_curves(traces: Mapping[str, TimeSeries], measurements: Measurements) -> list[Curve]:
    """Return the course over time of points and regions; time 0 is that of the newest frame."""
    filled = {name: series for name, series in traces.items() if len(series)}
    newest_s = max((series.column("time_s")[-1] for series in filled.values()), default=0.0)
    return [
        Curve(
            name=name,
            x=(series.column("time_s") - newest_s)[-_MAX_POINTS:],
            y=series.column("mean")[-_MAX_POINTS:],
            unit=unit_of(measurements[name].picture),
            colour=_colour(measurements, name),
        )
        for name, series in filled.items()
    ]


class AlignmentPlots(QWidget):
    """Mean, saturated fraction, contrast and focus of the camera's picture, one below the other.

    The plots are made when they are first seen: the page opens faster.
    """

    def __init__(self) -> None:
        super().__init__()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(2)

    @cached_property
    def plots(self) -> dict[str, CurvePlot]:
        """The plots by the names of their series."""
        # The plots share their axis of time, which is named below the last one.
        plots = {name: CurvePlot("Time / s" if name == ALIGNMENT[-1] else "", "") for name in ALIGNMENT}
        for name, plot in plots.items():
            plot.setToolTip(f"{_TITLES[name]}: {FORMULAS[name]}")
            plot.set_heading(_TITLES[name])
            is_last = name == ALIGNMENT[-1]
            plot.save_height(is_last=is_last)
            self._layout.addWidget(plot, 5 if is_last else 4)  # the last one has numbers below it
        return plots

    def show_series(self, series: TimeSeries) -> None:
        """Show the newest values; time 0 is that of the newest frame."""
        x = series.column("time_s")[-_MAX_POINTS:]
        for name, plot in self.plots.items():
            y = series.column(name)[-_MAX_POINTS:] * (100.0 if name == "saturated_fraction" else 1.0)
            newest = number_text(float(y[-1])) if len(y) else "\N{EN DASH}"
            plot.set_heading(f"{_TITLES[name]}  <b>{newest}</b> {_UNITS[name]}")
            plot.show_curve(name, x - x[-1] if len(x) else x, y, PICTURE.accent)


def _colour(measurements: Measurements, name: str) -> str:
    return COLOURS[measurements.colour_number(name) % len(COLOURS)]
