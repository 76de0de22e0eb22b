"""A contact sheet at its own size, with scroll bars where its place is smaller."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QImage, QPixmap
from PyQt6.QtWidgets import QFrame, QLabel, QScrollArea

_LEAST_PX = 110


class SheetPicture(QScrollArea):
    """A grey picture that is never made smaller, so that its thumbnails stay readable."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._picture = QLabel()
        self._picture.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.setWidget(self._picture)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setMinimumHeight(_LEAST_PX)
        self.setAccessibleName(name)
        self.show_grey(None)

    @property
    def is_empty(self) -> bool:
        """Whether there is no picture."""
        return self._picture.pixmap().isNull()

    def show_grey(self, grey: NDArray[np.uint8] | None) -> None:
        """Show a picture (H, W); None shows nothing."""
        self.setVisible(grey is not None)
        if grey is None:
            self._picture.setPixmap(QPixmap())
            return
        height, width = grey.shape
        image = QImage(np.ascontiguousarray(grey).tobytes(), width, height, width, QImage.Format.Format_Grayscale8)
        self._picture.setPixmap(QPixmap.fromImage(image))
