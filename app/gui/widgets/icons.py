"""The icons on buttons. They are drawn, not loaded, so that they share one line width, size and colour."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QIcon, QPainter, QPen, QPixmap, QPolygonF

from app.gui.widgets.style import FAINT, TEXT

_SIZE = 20
_SCALE = 3  # drawn larger than shown, for screens with many pixels per inch


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


def _enlarge(painter: QPainter) -> None:
    painter.drawRoundedRect(QRectF(3, 3, 14, 14), 2, 2)
    painter.drawPolyline(QPolygonF([QPointF(10, 6), QPointF(14, 6), QPointF(14, 10)]))
    painter.drawLine(QPointF(14, 6), QPointF(6, 14))


def _sliders(painter: QPainter) -> None:
    for y, x in ((5, 7), (10, 13), (15, 8)):
        painter.drawLine(QPointF(3, y), QPointF(17, y))
        painter.setBrush(painter.pen().color())
        painter.drawEllipse(QPointF(x, y), 1.8, 1.8)


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


_DRAW: dict[str, Callable[[QPainter], None]] = {
    "play": _play, "stop": _stop, "record": _record, "snapshot": _snapshot, "export": _export, "fit": _fit,
    "folder": _folder, "live": _live, "enlarge": _enlarge, "sliders": _sliders,
    "move": _move, "point": _point, "distance": _distance, "profile": _profile, "rectangle": _rectangle, "ellipse": _ellipse,
    "camera roi": _camera_roi,
}  # fmt: skip


def _pixmap(name: str, colour: str) -> QPixmap:
    pixmap = QPixmap(_SIZE * _SCALE, _SIZE * _SCALE)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.scale(_SCALE, _SCALE)
    pen = QPen(QColor(colour), 1.6)
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    _DRAW[name](painter)
    painter.end()
    return pixmap


@cache
def icon(name: str, colour: str = TEXT) -> QIcon:
    """Return the icon called ``name``, one of the keys of ``_DRAW``, such as "play" or "folder"."""
    result = QIcon(_pixmap(name, colour))
    result.addPixmap(_pixmap(name, FAINT), QIcon.Mode.Disabled)
    return result
