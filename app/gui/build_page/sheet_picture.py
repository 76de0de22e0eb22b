"""A contact sheet as wide as its place, or at its own size where that is smaller; it is scrolled where it is higher."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QImage, QPixmap, QResizeEvent
from PyQt6.QtWidgets import QFrame, QLabel, QScrollArea

_LEAST_PX = 110


class SheetPicture(QScrollArea):
    """A grey picture of small views.

    Parameters
    ----------
    name : str
        What it shows, for people who cannot see it.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._whole = QPixmap()
        self._picture = QLabel()
        self._picture.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.setWidget(self._picture)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumHeight(_LEAST_PX)
        self.setAccessibleName(name)
        self.show_grey(None)

    @property
    def is_empty(self) -> bool:
        """Whether there is no picture."""
        return self._whole.isNull()

    def show_grey(self, grey: NDArray[np.uint8] | None) -> None:
        """Show a picture (H, W); None shows nothing."""
        self.setVisible(grey is not None)
        self._whole = QPixmap()
        if grey is not None:
            height, width = grey.shape
            image = QImage(np.ascontiguousarray(grey).tobytes(), width, height, width, QImage.Format.Format_Grayscale8)
            self._whole = QPixmap.fromImage(image)
        self._fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Fit the picture to the new width."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        viewport = self.viewport()
        assert viewport is not None
        too_wide = self._whole.width() > viewport.width() > 0
        smooth = Qt.TransformationMode.SmoothTransformation
        self._picture.setPixmap(self._whole.scaledToWidth(viewport.width(), smooth) if too_wide else self._whole)
