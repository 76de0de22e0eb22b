"""A histogram with the colours below it, and two handles for the levels."""

from __future__ import annotations

from enum import Enum, auto

import cv2
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QSizePolicy, QWidget

from app.gui.image_view.colour_maps import Table
from app.gui.image_view.levels.levels import HistogramScale, sampled
from app.gui.widgets.style import LINE, MUTED, TEXT

_BINS = 128
_COLOURS_PX = 9
_GRIP_PX = 8  # a handle is caught within this distance
_MARGIN_PX = 6  # so that the handles of the outermost levels can be caught


class _Held(Enum):
    """What the mouse moves."""

    NOTHING = auto()
    LOW = auto()
    HIGH = auto()
    BOTH = auto()


class LevelHistogram(QWidget):
    """Shows how often each value occurs. Drag a handle to set a level, or the part between them to set both."""

    dragged = pyqtSignal(float, float)
    double_clicked = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumWidth(60)
        self.setFixedHeight(40)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self._colours = QImage()
        self._levels = (0.0, 1.0)
        self._domain = (0.0, 1.0)
        self._counts: NDArray[np.float64] = np.zeros(0)
        self._scale = HistogramScale.SQUARE_ROOT
        self._held = _Held.NOTHING
        self._caught_at = 0.0

    @property
    def domain(self) -> tuple[float, float]:
        """The values at the left and at the right end."""
        return self._domain

    @property
    def heights(self) -> NDArray[np.float64]:
        """The heights of the bars, 0 to 1."""
        return self._scale.heights(self._counts)

    def set_levels(self, levels: tuple[float, float], table: Table) -> None:
        """Show the levels and the colours between them."""
        row = np.ascontiguousarray(table[None])
        self._colours = QImage(row.tobytes(), len(table), 1, 3 * len(table), QImage.Format.Format_RGB888).copy()
        self._levels = levels
        self._domain = (min(self._domain[0], levels[0]), max(self._domain[1], levels[1]))
        self.update()

    def set_scale(self, scale: HistogramScale) -> None:
        """Choose how counts become heights."""
        self._scale = scale
        self.update()

    def show_values(self, image: NDArray[np.generic] | None) -> None:
        """Count the values of an image; values that are not finite are skipped."""
        values = np.zeros(0, np.float32) if image is None else sampled(image).astype(np.float32)
        finite = values[np.isfinite(values)]
        if not finite.size:
            self._counts = np.zeros(0)
        else:
            if self._held is _Held.NOTHING:
                self._domain = self._wide_enough(float(finite.min()), float(finite.max()))
            low, high = self._domain
            upper = high + (high - low) * 1e-4  # the upper bound of calcHist is exclusive
            self._counts = cv2.calcHist([finite], [0], None, [_BINS], [low, upper]).ravel().astype(np.float64)
        self.update()

    def x_of(self, value: float) -> float:
        """Return where a value lies, in pixels of this widget."""
        low, high = self._domain
        return _MARGIN_PX + (value - low) / (high - low) * (self.width() - 2 * _MARGIN_PX)

    def _value_at(self, x: float) -> float:
        low, high = self._domain
        return low + (x - _MARGIN_PX) / max(1.0, self.width() - 2.0 * _MARGIN_PX) * (high - low)

    def _wide_enough(self, low: float, high: float) -> tuple[float, float]:
        low, high = min(low, self._levels[0]), max(high, self._levels[1])
        # Small changes from frame to frame must not move the scale.
        before = self._domain
        span = high - low
        if before[0] <= low and high <= before[1] and before[1] - before[0] < 1.5 * span:
            return before
        return low, high

    # -- the mouse ------------------------------------------------------------------------------------------------

    def _under(self, x: float) -> _Held:
        low, high = (self.x_of(level) for level in self._levels)
        nearest = _Held.LOW if abs(x - low) <= abs(x - high) else _Held.HIGH
        if min(abs(x - low), abs(x - high)) <= _GRIP_PX:
            return nearest
        return _Held.BOTH if low < x < high else nearest

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Catch a handle."""
        if event is not None and event.button() is Qt.MouseButton.LeftButton:
            self._held = self._under(event.position().x())
            self._caught_at = self._value_at(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Move the caught handle."""
        if event is None:
            return
        x = event.position().x()
        if self._held is _Held.NOTHING:
            both = self._under(x) is _Held.BOTH
            self.setCursor(Qt.CursorShape.SizeAllCursor if both else Qt.CursorShape.SizeHorCursor)
            return
        value = self._value_at(x)
        low, high = self._levels
        if self._held is _Held.BOTH:
            step = value - self._caught_at
            self._caught_at = value
            self.dragged.emit(low + step, high + step)
        elif self._held is _Held.LOW:
            self.dragged.emit(value, high)
        else:
            self.dragged.emit(low, value)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Let the handle go."""
        self._held = _Held.NOTHING

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Ask for the default levels."""
        self.double_clicked.emit()

    # -- painting -------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw histogram, colours and handles."""
        painter = QPainter(self)
        low, high = (self.x_of(level) for level in self._levels)
        top = self.height() - _COLOURS_PX - 1
        self._draw_bars(painter, float(top - 3))
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        right = self.width() - float(_MARGIN_PX)
        # Beyond a level, values have the colour of that level.
        if not self._colours.isNull():
            first, last = self._colours.pixelColor(0, 0), self._colours.pixelColor(self._colours.width() - 1, 0)
            painter.fillRect(QRectF(_MARGIN_PX, top, low - _MARGIN_PX, _COLOURS_PX), first)
            painter.fillRect(QRectF(high, top, right - high, _COLOURS_PX), last)
            painter.drawImage(QRectF(low, top, high - low, _COLOURS_PX), self._colours)
        painter.setPen(QColor(LINE))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(QRectF(_MARGIN_PX - 0.5, top - 0.5, right - _MARGIN_PX + 1, _COLOURS_PX + 1))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for x in (low, high):
            painter.setPen(QPen(QColor(TEXT), 1.5))
            painter.drawLine(QPointF(x, 5), QPointF(x, top + _COLOURS_PX))
            painter.setBrush(QColor(TEXT))
            painter.drawPolygon(QPolygonF([QPointF(x - 4, 0), QPointF(x + 4, 0), QPointF(x, 6)]))

    def _draw_bars(self, painter: QPainter, base: float) -> None:
        heights = self.heights
        if not len(heights):
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        step = (self.width() - 2 * _MARGIN_PX) / len(heights)
        outline = [QPointF(_MARGIN_PX, base)]
        outline += [QPointF(_MARGIN_PX + (k + 0.5) * step, base - (base - 4) * float(h)) for k, h in enumerate(heights)]
        outline.append(QPointF(self.width() - _MARGIN_PX, base))
        fill = QColor(MUTED)
        fill.setAlpha(150)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(fill)
        painter.drawPolygon(QPolygonF(outline))
