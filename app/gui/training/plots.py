"""The plots of a training: loss, learning rate and scores of the held-out images, and the last of these images."""

from __future__ import annotations

import cv2
import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.gui.widgets.labels import caption_label, card
from app.gui.widgets.palette import OUTLINE, PICTURE
from app.gui.widgets.picture import Picture
from app.training.process import Curve

#: Logged points over which the drawn loss is averaged; the loss of a single batch varies too much.
_SMOOTH = 15


class TrainingPlots(QWidget):
    """Draws a :class:`app.training.process.Curve` and a validation picture."""

    def __init__(self) -> None:
        super().__init__()
        self.loss = _plot("loss")
        self.scores = _plot("score")
        self.rate = _plot("learning rate")
        self._single = self.loss.plot(pen=pg.mkPen(PICTURE.line, width=1))
        self._smooth = self.loss.plot(pen=pg.mkPen(PICTURE.accent, width=2))
        dots = {"symbol": "o", "symbolSize": 6, "symbolPen": None}
        self.ssim = self.scores.plot(pen=pg.mkPen(PICTURE.accent, width=2), symbolBrush=PICTURE.accent, **dots)
        self._correlation = self.scores.plot(pen=pg.mkPen(OUTLINE, width=2), symbolBrush=OUTLINE, **dots)
        self._rate = self.rate.plot(pen=pg.mkPen(PICTURE.good, width=2))
        self.rate.setMaximumHeight(130)
        self.rate.getAxis("left").setStyle(maxTickLevel=0)  # the plot is too low for more labels
        self.picture = Picture("Held-out images appear after the first validation")
        self.picture.setAccessibleName("Held-out images")
        columns = caption_label("truth | reconstruction | error")
        columns.setAlignment(Qt.AlignmentFlag.AlignCenter)
        columns.setToolTip("Black is 0 rad. White is the phase range, and a quarter of the phase range for the error")
        curves = QVBoxLayout()
        legend = f"Held-out images: {_sample('SSIM', PICTURE.accent)} {_sample('correlation', OUTLINE)}"
        for caption, plot, stretch in (("Loss", self.loss, 3), (legend, self.scores, 3), ("Learning rate", self.rate, 1)):
            curves.addWidget(caption_label(caption))
            curves.addWidget(plot, stretch)
        pictures = QVBoxLayout()
        for column in (curves, pictures):
            column.setContentsMargins(12, 10, 12, 10)
        pictures.addWidget(columns)
        pictures.addWidget(self.picture, 1)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(card(curves), 3)
        layout.addWidget(card(pictures), 2)

    def show_curve(self, curve: Curve) -> None:
        """Draw a curve."""
        steps, loss = np.array(curve.steps), np.array(curve.loss)
        self._single.setData(steps, loss)
        self._smooth.setData(steps, _running_mean(loss))
        self._rate.setData(steps, np.array(curve.rate))
        self.ssim.setData(np.array(curve.validated), np.array(curve.ssim))
        self._correlation.setData(np.array(curve.validated), np.array(curve.correlation))
        finite = [score for score in curve.ssim + curve.correlation if np.isfinite(score)]
        if finite:  # from just below the lowest score, so that small gains can be seen
            self.scores.setYRange(min(finite) - 0.05, 1.0)
        if curve.steps:
            low, high = np.nanpercentile(loss, (2, 98))
            self.loss.setYRange(low, high)
            self.rate.setYRange(0, max(curve.rate))
            for plot in (self.loss, self.scores, self.rate):
                plot.setXRange(0, curve.steps[-1], padding=0.02)

    def show_picture(self, png: bytes | None) -> None:
        """Show the validation picture, or a text when there is none."""
        grey = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE) if png else None
        self.picture.show_grey(None if grey is None else grey.astype(np.uint8, copy=False))


def _running_mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last points, over fewer at the beginning; as long as the input."""
    if not len(values):
        return values
    total = np.cumsum(np.insert(values, 0, 0.0))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - _SMOOTH, 0)
    return (total[ends] - total[starts]) / (ends - starts)


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
    for side in ("left", "bottom"):
        axis = plot.getAxis(side)
        axis.setPen(PICTURE.line)
        axis.setTextPen(PICTURE.muted)
        axis.enableAutoSIPrefix(enable=False)
    plot.getAxis("left").setWidth(56)
    return plot
