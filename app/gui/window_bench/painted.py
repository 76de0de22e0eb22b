"""What a pane has really painted: the number of the frame is read from the pixels of the screen, after every painting."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QObject, QPoint, QPointF, QRect, QTimer, pyqtSignal
from PyQt6.QtGui import QImage
from PyQt6.sip import voidptr

from app.benchmarks.live.counter_code import bit_centres, read_number
from app.gui.image_view.pane import Pane

_MARGIN_PX = 2


@dataclass(frozen=True)
class Painting:
    """The number that was on the screen after a painting, and when, by :func:`time.monotonic`."""

    number: int
    at_s: float


class PaintedNumbers(QObject):
    """Reads the number in the speckle pane after every painting.

    Parameters
    ----------
    pane : Pane
        The pane with the camera's frames.

    Attributes
    ----------
    reads : bool
        Whether it reads now. A copy of the screen takes some milliseconds, in which the window paints nothing.
    """

    #: A Painting of a number that was not on the screen before.
    painted = pyqtSignal(object)

    def __init__(self, pane: Pane) -> None:
        super().__init__()
        self.paintings: list[Painting] = []
        self.unreadable = 0
        self.reads = True
        self._pane = pane
        self._pending = False
        pane.canvas.viewport.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """After a painting, look at the screen as soon as the picture is there."""
        if event is not None and event.type() is QEvent.Type.Paint and self.reads and not self._pending:
            self._pending = True
            QTimer.singleShot(0, self._look)
        return super().eventFilter(watched, event)

    def _look(self) -> None:
        self._pending = False
        number = self._number()
        if number is None:
            self.unreadable += 1
        elif not self.paintings or number != self.paintings[-1].number:
            painting = Painting(number, time.monotonic())
            self.paintings.append(painting)
            self.painted.emit(painting)

    def _number(self) -> int | None:
        canvas = self._pane.canvas
        if canvas.grid is None:
            return None
        places = [
            canvas.viewport.mapToGlobal(canvas.graphics.mapFromScene(canvas.image_item.mapToScene(QPointF(x, y))))
            for x, y in bit_centres().reshape(-1, 2)
        ]
        image = self._screen(QRect(places[0], places[-1]).adjusted(-_MARGIN_PX, -_MARGIN_PX, _MARGIN_PX, _MARGIN_PX))
        if image is None:
            return None
        brightness, corner = image
        at = np.array([[place.y() - corner.y(), place.x() - corner.x()] for place in places])
        if (at < 0).any() or (at >= brightness.shape).any():
            return None
        rows, columns, _ = bit_centres().shape
        return read_number(brightness[at[:, 0], at[:, 1]].reshape(rows, columns))

    def _screen(self, area: QRect) -> tuple[NDArray[np.float32], QPoint] | None:
        """Return the brightness of a part of the screen, 0 to 1, and its upper left corner."""
        screen = self._pane.screen()
        if screen is None:
            return None
        picture = screen.grabWindow(voidptr(0), area.x(), area.y(), area.width(), area.height())
        image = picture.toImage().convertToFormat(QImage.Format.Format_Grayscale8)
        bits = image.constBits()
        if bits is None or image.isNull():
            return None
        rows = np.frombuffer(bits.asstring(image.sizeInBytes()), np.uint8).reshape(image.height(), image.bytesPerLine())
        return rows[:, : image.width()].astype(np.float32) / np.float32(255), area.topLeft()
