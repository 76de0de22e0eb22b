"""The plots of a training: loss, learning rate and scores of the held-out images, and the last of these images."""

from __future__ import annotations

import cv2
import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QCheckBox, QHBoxLayout, QVBoxLayout, QWidget

from app.gui.widgets.labels import caption_label, card
from app.gui.widgets.palette import OUTLINE, PICTURE
from app.gui.widgets.picture import Picture
from app.training.process import Curve

#: Logged points over which the drawn loss is averaged; the loss of a single batch varies too much.
_SMOOTH = 15
#: A range of numbers that are all equal is drawn so much wider.
_LEAST_RANGE = 1e-6


class TrainingPlots(QWidget):
    """Draws all points of a :class:`app.training.process.Curve`, and a validation picture."""

    def __init__(self) -> None:
        super().__init__()
        self.loss = _plot("loss")
        self.scores = _plot("score")
        self.rate = _plot("learning rate")
        self.single = self.loss.plot(pen=pg.mkPen(PICTURE.line, width=1))
        self._smooth = self.loss.plot(pen=pg.mkPen(PICTURE.accent, width=2))
        dots = {"symbol": "o", "symbolSize": 6, "symbolPen": None}
        self.ssim = self.scores.plot(pen=pg.mkPen(PICTURE.accent, width=2), symbolBrush=PICTURE.accent, **dots)
        self._correlation = self.scores.plot(pen=pg.mkPen(OUTLINE, width=2), symbolBrush=OUTLINE, **dots)
        self._rate = self.rate.plot(pen=pg.mkPen(PICTURE.good, width=2))
        self.logarithmic = QCheckBox("Logarithmic")
        self.logarithmic.setToolTip("Draw the loss on a logarithmic scale: small progress late in a training can be seen")
        self.logarithmic.toggled.connect(self._draw_again)
        self.picture = Picture("Held-out images appear after the first validation")
        self.picture.setAccessibleName("Held-out images")
        self._curve = Curve()
        self._build()

    def _build(self) -> None:
        columns = caption_label("truth | reconstruction | error")
        columns.setAlignment(Qt.AlignmentFlag.AlignCenter)
        columns.setToolTip("Black is 0 rad. White is the phase range, and a quarter of the phase range for the error")
        curves = QVBoxLayout()
        curves.setSpacing(2)
        loss_line = QHBoxLayout()
        loss_line.addWidget(caption_label("Loss of every logged step, and its running mean, over steps"))
        loss_line.addStretch(1)
        loss_line.addWidget(self.logarithmic)
        curves.addLayout(loss_line)
        curves.addWidget(self.loss, 4)
        legend = f"Held-out images: {_sample('SSIM', PICTURE.accent)} {_sample('correlation', OUTLINE)} (1 is perfect)"
        curves.addWidget(caption_label(legend))
        curves.addWidget(self.scores, 4)
        curves.addWidget(caption_label("Learning rate"))
        curves.addWidget(self.rate, 2)
        pictures = QVBoxLayout()
        for column in (curves, pictures):
            column.setContentsMargins(10, 6, 10, 6)
        pictures.addWidget(columns)
        pictures.addWidget(self.picture, 1)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(card(curves), 3)
        layout.addWidget(card(pictures), 2)

    def show_curve(self, curve: Curve) -> None:
        """Draw all points of a curve."""
        self._curve = curve
        steps, loss = np.array(curve.steps, float), np.array(curve.loss, float)
        logarithmic = self.logarithmic.isChecked()
        self.loss.setLogMode(y=logarithmic)
        if logarithmic:
            loss = np.where(loss > 0, loss, np.nan)  # a loss of nothing has no logarithm
        self.single.setData(steps, loss)
        self._smooth.setData(steps, _running_mean(loss))
        self._rate.setData(steps, np.array(curve.rate))
        self.ssim.setData(np.array(curve.validated), np.array(curve.ssim))
        self._correlation.setData(np.array(curve.validated), np.array(curve.correlation))
        _show_all(self.loss, np.log10(loss) if logarithmic else loss)
        _show_all(self.scores, np.array([*curve.ssim, *curve.correlation, 1.0]))
        _show_all(self.rate, np.array([0.0, *curve.rate]))
        highest = max(curve.rate, default=0.0)
        self.rate.getAxis("left").setTicks([[(0.0, "0"), (highest, f"{highest:g}")] if highest else []])  # it is low
        last = max([1, *curve.steps[-1:], *curve.validated[-1:]])
        for plot in (self.loss, self.scores, self.rate):
            plot.setXRange(0, last, padding=0.02)
            for side in ("left", "bottom"):  # an empty plot has no numbers that mean anything
                plot.getAxis(side).setStyle(showValues=bool(curve.steps or curve.validated))

    def show_picture(self, png: bytes | None) -> None:
        """Show the validation picture, or a text when there is none."""
        grey = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE) if png else None
        self.picture.show_grey(None if grey is None else grey.astype(np.uint8, copy=False))

    def _draw_again(self) -> None:
        self.show_curve(self._curve)


def _show_all(plot: pg.PlotWidget, values: np.ndarray) -> None:
    """Let a plot show all finite values."""
    finite = values[np.isfinite(values)]
    if len(finite):
        low, high = float(finite.min()), float(finite.max())
        plot.setYRange(low, max(high, low + _LEAST_RANGE), padding=0.06)


def _running_mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last points that are finite, over fewer at the beginning; as long as the input."""
    finite = np.isfinite(values)
    total = np.cumsum(np.insert(np.where(finite, values, 0.0), 0, 0.0))
    number = np.cumsum(np.insert(finite.astype(float), 0, 0.0))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - _SMOOTH, 0)
    counts = number[ends] - number[starts]
    return np.where(counts > 0, (total[ends] - total[starts]) / np.maximum(counts, 1), np.nan)


def _sample(name: str, colour: str) -> str:
    """Return the name of a curve in its colour, on the ground of the plot."""
    return f'<span style="background:{PICTURE.panel}; color:{colour}">&nbsp;{name}&nbsp;</span>'


def _plot(name: str) -> pg.PlotWidget:
    plot = pg.PlotWidget(background=PICTURE.panel)
    plot.setAccessibleName(name)
    plot.setMenuEnabled(False)
    plot.hideButtons()
    plot.showGrid(x=False, y=True, alpha=0.15)
    plot.setMouseEnabled(x=False, y=False)
    plot.setMinimumHeight(40)
    for side in ("left", "bottom"):
        axis = plot.getAxis(side)
        axis.setPen(PICTURE.line)
        axis.setTextPen(PICTURE.muted)
        axis.enableAutoSIPrefix(enable=False)
    plot.getAxis("left").setWidth(56)
    return plot
