"""A small curve of the drift of the fibre: the correlation of every reference check with the first reference."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QSizePolicy, QWidget

from app.gui.widgets.palette import colours

#: Below this correlation the fibre may have moved; the live view uses the same value.
_DOUBTFUL = 0.6
_LOW, _HIGH = 0.3, 1.0
_TEXT_PX = 128


class DriftCurve(QWidget):
    """Draws (shot number, correlation) points from 0.3 to 1, with a line at the correlation below which they are doubtful."""

    def __init__(self) -> None:
        super().__init__()
        self._points: tuple[tuple[int, float], ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Drift of the fibre")
        self.hide()

    def show_points(self, points: tuple[tuple[int, float], ...]) -> None:
        """Show the reference checks so far; nothing is shown before the second."""
        if points == self._points:
            return
        self._points = points
        self.setVisible(len(points) > 1)
        if points:
            last = points[-1][1]
            self.setToolTip(f"Correlation with the first reference: {last:.3f} at the last check, {self.lowest:.3f} at least")
        self.update()

    @property
    def lowest(self) -> float:
        """The smallest correlation shown."""
        return min((value for _, value in self._points), default=1.0)

    def sizeHint(self) -> QSize:
        """Return a size that is wide and low."""
        return QSize(170 + _TEXT_PX, 34)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the curve with its last value."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(0.5, 0.5, self.width() - _TEXT_PX, self.height() - 1)
        painter.setPen(QColor(colours().line))
        painter.drawRect(area)
        if len(self._points) < 2:
            return

        def place(number: float, value: float) -> QPointF:
            share = (min(max(value, _LOW), _HIGH) - _LOW) / (_HIGH - _LOW)
            return QPointF(area.left() + number / self._points[-1][0] * area.width(), area.bottom() - share * area.height())

        painter.setPen(QPen(QColor(colours().faint), 1))
        painter.drawLine(place(0, _DOUBTFUL), place(self._points[-1][0], _DOUBTFUL))
        painter.setPen(QPen(QColor(colours().warning if self.lowest < _DOUBTFUL else colours().accent), 1.6))
        painter.drawPolyline(QPolygonF([place(number, value) for number, value in self._points]))
        painter.setPen(QColor(colours().muted))
        text_area = QRectF(area.right() + 8, 0, _TEXT_PX - 8, self.height())
        painter.drawText(text_area, Qt.AlignmentFlag.AlignVCenter, f"correlation {self._points[-1][1]:.2f}")
