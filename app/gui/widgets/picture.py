"""A grey picture that is shown as a whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QImage, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from app.gui.widgets.palette import PICTURE


class Picture(QWidget):
    """A grey image, whole and with its own aspect ratio; a text while there is no image.

    Parameters
    ----------
    placeholder : str
        The text while there is no image.
    """

    def __init__(self, placeholder: str) -> None:
        super().__init__()
        self._placeholder = placeholder
        self._image: QImage | None = None
        self._pixels: bytes = b""
        self.setMinimumHeight(150)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def show_grey(self, grey: NDArray[np.uint8] | None) -> None:
        """Show an image (H, W), or the text when it is None."""
        if grey is None:
            self._image = None
        else:
            height, width = grey.shape
            self._pixels = np.ascontiguousarray(grey).tobytes()
            self._image = QImage(self._pixels, width, height, width, QImage.Format.Format_Grayscale8)
        self.update()

    @property
    def is_empty(self) -> bool:
        """Whether there is no image."""
        return self._image is None

    def sizeHint(self) -> QSize:
        """Return a small size; the layout may enlarge it."""
        return QSize(320, 220)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the image or the text."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(PICTURE.background))
        if self._image is None:
            painter.setPen(QColor(PICTURE.muted))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._placeholder)
            return
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        size = self._image.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        place = QRectF((self.width() - size.width()) / 2, (self.height() - size.height()) / 2, size.width(), size.height())
        painter.drawImage(place, self._image)
        painter.setPen(QColor(PICTURE.line))
        painter.drawRect(place)
