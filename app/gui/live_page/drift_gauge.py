"""The drift gauge: correlation of the live speckle with the reference, its threshold, the alarm, and the Re-tune button."""

from __future__ import annotations

import math

from PyQt6.QtCore import QRectF, pyqtSignal
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from app.gui.widgets.formatting import number
from app.gui.widgets.labels import Tile
from app.gui.widgets.palette import colours
from app.gui.widgets.style import set_style
from app.status import LiveStatus

#: Correlations that are less than this above the threshold are doubtful.
WARNING_BAND = 0.1
_CAPTION = "Reference correlation"


def correlation_colour(correlation: float, threshold: float) -> str:
    """Return the colour of a reference correlation: good, doubtful, or below the threshold for a re-tune."""
    if not math.isfinite(correlation):
        return colours().muted
    if correlation < threshold:
        return colours().alarm
    return colours().warning if correlation < threshold + WARNING_BAND else colours().good


def correlation_word(correlation: float, threshold: float) -> str:
    """Return the word for a reference correlation; empty if it is unknown."""
    if not math.isfinite(correlation):
        return ""
    if correlation < threshold:
        return "low"
    return "doubtful" if correlation < threshold + WARNING_BAND else "good"


class DriftBar(QWidget):
    """A bar from 0 to 1 with a mark at the threshold."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(12)
        self._shown = (math.nan, 0.5)

    def set_correlation(self, correlation: float, threshold: float) -> None:
        """Show a correlation; NaN empties the bar."""
        if (correlation, threshold) != self._shown:
            self._shown = (correlation, threshold)
            self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the bar and the mark."""
        correlation, threshold = self._shown
        painter = QPainter(self)
        area = QRectF(self.rect())
        painter.fillRect(area, QColor(colours().background))
        if math.isfinite(correlation):
            filled = QRectF(area)
            filled.setWidth(area.width() * min(max(correlation, 0.0), 1.0))
            painter.fillRect(filled, QColor(correlation_colour(correlation, threshold)))
        painter.setPen(QColor(colours().line))
        painter.drawRect(area.adjusted(0.5, 0.5, -0.5, -0.5))
        x = round(area.width() * threshold)
        painter.fillRect(
            QRectF(x - 1, 0, 2, area.height()), QColor(colours().background if correlation > threshold else colours().muted)
        )


class DriftGauge(QWidget):
    """Number, bar and the Re-tune button. It emits ``retune_clicked`` and decides nothing itself."""

    retune_clicked = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.number = Tile(_CAPTION)
        self.bar = DriftBar()
        self.retune = QPushButton()
        self.retune.setMinimumWidth(92)
        self.retune.setToolTip("Measure a new reference and 8 probe patterns, and continue with them; takes some seconds  (T)")
        self.retune.clicked.connect(self.retune_clicked)
        readings = QVBoxLayout()
        readings.setSpacing(4)
        readings.addWidget(self.number)
        readings.addWidget(self.bar)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(10)
        layout.addLayout(readings, 1)
        layout.addWidget(self.retune)

    def show_status(self, status: LiveStatus) -> None:
        """Show how far the fibre has moved, and whether a re-tune is possible."""
        correlation, threshold = status.reference_correlation, status.drift_threshold
        moved = status.running and correlation < threshold  # False for NaN
        self.number.setToolTip(
            f"How similar the speckle is to the reference. 1: unchanged; below {threshold:g} (the mark): the fibre has moved"
        )
        self.number.set_caption("The fibre has moved" if moved and not status.retuning else _CAPTION)
        word, colour = correlation_word(correlation, threshold), correlation_colour(correlation, threshold)
        self.number.show_parts((number(correlation, 2), word, colour))
        self.bar.set_correlation(correlation, threshold)
        self.retune.setText("Re-tuning\N{HORIZONTAL ELLIPSIS}" if status.retuning else "Re-tune")
        self.retune.setEnabled(status.can_retune and not status.retuning)
        set_style(self.retune, "tone", "alarm" if moved and self.retune.isEnabled() else "")
