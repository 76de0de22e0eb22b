"""The plots of measurements: values along lines, values over time, and the running numbers for alignment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtGui import QColor
from PyQt6.QtWidgets import QVBoxLayout, QWidget

from app.gui.image_view.measure.measurements import Measurements
from app.gui.image_view.measure.shape_item import COLOURS
from app.gui.image_view.measure.tools import ALIGNMENT
from app.gui.widgets.style import ACCENT, BACKGROUND, MUTED, TEXT
from app.measuring.alignment import FORMULAS
from app.measuring.measurement import Result
from app.measuring.time_series import TimeSeries

_MAX_POINTS = 2000  # of a curve; more cannot be seen, and take time
_TITLES = {"mean": "Mean", "saturated_fraction": "Saturated", "contrast": "Contrast", "focus": "Focus"}
_UNITS = {"mean": "counts", "saturated_fraction": "%", "contrast": "", "focus": ""}


def number_text(value: float, digits: int = 4) -> str:
    """Write a number with a fixed number of significant digits, or a dash when it is unknown."""
    return f"{value:#.{digits}g}".rstrip(".") if np.isfinite(value) else "\N{EN DASH}"


class CurvePlot(QWidget):
    """One plot with named curves.

    Parameters
    ----------
    x_label, y_label : str
        What the axes show, with units.
    """

    def __init__(self, x_label: str, y_label: str) -> None:
        super().__init__()
        self.plot = pg.PlotWidget(background=QColor(BACKGROUND))
        self._item = self.plot.getPlotItem()
        self._item.setMenuEnabled(enableMenu=False)
        self._item.hideButtons()
        self._item.showGrid(x=True, y=True, alpha=0.15)
        for side in ("left", "bottom"):
            axis = self._item.getAxis(side)
            axis.setPen(pg.mkPen(MUTED))
            axis.setTextPen(pg.mkPen(MUTED))
            axis.enableAutoSIPrefix(enable=False)
        self._item.setLabel("bottom", x_label, color=MUTED)
        self._item.getAxis("left").setWidth(56)
        self.set_y_label(y_label)
        self._curves: dict[str, pg.PlotDataItem] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.plot)

    def set_y_label(self, text: str) -> None:
        """Change what the vertical axis shows."""
        self._item.setLabel("left", text, color=MUTED)

    def set_heading(self, text: str) -> None:
        """Show a line above the plot."""
        self._item.setTitle(text, color=TEXT, size="10pt")

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


class ProfilePlot(CurvePlot):
    """The values along all lines."""

    def __init__(self) -> None:
        super().__init__("Distance / \N{MICRO SIGN}m", "Value")

    def show_results(self, results: Sequence[Result], measurements: Measurements) -> None:
        """Show the newest values."""
        shown = [result for result in results if result.profile is not None and result.picture is not None]
        self.keep_only([result.measurement.name for result in shown])
        for result in shown:
            name, profile = result.measurement.name, result.profile
            if profile is not None:
                self.show_curve(name, profile.distance_um, profile.values, _colour(measurements, name))
        units = sorted({result.picture.unit for result in shown if result.picture is not None})
        frames = sorted({str(result.picture.frame_index) for result in shown if result.picture and result.picture.frame_index})
        self.set_y_label(f"Value / {', '.join(units)}" if units else "Value")
        self.set_heading(f"Frame {', '.join(frames)}" if frames else "Draw a profile on a picture")


class TracePlot(CurvePlot):
    """The course over time of points and regions."""

    def __init__(self) -> None:
        super().__init__("Time / s", "Mean")

    def show_traces(self, traces: Mapping[str, TimeSeries], measurements: Measurements) -> None:
        """Show the newest values; time 0 is that of the newest frame."""
        filled = {name: series for name, series in traces.items() if len(series)}
        self.keep_only(list(filled))
        self.set_heading("" if filled else "Draw a point, rectangle or ellipse on a picture")
        newest_s = max((series.column("time_s")[-1] for series in filled.values()), default=0.0)
        for name, series in filled.items():
            x, y = series.column("time_s") - newest_s, series.column("mean")
            self.show_curve(name, x[-_MAX_POINTS:], y[-_MAX_POINTS:], _colour(measurements, name))


class AlignmentPlots(QWidget):
    """Mean, saturated fraction, contrast and focus of the camera's picture, one below the other."""

    def __init__(self) -> None:
        super().__init__()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        # The plots share their axis of time, which is named below the last one.
        self.plots = {name: CurvePlot("Time / s" if name == ALIGNMENT[-1] else "", "") for name in ALIGNMENT}
        for name, plot in self.plots.items():
            plot.setToolTip(f"{_TITLES[name]}: {FORMULAS[name]}")
            plot.set_heading(_TITLES[name])
            layout.addWidget(plot)

    def show_series(self, series: TimeSeries) -> None:
        """Show the newest values; time 0 is that of the newest frame."""
        x = series.column("time_s")[-_MAX_POINTS:]
        for name, plot in self.plots.items():
            y = series.column(name)[-_MAX_POINTS:] * (100.0 if name == "saturated_fraction" else 1.0)
            newest = number_text(float(y[-1])) if len(y) else "\N{EN DASH}"
            plot.set_heading(f"{_TITLES[name]}  <b>{newest}</b> {_UNITS[name]}")
            plot.show_curve(name, x - x[-1] if len(x) else x, y, ACCENT)


def _colour(measurements: Measurements, name: str) -> str:
    return COLOURS[measurements.colour_number(name) % len(COLOURS)]
