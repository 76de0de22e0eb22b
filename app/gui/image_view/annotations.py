"""Text and lines on a picture: scale bar, value under the mouse, notes, cross-hair, grid; a message where there is none."""

from __future__ import annotations

from PyQt6.QtCore import QLineF, QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QWidget

from app.gui.widgets.formatting import round_length
from app.gui.widgets.palette import PICTURE

_MARGIN_PX = 12.0
_MAX_BAR = 0.28  # of the width of the picture
_STAMP_PX = 22
_TEXT_PX = 12
_BAR_PX = 34
_SHADE = QColor(0, 0, 0, 165)


class Annotations(QWidget):
    """A transparent layer over a picture; the mouse acts on the picture below it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._um_per_px = 0.0
        self._picture = QRectF()
        self._readout = ""
        self._message = ""
        self._stamp = ""
        self._notes: tuple[str, ...] = ()
        self._cross_hair: list[QLineF] = []
        self._grid: list[QLineF] = []
        self._texts: tuple[tuple[QPointF, str, str], ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """What is written on the picture."""
        return tuple(text for _, text, _ in self._texts)

    @property
    def message(self) -> str:
        """The message in the middle."""
        return self._message

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines at the lower left: what was done to the picture, and what of it cannot be seen."""
        return self._notes

    @property
    def lines(self) -> tuple[list[QLineF], list[QLineF]]:
        """The lines of the cross-hair and those of the grid, in screen pixels of this widget."""
        return list(self._cross_hair), list(self._grid)

    @property
    def stamp(self) -> str:
        """What is wrong with the frame; empty if nothing is."""
        return self._stamp

    @property
    def readout(self) -> str:
        """The text for the value under the mouse."""
        return self._readout

    @property
    def scale_bar(self) -> tuple[float, str]:
        """Length in screen pixels and text of the scale bar; (0, "") while there is no picture."""
        longest_um = self._um_per_px * self._picture.width() * _MAX_BAR
        if longest_um <= 0:
            return 0.0, ""
        length_um = round_length(longest_um)
        return length_um / self._um_per_px, f"{length_um:g} \N{MICRO SIGN}m"

    @property
    def picture(self) -> QRectF:
        """The visible part of the picture, in screen pixels of this widget."""
        return QRectF(self._picture)

    def set_geometry(self, um_per_px: float, picture: QRectF) -> None:
        """Set the scale in micrometres per screen pixel, and the place of the picture in screen pixels of this widget."""
        self._um_per_px = um_per_px
        self._picture = picture.intersected(QRectF(self.rect()))
        self.update()

    def set_readout(self, text: str) -> None:
        """Show the value under the mouse; an empty text removes it."""
        if text != self._readout:
            self._readout = text
            self.update()

    def set_stamp(self, text: str) -> None:
        """Stamp the picture with what is wrong with its frame; an empty text removes it."""
        if text != self._stamp:
            self._stamp = text
            self.update()

    def set_message(self, text: str) -> None:
        """Show a message in the middle; an empty text removes it."""
        if text != self._message:
            self._message = text
            self.update()

    def set_notes(self, *notes: str) -> None:
        """Show lines at the lower left; empty ones are skipped."""
        shown = tuple(note for note in notes if note)
        if shown != self._notes:
            self._notes = shown
            self.update()

    def set_texts(self, texts: tuple[tuple[QPointF, str, str], ...]) -> None:
        """Write short texts, each with its middle in screen pixels of this widget, and its colour."""
        if texts or self._texts:
            self._texts = texts
            self.update()

    def set_lines(self, cross_hair: list[QLineF], grid: list[QLineF]) -> None:
        """Draw the lines of a cross-hair and of a grid, in screen pixels of this widget."""
        if cross_hair != self._cross_hair or grid != self._grid:
            self._cross_hair = cross_hair
            self._grid = grid
            self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the texts and the scale bar."""
        painter = QPainter(self)
        font = QFont(self.font())
        font.setPixelSize(14)
        painter.setFont(font)
        metrics = QFontMetricsF(font)
        if self._message:
            painter.setPen(QColor(PICTURE.muted))
            room = QRectF(self.rect()).adjusted(_MARGIN_PX, 0, -_MARGIN_PX, 0)
            painter.drawText(room, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._message)
            return
        self._draw_lines(painter)
        self._draw_texts(painter)
        painter.setFont(font)
        self._draw_notes(painter, metrics)
        if self._readout:
            width = metrics.horizontalAdvance(self._readout) + 16
            corner = self._picture.topLeft() + QPointF(_MARGIN_PX, _MARGIN_PX)
            left = max(0.0, min(corner.x(), self.width() - width))
            self._plate(painter, QRectF(left, corner.y(), width, 26), self._readout)
        if self._stamp:
            self._draw_stamp(painter, font)
        length_px, text = self.scale_bar
        if length_px:
            self._draw_scale_bar(painter, metrics, length_px, text)

    def _draw_lines(self, painter: QPainter) -> None:
        # A dark line below a light one is seen on any picture.
        faint = QColor(PICTURE.text)
        faint.setAlpha(90)
        shade = QColor(0, 0, 0, 60)
        for lines, pens in (
            (self._grid, (QPen(shade, 2), QPen(faint, 1))),
            (self._cross_hair, (QPen(_SHADE, 3), QPen(QColor(PICTURE.accent), 1))),
        ):
            for pen in pens:
                painter.setPen(pen)
                for line in lines:
                    painter.drawLine(line)

    def _draw_texts(self, painter: QPainter) -> None:
        font = QFont(self.font())
        font.setPixelSize(_TEXT_PX)
        font.setBold(True)
        painter.setFont(font)
        room = self._picture
        for place, text, colour in self._texts:
            if room.contains(place):
                box = QRectF(place.x() - 2 * _TEXT_PX, place.y() - _TEXT_PX, 4 * _TEXT_PX, 2 * _TEXT_PX)
                painter.setPen(QColor(PICTURE.background))  # a dark copy below it is seen on any picture
                for dx, dy in ((1, 1), (-1, 1), (1, -1), (-1, -1)):
                    painter.drawText(box.translated(dx, dy), Qt.AlignmentFlag.AlignCenter, text)
                painter.setPen(QColor(colour))
                painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    def _draw_notes(self, painter: QPainter, metrics: QFontMetricsF) -> None:
        bottom = self._picture.bottom() - _MARGIN_PX
        longest = max(0.0, self._picture.width() - 2 * _MARGIN_PX - 16)
        beside_bar = longest * (1 - _MAX_BAR) - _MARGIN_PX - 16
        if any(metrics.horizontalAdvance(note) > beside_bar for note in self._notes):
            bottom -= _BAR_PX + 2
        for note in reversed(self._notes):
            text = metrics.elidedText(note, Qt.TextElideMode.ElideRight, longest)
            bottom -= 26
            self._plate(
                painter, QRectF(self._picture.left() + _MARGIN_PX, bottom, metrics.horizontalAdvance(text) + 16, 24), text
            )

    def _draw_stamp(self, painter: QPainter, font: QFont) -> None:
        large = QFont(font)
        large.setPixelSize(_STAMP_PX)
        large.setBold(True)
        painter.setFont(large)
        # Below the value under the mouse, and never wider than the picture.
        text = QFontMetricsF(large).elidedText(
            self._stamp, Qt.TextElideMode.ElideRight, max(0.0, self._picture.width() - 2 * _MARGIN_PX - 24)
        )
        width = QFontMetricsF(large).horizontalAdvance(text) + 24
        top = self._picture.top() + _MARGIN_PX + 32
        self._plate(painter, QRectF(self._picture.center().x() - width / 2, top, width, 38), text, PICTURE.alarm)
        painter.setFont(font)

    def _draw_scale_bar(self, painter: QPainter, metrics: QFontMetricsF, length_px: float, text: str) -> None:
        width = max(length_px, metrics.horizontalAdvance(text)) + 16
        corner = self._picture.bottomRight() - QPointF(_MARGIN_PX + width, _MARGIN_PX + _BAR_PX)
        plate = QRectF(corner.x(), corner.y(), width, _BAR_PX)
        self._plate(painter, plate, "")
        painter.setPen(QColor(PICTURE.text))
        painter.drawText(plate.adjusted(0, 2, 0, -11), Qt.AlignmentFlag.AlignCenter, text)
        pen = QPen(QColor(PICTURE.text), 3)
        pen.setCapStyle(Qt.PenCapStyle.FlatCap)
        painter.setPen(pen)
        y = round(plate.bottom()) - 7.5
        x = round(plate.center().x() - length_px / 2)
        painter.drawLine(QPointF(x, y), QPointF(x + length_px, y))

    @staticmethod
    def _plate(painter: QPainter, rect: QRectF, text: str, colour: str = PICTURE.text) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(_SHADE)
        painter.drawRoundedRect(rect, 4, 4)
        painter.setPen(QColor(colour))
        painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, text)
