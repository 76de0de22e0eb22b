"""The strip below a picture: histogram with handles, both levels as numbers, and how the levels follow the picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtGui import QAction, QActionGroup, QWheelEvent
from PyQt6.QtWidgets import QBoxLayout, QDoubleSpinBox, QMenu, QToolButton, QWidget

from app.gui.image_view.colour_maps import ColourMap, colour_table
from app.gui.image_view.contents import ValueKind
from app.gui.image_view.levels.level_histogram import LevelHistogram
from app.gui.image_view.levels.levels import HistogramScale, Levels
from app.gui.widgets.number_box import NumberBox

_ONCE = "Set the levels from this picture, once; they stay until you change them"
_FOLLOWS = "The levels are set from every picture; a click sets them once, and holds them"


class _LevelBox(NumberBox):
    """A number that is typed. The mouse wheel does not change it, so that no level changes by accident."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("level")
        self.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setKeyboardTracking(False)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setFixedWidth(52)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is not None:
            event.ignore()


class LevelStrip(QWidget):
    """Shows and changes :class:`Levels`.

    Parameters
    ----------
    levels : Levels
        The levels of the picture.
    kind : ValueKind
        What the values of the picture are.
    """

    #: Why typed levels were refused.
    refused = pyqtSignal(str)

    def __init__(self, levels: Levels, kind: ValueKind) -> None:
        super().__init__()
        self._levels = levels
        self._kind = kind
        self._colours = ColourMap.GREY
        self._image: NDArray[np.generic] | None = None
        self.histogram = LevelHistogram()
        self._low = _LevelBox()
        self._high = _LevelBox()
        self.auto = self._auto_button()
        self._layout = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(6)
        for widget in (self._low, self.histogram, self._high, self.auto):
            self._layout.addWidget(widget, 1 if widget is self.histogram else 0)
        self.histogram.setToolTip("Drag a level, or the part between both. A double click restores the default levels")
        self.histogram.dragged.connect(self._dragged)
        self.histogram.double_clicked.connect(self.restore_default)
        for box in self.boxes:
            box.editingFinished.connect(self._edited)
            box.refused.connect(self.refused)
        levels.changed.connect(self._show)
        self.show_levels(levels, kind)

    def _auto_button(self) -> QToolButton:
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        self.every_frame = QAction("Set from every picture", menu)
        self.every_frame.setCheckable(True)
        self.every_frame.setToolTip("The colours then change their meaning from picture to picture")
        self.every_frame.toggled.connect(self._set_every_frame)
        menu.addAction(self.every_frame)
        default = QAction("Default levels", menu)
        default.triggered.connect(self.restore_default)
        menu.addAction(default)
        menu.addSection("Histogram")
        self.scales = {scale: QAction(str(scale).capitalize(), menu) for scale in HistogramScale}
        group = QActionGroup(menu)
        for action in self.scales.values():
            action.setCheckable(True)
            group.addAction(action)
            menu.addAction(action)
        group.triggered.connect(self._set_scale)
        button = QToolButton()
        button.setText("Auto")
        button.setPopupMode(QToolButton.ToolButtonPopupMode.MenuButtonPopup)
        button.setMenu(menu)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.setToolTip(_ONCE)
        button.clicked.connect(self.adapt)
        return button

    @property
    def boxes(self) -> tuple[NumberBox, NumberBox]:
        """The fields of the lower and of the upper level."""
        return self._low, self._high

    @property
    def levels(self) -> Levels:
        """The levels that are shown."""
        return self._levels

    def set_standing(self, *, on: bool) -> None:
        """Choose whether it stands beside the picture, with high values at the top, or lies below it."""
        self.histogram.set_standing(on=on)
        middle = Qt.AlignmentFlag.AlignHCenter if on else Qt.AlignmentFlag.AlignVCenter
        order = (self.auto, self._high, self.histogram, self._low)
        for widget in order if on else (self._low, self.histogram, self._high, self.auto):
            self._layout.removeWidget(widget)
            if widget is self.histogram:
                self._layout.addWidget(widget, 1)
                self._layout.setAlignment(widget, Qt.AlignmentFlag.AlignHCenter if on else Qt.AlignmentFlag(0))
            else:
                self._layout.addWidget(widget, 0, middle)
        self._layout.setSpacing(4 if on else 6)
        self._layout.setDirection(QBoxLayout.Direction.TopToBottom if on else QBoxLayout.Direction.LeftToRight)

    def show_levels(self, levels: Levels, kind: ValueKind) -> None:
        """Show other levels, of values of another kind."""
        self._levels.changed.disconnect(self._show)
        self._levels = levels
        self._kind = kind
        levels.changed.connect(self._show)
        self.histogram.set_unit(kind.unit)
        for box, which in zip(self.boxes, ("Lower", "Upper"), strict=True):
            with QSignalBlocker(box):
                box.setDecimals(kind.decimals)
                box.setRange(*levels.limits)
            box.setAccessibleName(f"{which} level, {kind.unit}")
            box.describe(f"{which} level", kind.unit)
            low, high = levels.limits
            box.setToolTip(f"{which} display level in {kind.unit}, {low:g} to {high:g}")
        self._show()

    def set_colours(self, colours: ColourMap) -> None:
        """Show the colours between the levels."""
        self._colours = colours
        self._show()

    def show_histogram(self, image: NDArray[np.generic] | None) -> None:
        """Draw the histogram of a picture; none for None."""
        self._image = image
        self.histogram.show_values(image)

    def adapt(self) -> None:
        """Set the levels from the picture, once."""
        if self._image is not None:
            self._levels.set_every_frame(on=False)
            self._levels.adapt(self._image)

    def restore_default(self) -> None:
        """Set the default levels."""
        self._levels.set_by_hand(*self._levels.default)

    def _set_every_frame(self) -> None:
        self._levels.set_every_frame(on=self.every_frame.isChecked())

    def _set_scale(self, chosen: QAction) -> None:
        for scale, action in self.scales.items():
            if action is chosen:
                self._levels.set_scale(scale)

    def _dragged(self, low: float, high: float) -> None:
        limit_low, limit_high = self._levels.limits
        if low < limit_low or high > limit_high:  # both levels keep their distance
            before = self._levels.pair
            low, high = (max(low, limit_low), min(high, limit_high)) if before[0] == low or before[1] == high else before
        self._levels.set_by_hand(low, high)

    def _edited(self) -> None:
        # A box rounds to its decimals. A level of 3.14159 that was not edited must not become 3.14.
        low, high = self._levels.pair
        typed = (self._low.value(), self._high.value())
        decimals = self._low.decimals()
        pair = (low if typed[0] == round(low, decimals) else typed[0], high if typed[1] == round(high, decimals) else typed[1])
        if pair != (low, high):
            self._levels.set_by_hand(*pair)
            if self._levels.pair != pair:
                text = f"The lower level {pair[0]:g} is not below the upper level {pair[1]:g}; the levels before are kept"
                self.refused.emit(text)
        self._show()

    def _show(self) -> None:
        low, high = self._levels.pair
        for box, value in zip(self.boxes, (low, high), strict=True):
            with QSignalBlocker(box):
                box.setValue(value)
        with QSignalBlocker(self.every_frame):
            self.every_frame.setChecked(self._levels.every_frame)
        self.auto.setText("Auto \N{BULLET}" if self._levels.every_frame else "Auto")
        self.auto.setToolTip(_FOLLOWS if self._levels.every_frame else _ONCE)
        self.scales[self._levels.scale].setChecked(True)
        self.histogram.set_scale(self._levels.scale)
        self.histogram.set_levels((low, high), colour_table(self._colours, low, high))
