"""What is written on a picture: scale bar, the value under the mouse, and a line while there is no picture."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QWidget

from app.gui.widgets.formatting import round_length
from app.gui.widgets.style import MUTED, TEXT

_MARGIN_PX = 12.0
_LONGEST = 0.28  # of the picture's width
_SHADE = QColor(0, 0, 0, 165)


class Annotations(QWidget):
    """A transparent sheet over a picture. The mouse does not see it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._um_per_px = 0.0
        self._picture = QRectF()
        self._readout = ""
        self._message = ""

    @property
    def readout(self) -> str:
        """The value under the mouse, as written."""
        return self._readout

    @property
    def scale_bar(self) -> tuple[float, str]:
        """Length in screen pixels and words of the scale bar; (0, "") while there is nothing to measure."""
        longest_um = self._um_per_px * self._picture.width() * _LONGEST
        if longest_um <= 0:
            return 0.0, ""
        length_um = round_length(longest_um)
        return length_um / self._um_per_px, f"{length_um:g} \N{MICRO SIGN}m"

    def set_geometry(self, um_per_px: float, picture: QRectF) -> None:
        """Tell the scale and where the picture lies, in screen pixels of this widget."""
        self._um_per_px, self._picture = um_per_px, picture.intersected(QRectF(self.rect()))
        self.update()

    def set_readout(self, text: str) -> None:
        """Write the value under the mouse; empty to remove it."""
        if text != self._readout:
            self._readout = text
            self.update()

    def set_message(self, text: str) -> None:
        """Write a line in the middle; empty to remove it."""
        if text != self._message:
            self._message = text
            self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw what is to be said."""
        painter = QPainter(self)
        font = QFont(self.font())
        font.setPixelSize(14)
        painter.setFont(font)
        metrics = QFontMetricsF(font)
        if self._message:
            painter.setPen(QColor(MUTED))
            painter.drawText(QRectF(self.rect()), Qt.AlignmentFlag.AlignCenter, self._message)
            return
        if self._readout:
            width = metrics.horizontalAdvance(self._readout)
            corner = self._picture.topLeft() + QPointF(_MARGIN_PX, _MARGIN_PX)
            self._plate(painter, QRectF(corner.x(), corner.y(), width + 16, 26), self._readout)
        length_px, words = self.scale_bar
        if length_px:
            self._draw_scale_bar(painter, metrics, length_px, words)

    def _draw_scale_bar(self, painter: QPainter, metrics: QFontMetricsF, length_px: float, words: str) -> None:
        width = max(length_px, metrics.horizontalAdvance(words)) + 16
        corner = self._picture.bottomRight() - QPointF(_MARGIN_PX + width, _MARGIN_PX + 34)
        plate = QRectF(corner.x(), corner.y(), width, 34)
        self._plate(painter, plate, "")
        painter.setPen(QColor(TEXT))
        painter.drawText(plate.adjusted(0, 2, 0, -11), Qt.AlignmentFlag.AlignCenter, words)
        pen = QPen(QColor(TEXT), 3)
        pen.setCapStyle(Qt.PenCapStyle.FlatCap)
        painter.setPen(pen)
        y = round(plate.bottom()) - 7.5
        x = round(plate.center().x() - length_px / 2)
        painter.drawLine(QPointF(x, y), QPointF(x + length_px, y))

    @staticmethod
    def _plate(painter: QPainter, rect: QRectF, text: str) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(_SHADE)
        painter.drawRoundedRect(rect, 4, 4)
        painter.setPen(QColor(TEXT))
        painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, text)
