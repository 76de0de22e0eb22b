"""A histogram with the colours below it, and two handles for the levels."""

from __future__ import annotations

from enum import Enum, auto

import cv2
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPoint, QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QFont, QFontMetricsF, QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QWIDGETSIZE_MAX, QSizePolicy, QWidget

from app.gui.image_view.colour_maps import Table
from app.gui.image_view.levels.levels import HistogramScale, sampled
from app.gui.widgets.palette import colours

_BINS = 128
_ACROSS_PX = 40
_SHORTEST_PX = 50
_COLOURS_PX = 9
_UNIT_PX = 11
_GRIP_PX = 8  # a handle is caught within this distance
_MARGIN_PX = 6  # so that the handles of the outermost levels can be caught


class _Held(Enum):
    """What the mouse moves."""

    NOTHING = auto()
    LOW = auto()
    HIGH = auto()
    BOTH = auto()


class LevelHistogram(QWidget):
    """Shows how often each value occurs. Drag a handle to set a level, or the part between them to set both.

    It lies on its side, with low values at the left, or stands, with low values at the bottom.
    """

    dragged = pyqtSignal(float, float)
    double_clicked = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self._stands = False
        self.set_standing(on=False)
        self.setMouseTracking(True)
        self._colours = QImage()
        self._levels = (0.0, 1.0)
        self._domain = (0.0, 1.0)
        self._counts: NDArray[np.float64] = np.zeros(0)
        self._scale = HistogramScale.SQUARE_ROOT
        self._unit = ""
        self._held = _Held.NOTHING
        self._caught_at = 0.0

    def set_standing(self, *, on: bool) -> None:
        """Choose whether it stands or lies."""
        self._stands = on
        free, fixed = QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed
        self.setSizePolicy(*((fixed, free) if on else (free, fixed)))
        long, across = QWIDGETSIZE_MAX, _ACROSS_PX
        self.setMinimumSize(*((across, _SHORTEST_PX) if on else (_SHORTEST_PX, across)))
        self.setMaximumSize(*((across, long) if on else (long, across)))
        self.update()

    @property
    def _length(self) -> int:
        return self.height() if self._stands else self.width()

    def _along(self, position: QPointF) -> float:
        return self.height() - position.y() if self._stands else position.x()

    def position_of(self, value: float) -> QPoint:
        """Return where a value lies, in pixels of this widget."""
        along, across = round(self.x_of(value)), _ACROSS_PX // 2
        return QPoint(across, self.height() - along) if self._stands else QPoint(along, across)

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
        known = len(self._counts) > 0
        self._domain = (min(self._domain[0], levels[0]), max(self._domain[1], levels[1])) if known else levels
        self.update()

    def set_unit(self, unit: str) -> None:
        """Write the unit of the values into the corner."""
        self._unit = unit
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
            self._domain = self._levels
        else:
            if self._held is _Held.NOTHING:
                self._domain = self._wide_enough(float(finite.min()), float(finite.max()))
            low, high = self._domain
            upper = high + (high - low) * 1e-4  # the upper bound of calcHist is exclusive
            self._counts = cv2.calcHist([finite], [0], None, [_BINS], [low, upper]).ravel().astype(np.float64)
        self.update()

    def x_of(self, value: float) -> float:
        """Return how far a value lies from the end of low values, in pixels."""
        low, high = self._domain
        return _MARGIN_PX + (value - low) / (high - low) * (self._length - 2 * _MARGIN_PX)

    @property
    def unit_place(self) -> tuple[float, float] | None:
        """From where to where the unit is written, in pixels from the end of low values; None where it would meet a handle."""
        width = QFontMetricsF(self._unit_font).horizontalAdvance(self._unit)
        handles = [self.x_of(level) for level in self._levels]
        for right in (float(self._length - _MARGIN_PX - _GRIP_PX), *(x - _GRIP_PX for x in reversed(handles))):
            left = right - width
            if left >= _MARGIN_PX and not any(left - _GRIP_PX < x < right + _GRIP_PX for x in handles):
                return left, right
        return None

    @property
    def _unit_font(self) -> QFont:
        font = QFont(self.font())
        font.setPixelSize(_UNIT_PX)
        return font

    def _value_at(self, x: float) -> float:
        low, high = self._domain
        return low + (x - _MARGIN_PX) / max(1.0, self._length - 2.0 * _MARGIN_PX) * (high - low)

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
            along = self._along(event.position())
            self._held = self._under(along)
            self._caught_at = self._value_at(along)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Move the caught handle."""
        if event is None:
            return
        x = self._along(event.position())
        if self._held is _Held.NOTHING:
            both = self._under(x) is _Held.BOTH
            along = Qt.CursorShape.SizeVerCursor if self._stands else Qt.CursorShape.SizeHorCursor
            self.setCursor(Qt.CursorShape.SizeAllCursor if both else along)
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
        if self._stands:
            painter.translate(0, self.height())
            painter.rotate(-90)
        low, high = (self.x_of(level) for level in self._levels)
        top = _ACROSS_PX - _COLOURS_PX - 1
        self._draw_bars(painter, float(top - 3))
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        right = self._length - float(_MARGIN_PX)
        # Beyond a level, values have the colour of that level.
        if not self._colours.isNull():
            first, last = self._colours.pixelColor(0, 0), self._colours.pixelColor(self._colours.width() - 1, 0)
            painter.fillRect(QRectF(_MARGIN_PX, top, low - _MARGIN_PX, _COLOURS_PX), first)
            painter.fillRect(QRectF(high, top, right - high, _COLOURS_PX), last)
            painter.drawImage(QRectF(low, top, high - low, _COLOURS_PX), self._colours)
        painter.setPen(QColor(colours().line))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(QRectF(_MARGIN_PX - 0.5, top - 0.5, right - _MARGIN_PX + 1, _COLOURS_PX + 1))
        place = self.unit_place
        if place is not None:
            painter.setFont(self._unit_font)
            painter.setPen(QColor(colours().muted))
            painter.drawText(QRectF(place[0], 0, place[1] - place[0], top), Qt.AlignmentFlag.AlignTop, self._unit)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for x in (low, high):
            painter.setPen(QPen(QColor(colours().text), 1.5))
            painter.drawLine(QPointF(x, 5), QPointF(x, top + _COLOURS_PX))
            painter.setBrush(QColor(colours().text))
            painter.drawPolygon(QPolygonF([QPointF(x - 4, 0), QPointF(x + 4, 0), QPointF(x, 6)]))

    def _draw_bars(self, painter: QPainter, base: float) -> None:
        heights = self.heights
        if not len(heights):
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        step = (self._length - 2 * _MARGIN_PX) / len(heights)
        outline = [QPointF(_MARGIN_PX, base)]
        outline += [QPointF(_MARGIN_PX + (k + 0.5) * step, base - (base - 4) * float(h)) for k, h in enumerate(heights)]
        outline.append(QPointF(self._length - _MARGIN_PX, base))
        fill = QColor(colours().muted)
        fill.setAlpha(150)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(fill)
        painter.drawPolygon(QPolygonF(outline))
