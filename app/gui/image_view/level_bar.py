"""The bar below a picture: its lower and upper level, the colours between them, and a histogram."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPolygonF, QWheelEvent
from PyQt6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from app.gui.image_view.colormaps import Table
from app.gui.widgets.style import LINE, MUTED

_BINS = 64
_SAMPLED_PX = 512
_HISTOGRAM_PX = 15
_GAP_PX = 2


class _LevelBox(QDoubleSpinBox):
    """A number that is typed. The mouse wheel does not change it, so that no level changes by accident."""

    def __init__(self, decimals: int) -> None:
        super().__init__()
        self.setObjectName("level")
        self.setDecimals(decimals)
        self.setRange(-99.0 if decimals else 0.0, 99.0 if decimals else 65535.0)
        self.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setKeyboardTracking(False)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setFixedWidth(58)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is not None:
            event.ignore()


class _Gradient(QWidget):
    double_clicked = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumWidth(60)
        self.setFixedHeight(28)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._image = QImage()
        self._heights: NDArray[np.float64] = np.zeros(0)

    def set_table(self, table: Table) -> None:
        row = np.ascontiguousarray(table[None])
        self._image = QImage(row.tobytes(), len(table), 1, 3 * len(table), QImage.Format.Format_RGB888).copy()
        self.update()

    def set_heights(self, heights: NDArray[np.float64]) -> None:
        self._heights = heights
        self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        self.double_clicked.emit()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        top = _HISTOGRAM_PX + _GAP_PX
        painter.drawImage(QRectF(0, top, self.width(), self.height() - top), self._image)
        painter.setPen(QColor(LINE))
        painter.drawRect(QRectF(0.5, top + 0.5, self.width() - 1, self.height() - top - 1))
        if len(self._heights):
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            step = self.width() / len(self._heights)
            outline = [QPointF(0, _HISTOGRAM_PX)]
            for k, height in enumerate(self._heights):
                outline.append(QPointF((k + 0.5) * step, _HISTOGRAM_PX * (1 - float(height))))
            outline.append(QPointF(self.width(), _HISTOGRAM_PX))
            painter.setPen(Qt.PenStyle.NoPen)
            fill = QColor(MUTED)
            fill.setAlpha(150)
            painter.setBrush(fill)
            painter.drawPolygon(QPolygonF(outline))


class LevelBar(QWidget):
    """Two levels, the colours between them, and a histogram of the values.

    Parameters
    ----------
    levels : tuple of float
        Initial lower and upper level; a double click on the colours restores them.
    unit : str
        Unit of the levels.
    decimals : int
        Digits after the point.
    table : callable
        Returns the colour table for a pair of levels.
    editable : bool
        False when the levels are set by another pane.
    """

    changed = pyqtSignal(float, float)
    auto_requested = pyqtSignal()

    def __init__(
        self,
        levels: tuple[float, float],
        unit: str,
        decimals: int,
        table: Callable[[float, float], Table],
        *,
        editable: bool = True,
    ) -> None:
        super().__init__()
        self.setFixedHeight(30)
        self._default = levels
        self._levels = levels
        self._table = table
        self._low = _LevelBox(decimals)
        self._high = _LevelBox(decimals)
        self._gradient = _Gradient()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        unit_label = QLabel(unit)
        unit_label.setObjectName("muted")
        for widget in (self._low, self._gradient, self._high, unit_label):
            layout.addWidget(widget, 1 if widget is self._gradient else 0)
        for box, which in ((self._low, "Lower"), (self._high, "Upper")):
            box.setEnabled(editable)
            box.setAccessibleName(f"{which} level, {unit}")
            box.setToolTip(f"{which} display level in {unit}")
            box.editingFinished.connect(self._edited)
        if editable:
            auto = QPushButton("Auto")
            auto.setObjectName("flat")
            auto.setFixedSize(44, 24)
            auto.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            auto.setToolTip("Set the levels from this picture, once; they stay until you change them")
            auto.clicked.connect(self.auto_requested)
            layout.addWidget(auto)
            self._gradient.setToolTip("Double-click to restore the default levels")
            self._gradient.double_clicked.connect(lambda: self.set_levels(*self._default))
        self._show()

    @property
    def boxes(self) -> tuple[QDoubleSpinBox, QDoubleSpinBox]:
        """The fields of the lower and of the upper level."""
        return self._low, self._high

    @property
    def levels(self) -> tuple[float, float]:
        """The present levels, in the unit of the bar."""
        return self._levels

    @property
    def table(self) -> Table:
        """The colours between the levels."""
        return self._table(*self._levels)

    def set_levels(self, low: float, high: float) -> None:
        """Set both levels. When they are not ascending, the present levels stay."""
        changes = low < high and (low, high) != self._levels
        if changes:
            self._levels = (low, high)
        self._show()
        if changes:
            self.changed.emit(low, high)

    def show_histogram(self, image: NDArray[np.generic]) -> None:
        """Draw a histogram on a square-root scale; values beyond a level are counted at that end."""
        low, high = self._levels
        stride = max(1, max(image.shape) // _SAMPLED_PX)
        # calcHist skips values beyond its range, but a saturated picture must be visible at the end of the bar.
        values = np.clip(image[::stride, ::stride].astype(np.float32), low, high)
        upper = high + (high - low) * 1e-4  # the upper bound of calcHist is exclusive
        counts = cv2.calcHist([values], [0], None, [_BINS], [low, upper]).ravel().astype(np.float64)
        top = counts.max(initial=0.0)
        self._gradient.set_heights(np.sqrt(counts / top) if top > 0 else counts)

    def _edited(self) -> None:
        # A box rounds to its decimals. A level of 3.14159 that was not edited must not become 3.14.
        low, high = self._levels
        typed = (self._low.value(), self._high.value())
        self.set_levels(
            low if typed[0] == round(low, self._low.decimals()) else typed[0],
            high if typed[1] == round(high, self._high.decimals()) else typed[1],
        )

    def _show(self) -> None:
        for box, value in zip((self._low, self._high), self._levels, strict=True):
            with QSignalBlocker(box):
                box.setValue(value)
        self._gradient.set_table(self.table)
