"""The icons on buttons. They are drawn, not loaded, so that they share one line width, size and colour."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from functools import cache
from math import cos, pi, sin

from PyQt6.QtCore import QPointF, QRect, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QIcon, QIconEngine, QPainter, QPaintEvent, QPen, QPixmap, QPolygonF
from PyQt6.QtWidgets import QWidget

from app.gui.widgets.palette import colours

_SIZE = 20  # the icons are drawn on a square of this side


class Ink(Enum):
    """The colour of an icon, by its name in the palette."""

    TEXT = "text"
    MUTED = "muted"
    FAINT = "faint"
    GOOD = "good"
    WARNING = "warning"
    ALARM = "alarm"
    ACCENT = "accent"
    ON_FILL = "on_fill"


def _play(painter: QPainter) -> None:
    painter.setBrush(painter.pen().color())
    painter.drawPolygon(QPolygonF([QPointF(6, 4), QPointF(16, 10), QPointF(6, 16)]))


def _stop(painter: QPainter) -> None:
    painter.setBrush(painter.pen().color())
    painter.drawRect(QRectF(5, 5, 10, 10))


def _record(painter: QPainter) -> None:
    painter.setBrush(painter.pen().color())
    painter.drawEllipse(QPointF(10, 10), 5.5, 5.5)


def _snapshot(painter: QPainter) -> None:
    painter.drawRoundedRect(QRectF(2.5, 6, 15, 10.5), 2, 2)
    painter.drawEllipse(QPointF(10, 11), 3, 3)
    painter.drawPolyline(QPolygonF([QPointF(7, 6), QPointF(8, 3.5), QPointF(12, 3.5), QPointF(13, 6)]))


def _export(painter: QPainter) -> None:
    painter.drawPolyline(QPolygonF([QPointF(3, 12), QPointF(3, 16.5), QPointF(17, 16.5), QPointF(17, 12)]))
    painter.drawLine(QPointF(10, 12.5), QPointF(10, 3))
    painter.drawPolyline(QPolygonF([QPointF(6, 7), QPointF(10, 3), QPointF(14, 7)]))


def _fit(painter: QPainter) -> None:
    for x, y, dx, dy in ((3, 3, 1, 1), (17, 3, -1, 1), (3, 17, 1, -1), (17, 17, -1, -1)):
        painter.drawPolyline(QPolygonF([QPointF(x + 4 * dx, y), QPointF(x, y), QPointF(x, y + 4 * dy)]))


def _folder(painter: QPainter) -> None:
    corners = ((2.5, 16), (2.5, 4), (8, 4), (10, 6.5), (17.5, 6.5), (17.5, 16), (2.5, 16))
    painter.drawPolyline(QPolygonF([QPointF(x, y) for x, y in corners]))


def _live(painter: QPainter) -> None:
    painter.drawEllipse(QPointF(10, 10), 7, 7)
    painter.drawEllipse(QPointF(10, 10), 3, 3)
    painter.drawPoint(QPointF(10, 10))


def _build(painter: QPainter) -> None:
    painter.drawPolygon(QPolygonF([QPointF(10, 2.5), QPointF(17.5, 6), QPointF(10, 9.5), QPointF(2.5, 6)]))
    for y in (10, 14):
        painter.drawPolyline(QPolygonF([QPointF(2.5, y), QPointF(10, y + 3.5), QPointF(17.5, y)]))


def _enlarge(painter: QPainter) -> None:
    painter.drawRoundedRect(QRectF(3, 3, 14, 14), 2, 2)
    painter.drawPolyline(QPolygonF([QPointF(10, 6), QPointF(14, 6), QPointF(14, 10)]))
    painter.drawLine(QPointF(14, 6), QPointF(6, 14))


def _sliders(painter: QPainter) -> None:
    for y, x in ((5, 7), (10, 13), (15, 8)):
        painter.drawLine(QPointF(3, y), QPointF(17, y))
        painter.setBrush(painter.pen().color())
        painter.drawEllipse(QPointF(x, y), 1.8, 1.8)


def _calibrate(painter: QPainter) -> None:
    painter.drawArc(QRectF(2.5, 4, 15, 15), 0, 180 * 16)
    painter.drawLine(QPointF(10, 11.5), QPointF(13.5, 7))
    painter.drawPoint(QPointF(10, 11.5))
    for x, y in ((2.5, 15.5), (17.5, 15.5)):
        painter.drawLine(QPointF(x, 11.5), QPointF(x, y))


def _move(painter: QPainter) -> None:
    for dx, dy in ((0, -1), (0, 1), (-1, 0), (1, 0)):
        tip = QPointF(10 + 7 * dx, 10 + 7 * dy)
        painter.drawLine(QPointF(10, 10), tip)
        for side in (-1, 1):
            painter.drawLine(tip, QPointF(tip.x() - 2.5 * dx + 2.5 * side * dy, tip.y() - 2.5 * dy + 2.5 * side * dx))


def _point(painter: QPainter) -> None:
    painter.drawEllipse(QPointF(10, 10), 4, 4)
    for dx, dy in ((0, -1), (0, 1), (-1, 0), (1, 0)):
        painter.drawLine(QPointF(10 + 2 * dx, 10 + 2 * dy), QPointF(10 + 7.5 * dx, 10 + 7.5 * dy))


def _distance(painter: QPainter) -> None:
    painter.drawLine(QPointF(4, 16), QPointF(16, 4))
    for x, y in ((4, 16), (16, 4)):
        painter.drawLine(QPointF(x - 2, y - 2), QPointF(x + 2, y + 2))


def _profile(painter: QPainter) -> None:
    painter.drawPolyline(QPolygonF([QPointF(3, 3), QPointF(3, 17), QPointF(17, 17)]))
    corners = ((5.5, 13), (8, 12), (10, 5), (12, 9), (14, 7), (17, 12))
    painter.drawPolyline(QPolygonF([QPointF(x, y) for x, y in corners]))


def _rectangle(painter: QPainter) -> None:
    painter.drawRect(QRectF(3, 5, 14, 10))


def _ellipse(painter: QPainter) -> None:
    painter.drawEllipse(QPointF(10, 10), 7.5, 5.5)


def _camera_roi(painter: QPainter) -> None:
    painter.drawRoundedRect(QRectF(2.5, 3.5, 15, 13), 2, 2)
    painter.setBrush(painter.pen().color())
    painter.drawRect(QRectF(6.5, 7.5, 5, 4))


def _good(painter: QPainter) -> None:
    painter.drawEllipse(QPointF(10, 10), 7.5, 7.5)
    painter.drawPolyline(QPolygonF([QPointF(6.5, 10.5), QPointF(9, 13), QPointF(13.5, 7.5)]))


def _warning(painter: QPainter) -> None:
    painter.drawPolygon(QPolygonF([QPointF(10, 2.5), QPointF(18, 16.5), QPointF(2, 16.5)]))
    painter.drawLine(QPointF(10, 7.5), QPointF(10, 11.5))
    painter.drawPoint(QPointF(10, 14))


def _error(painter: QPainter) -> None:
    painter.drawEllipse(QPointF(10, 10), 7.5, 7.5)
    painter.drawLine(QPointF(7, 7), QPointF(13, 13))
    painter.drawLine(QPointF(13, 7), QPointF(7, 13))


def _info(painter: QPainter) -> None:
    painter.drawEllipse(QPointF(10, 10), 7.5, 7.5)
    painter.drawLine(QPointF(10, 9.5), QPointF(10, 14))
    painter.drawPoint(QPointF(10, 6.5))


def _wait(painter: QPainter) -> None:
    painter.drawEllipse(QPointF(10, 10), 7.5, 7.5)
    painter.drawPolyline(QPolygonF([QPointF(10, 5.5), QPointF(10, 10), QPointF(13, 12)]))


def _data(painter: QPainter) -> None:
    for y in (3.5, 11.5):
        painter.drawRoundedRect(QRectF(3, y, 14, 5), 1.2, 1.2)
        painter.drawPoint(QPointF(6, y + 2.5))


_STAR = QPolygonF(
    [
        QPointF(10 + radius * sin(pi * corner / 5), 10.6 - radius * cos(pi * corner / 5))
        for corner, radius in enumerate((8.0, 3.4) * 5)
    ]
)


def _star(painter: QPainter) -> None:
    painter.drawPolygon(_STAR)


def _starred(painter: QPainter) -> None:
    painter.setBrush(painter.pen().color())
    painter.drawPolygon(_STAR)


def _trash(painter: QPainter) -> None:
    painter.drawPolyline(QPolygonF([QPointF(4.5, 6), QPointF(5.5, 17), QPointF(14.5, 17), QPointF(15.5, 6)]))
    painter.drawLine(QPointF(3, 6), QPointF(17, 6))
    painter.drawPolyline(QPolygonF([QPointF(7.5, 6), QPointF(7.5, 3.5), QPointF(12.5, 3.5), QPointF(12.5, 6)]))
    for x in (8.3, 11.7):
        painter.drawLine(QPointF(x, 9), QPointF(x, 14))


def _copy(painter: QPainter) -> None:
    painter.drawRoundedRect(QRectF(3, 6.5, 10, 10.5), 1.5, 1.5)
    painter.drawPolyline(QPolygonF([QPointF(7, 3), QPointF(17, 3), QPointF(17, 13)]))


def _pencil(painter: QPainter) -> None:
    corners = ((4, 16), (5, 12), (13.5, 3.5), (16.5, 6.5), (8, 15), (4, 16))
    painter.drawPolyline(QPolygonF([QPointF(x, y) for x, y in corners]))


def _search(painter: QPainter) -> None:
    painter.drawEllipse(QPointF(8.5, 8.5), 5, 5)
    painter.drawLine(QPointF(12.3, 12.3), QPointF(17, 17))


def _back(painter: QPainter) -> None:
    painter.drawLine(QPointF(4, 10), QPointF(17, 10))
    painter.drawPolyline(QPolygonF([QPointF(9, 5), QPointF(4, 10), QPointF(9, 15)]))


def _pause(painter: QPainter) -> None:
    painter.setBrush(painter.pen().color())
    painter.drawRect(QRectF(5.5, 4.5, 3, 11))
    painter.drawRect(QRectF(11.5, 4.5, 3, 11))


def _triangle(painter: QPainter, tip_x: float, base_x: float) -> None:
    painter.setBrush(painter.pen().color())
    painter.drawPolygon(QPolygonF([QPointF(base_x, 5), QPointF(tip_x, 10), QPointF(base_x, 15)]))


def _next_frame(painter: QPainter) -> None:
    _triangle(painter, 15, 8)
    painter.drawLine(QPointF(4.5, 5), QPointF(4.5, 15))


def _previous_frame(painter: QPainter) -> None:
    _triangle(painter, 5, 12)
    painter.drawLine(QPointF(15.5, 5), QPointF(15.5, 15))


def _last_frame(painter: QPainter) -> None:
    _triangle(painter, 12, 5)
    painter.drawLine(QPointF(15.5, 5), QPointF(15.5, 15))


def _first_frame(painter: QPainter) -> None:
    _triangle(painter, 8, 15)
    painter.drawLine(QPointF(4.5, 5), QPointF(4.5, 15))


def _flag(painter: QPainter, x: float) -> None:
    painter.setBrush(painter.pen().color())
    painter.drawPolygon(QPolygonF([QPointF(x - 3.5, 3.5), QPointF(x + 3.5, 3.5), QPointF(x, 8.5)]))
    painter.drawLine(QPointF(x, 8), QPointF(x, 16.5))


def _next_marker(painter: QPainter) -> None:
    _flag(painter, 14.5)
    painter.drawPolyline(QPolygonF([QPointF(4, 8), QPointF(7.5, 12), QPointF(4, 16)]))


def _previous_marker(painter: QPainter) -> None:
    _flag(painter, 5.5)
    painter.drawPolyline(QPolygonF([QPointF(16, 8), QPointF(12.5, 12), QPointF(16, 16)]))


def _compare(painter: QPainter) -> None:
    painter.drawRoundedRect(QRectF(2.5, 4, 6.5, 12), 1.5, 1.5)
    painter.drawRoundedRect(QRectF(11, 4, 6.5, 12), 1.5, 1.5)


def _rig(painter: QPainter) -> None:
    painter.drawEllipse(QPointF(10, 10), 4.6, 4.6)
    painter.drawEllipse(QPointF(10, 10), 1.4, 1.4)
    for part in range(8):
        turn = part * math.pi / 4
        inner, outer = (QPointF(10 + r * math.cos(turn), 10 + r * math.sin(turn)) for r in (4.6, 7.6))
        painter.drawLine(inner, outer)


def _train(painter: QPainter) -> None:
    painter.drawPolyline(QPolygonF([QPointF(3, 3), QPointF(3, 17), QPointF(17, 17)]))
    corners = ((5, 4), (6.5, 9), (9, 12), (12.5, 13.5), (17, 14))
    painter.drawPolyline(QPolygonF([QPointF(x, y) for x, y in corners]))


_DRAW: dict[str, Callable[[QPainter], None]] = {
    "play": _play, "stop": _stop, "record": _record, "snapshot": _snapshot, "export": _export, "fit": _fit,
    "folder": _folder, "build": _build, "live": _live, "calibrate": _calibrate, "enlarge": _enlarge, "sliders": _sliders,
    "move": _move, "point": _point, "distance": _distance, "profile": _profile, "rectangle": _rectangle, "ellipse": _ellipse,
    "camera roi": _camera_roi, "rig": _rig, "good": _good, "warning": _warning, "error": _error, "info": _info, "wait": _wait,
    "train": _train, "data": _data, "star": _star, "starred": _starred, "trash": _trash, "copy": _copy, "pencil": _pencil,
    "search": _search, "back": _back,
    "pause": _pause, "next frame": _next_frame, "previous frame": _previous_frame, "last frame": _last_frame,
    "first frame": _first_frame, "next marker": _next_marker, "previous marker": _previous_marker, "compare": _compare,
}  # fmt: skip


class _Engine(QIconEngine):
    """Draws an icon at any size, in the colours of the present theme."""

    def __init__(self, name: str, ink: Ink) -> None:
        super().__init__()
        self._name = name
        self._ink = ink

    def clone(self) -> QIconEngine:
        """Return a copy, for Qt."""
        return _Engine(self._name, self._ink)

    def paint(self, painter: QPainter | None, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        """Draw the icon into a square in the middle of ``rect``."""
        assert painter is not None
        side = min(rect.width(), rect.height())
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.translate(rect.x() + (rect.width() - side) / 2, rect.y() + (rect.height() - side) / 2)
        painter.scale(side / _SIZE, side / _SIZE)
        ink = Ink.FAINT if mode is QIcon.Mode.Disabled else self._ink
        pen = QPen(QColor(getattr(colours(), ink.value)), 1.6)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        painter.setPen(pen)
        _DRAW[self._name](painter)
        painter.restore()

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        """Return the icon as a picture of its own."""
        pixmap = QPixmap(size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        self.paint(painter, QRect(0, 0, size.width(), size.height()), mode, state)
        painter.end()
        return pixmap


@cache
def icon(name: str, ink: Ink = Ink.TEXT) -> QIcon:
    """Return the icon called ``name``, one of the keys of ``_DRAW``, such as "play" or "folder"."""
    return QIcon(_Engine(name, ink))


class IconLabel(QWidget):
    """An icon beside a text."""

    def __init__(self, size_px: int = 18) -> None:
        super().__init__()
        self._shown: tuple[str, Ink] | None = None
        self.setFixedSize(size_px, size_px)

    @property
    def shown(self) -> tuple[str, Ink] | None:
        """The icon and its colour, if there is one."""
        return self._shown

    def show_icon(self, name: str, ink: Ink = Ink.TEXT) -> None:
        """Show an icon; an empty name shows none."""
        shown = (name, ink) if name else None
        if shown != self._shown:
            self._shown = shown
            self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the icon."""
        if self._shown is not None:
            icon(*self._shown).paint(QPainter(self), self.rect())
