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


_DRAW: dict[str, Callable[[QPainter], None]] = {
    "play": _play, "stop": _stop, "record": _record, "snapshot": _snapshot, "export": _export, "fit": _fit,
    "folder": _folder,
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
    """Return the icon called ``name`` ("play", "stop", "record", "snapshot", "export", "fit", "folder")."""
    result = QIcon(_pixmap(name, colour))
    result.addPixmap(_pixmap(name, FAINT), QIcon.Mode.Disabled)
    return result
