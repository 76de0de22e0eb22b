"""The plots and pictures of a calibration, in the window; the points of every plot can be saved."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape
from typing import Final

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.calibrations.figure_file import points_csv
from app.gui.widgets.csv_button import CsvButton
from app.gui.widgets.labels import caption_label
from app.gui.widgets.palette import OUTLINE, PICTURE
from app.gui.widgets.picture import Picture
from app.reporting.plots import Plot, Role, Series
from app.reporting.rendering import Section

_PLOT_PX = 270
_PICTURE_PX = 170
#: Colour of every series, and how it looks in the legend.
_COLOURS: Final = {
    Role.PLAIN: PICTURE.accent,
    Role.MEASURED: PICTURE.muted,
    Role.CORRECTED: PICTURE.accent,
    Role.BEFORE: OUTLINE,
    Role.AFTER: PICTURE.accent,
}
_SAMPLES: Final = {
    Role.PLAIN: "\N{EM DASH}",
    Role.MEASURED: "\N{BLACK CIRCLE}",
    Role.CORRECTED: "\N{BLACK CIRCLE}",
    Role.BEFORE: "\N{EN DASH} \N{EN DASH}",
    Role.AFTER: "\N{EM DASH}",
}


class FiguresView(QWidget):
    """Sections of a report, one below the other; plots of one section side by side."""

    #: What was saved, or why it was not.
    saved = pyqtSignal(str)
    refused = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.plots: list[PlotView] = []
        self._content = QWidget()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addWidget(self._content)

    def show_sections(self, sections: Sequence[Section], name: str) -> None:
        """Show plots and pictures in place of those before.

        Parameters
        ----------
        sections : sequence of Section
            What is shown.
        name : str
            Beginning of the names of saved files.
        """
        self.plots = []
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        for section in sections:
            heading = QLabel(section.title)
            heading.setObjectName("heading")
            column.addWidget(heading)
            if section.text:
                column.addWidget(_text(section.text))
            for pictures in section.pictures:
                column.addLayout(_row([_captioned(picture.image, picture.caption) for picture in pictures]))
            plots = [PlotView(plot, f"{name}-{len(self.plots) + n + 1}.csv") for n, plot in enumerate(_plots(section))]
            self.plots += plots
            column.addLayout(_row(plots))
        column.addStretch(1)
        for view in self.plots:
            view.save.saved.connect(self.saved)
            view.save.refused.connect(self.refused)
        self._layout.replaceWidget(self._content, content)
        self._content.hide()
        self._content.deleteLater()
        self._content = content


class PlotView(QWidget):
    """One plot with its legend, and a button that saves its points.

    Parameters
    ----------
    plot : Plot
        What is drawn.
    file_name : str
        Suggested name of the file with its points.
    """

    def __init__(self, plot: Plot, file_name: str) -> None:
        super().__init__()
        self.canvas = _canvas(plot)
        self.legend = QLabel("&nbsp;&nbsp;".join(_sample(each) for each in plot.series if each.name))
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.legend.setObjectName("caption")
        self.legend.setWordWrap(True)
        self.save = CsvButton(
            file_name, f"Save the points of this plot: {plot.y_title} over {plot.x_title}", partial(points_csv, plot)
        )
        self.save.setAccessibleName(f"Save the points of {plot.y_title} as CSV")
        above = QHBoxLayout()
        above.addWidget(self.legend, 1)
        above.addWidget(self.save)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(above)
        layout.addWidget(self.canvas)
        for each in plot.series:
            _draw(self.canvas, each)
        if plot.limit is not None:
            self.canvas.addItem(pg.InfiniteLine(plot.limit.value, angle=0, pen=pg.mkPen(PICTURE.line, width=1)))


def _plots(section: Section) -> list[Plot]:
    return [plot for plot in section.plots if isinstance(plot, Plot)]


def _canvas(plot: Plot) -> pg.PlotWidget:
    canvas = pg.PlotWidget(background=PICTURE.panel)
    canvas.setAccessibleName(f"{plot.y_title} over {plot.x_title}")
    canvas.setMenuEnabled(False)
    canvas.hideButtons()
    canvas.showGrid(x=False, y=True, alpha=0.15)
    canvas.setMouseEnabled(x=False, y=False)
    canvas.setFixedHeight(_PLOT_PX)
    canvas.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    canvas.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)  # the wheel scrolls the page
    for side, title in (("left", plot.y_title), ("bottom", plot.x_title)):
        axis = canvas.getAxis(side)
        axis.setPen(PICTURE.line)
        axis.setTextPen(PICTURE.muted)
        axis.enableAutoSIPrefix(enable=False)
        canvas.setLabel(side, escape(title))
    return canvas


def _draw(canvas: pg.PlotWidget, series: Series) -> None:
    points, colour = series.points(), _COLOURS[series.role]
    if series.role in (Role.MEASURED, Role.CORRECTED):
        canvas.plot(points[:, 0], points[:, 1], pen=None, symbol="o", symbolSize=4, symbolPen=None, symbolBrush=colour)
        return
    style = Qt.PenStyle.DashLine if series.role is Role.BEFORE else Qt.PenStyle.SolidLine
    canvas.plot(points[:, 0], points[:, 1], pen=pg.mkPen(colour, width=2, style=style))


def _sample(series: Series) -> str:
    """Return the name of a series with its sign in its colour, on the ground of the plot."""
    sign = f'<span style="background:{PICTURE.panel}; color:{_COLOURS[series.role]}">&nbsp;{_SAMPLES[series.role]}&nbsp;</span>'
    return f"{sign}&nbsp;{escape(series.name)}"


def _captioned(image: np.ndarray, caption: str) -> QWidget:
    view = Picture("")
    view.setFixedHeight(_PICTURE_PX)
    view.setAccessibleName(caption)
    view.show_grey(image if image.ndim == 2 else np.asarray(image.mean(axis=2), np.uint8))
    label = caption_label(caption)
    label.setWordWrap(True)
    label.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignHCenter)
    box = QWidget()
    layout = QVBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(view)
    layout.addWidget(label)
    return box


def _text(text: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName("muted")
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    return label


def _row(widgets: Sequence[QWidget]) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget, 1)
    return row
