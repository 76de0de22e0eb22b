"""The first patterns of a plan, side by side, as the SLM will show them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QFontMetrics, QImage, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from app.datasets.plan_preview import PatternPicture
from app.gui.widgets.palette import PICTURE

_GAP_PX = 8


class PatternGrid(QWidget):
    """Pictures of patterns with their numbers and names; a text while there are none."""

    def __init__(self) -> None:
        super().__init__()
        self._text = ""
        self._pictures: tuple[PatternPicture, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(240, 120)
        self.setAccessibleName("First patterns")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the patterns that are shown."""
        return tuple(picture.name for picture in self._pictures)

    def show_pictures(self, pictures: Sequence[PatternPicture], text: str = "") -> None:
        """Show pictures, or a text where there are none."""
        self._pictures = tuple(pictures)
        self._text = text
        self.setToolTip("\n".join(f"shot {picture.shot}: {picture.name}" for picture in self._pictures))
        self.update()

    def sizeHint(self) -> QSize:
        """Return a size for two rows; the layout may enlarge it."""
        return QSize(560, 240)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the pictures in the grid that gives them the most room."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(PICTURE.background))
        painter.setPen(QColor(PICTURE.muted))
        if not self._pictures:
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._text)
            return
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        height, width = self._pictures[0].grey.shape
        line_px = self.fontMetrics().lineSpacing()
        columns, factor = _columns(len(self._pictures), (width, height), (self.width(), self.height()), line_px)
        cell = (factor * width + _GAP_PX, factor * height + line_px + _GAP_PX)
        left = (self.width() - columns * cell[0] + _GAP_PX) / 2
        for place, picture in enumerate(self._pictures):
            corner = (left + place % columns * cell[0], _GAP_PX / 2 + place // columns * cell[1])
            self._draw(painter, picture, QRectF(*corner, factor * width, factor * height))

    def _draw(self, painter: QPainter, picture: PatternPicture, place: QRectF) -> None:
        height, width = picture.grey.shape
        painter.drawImage(place, QImage(picture.grey.tobytes(), width, height, width, QImage.Format.Format_Grayscale8))
        painter.setPen(QColor(PICTURE.line))
        painter.drawRect(place)
        painter.setPen(QColor(PICTURE.muted))
        name = QFontMetrics(self.font()).elidedText(picture.name, Qt.TextElideMode.ElideMiddle, round(place.width()))
        below = QRectF(place.left(), place.bottom(), place.width(), self.fontMetrics().lineSpacing())
        painter.drawText(below, Qt.AlignmentFlag.AlignCenter, name)


def _columns(count: int, picture: tuple[int, int], room: tuple[int, int], line_px: int) -> tuple[int, float]:
    """Return how many columns give the pictures (width, height) the most room, and their scale then."""
    best = (1, 0.05)
    for columns in range(1, count + 1):
        rows = math.ceil(count / columns)
        wide = (room[0] / columns - _GAP_PX) / picture[0]
        high = (room[1] / rows - _GAP_PX - line_px) / picture[1]
        if min(wide, high) > best[1]:
            best = (columns, min(wide, high))
    return best
