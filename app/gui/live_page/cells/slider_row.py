"""A slider between its name and its value."""

from __future__ import annotations

from PyQt6.QtCore import QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QSlider, QWidget

_NAME_PX = 68
_VALUE_PX = 72


class SliderRow(QWidget):
    """A slider of whole steps; what a step means is left to its owner, who writes the value.

    Parameters
    ----------
    name : str
        What is set, for the operator and for screen readers.
    tip : str
        What it does, in one sentence without a full stop.
    first, last : int
        The steps are these and those between them.
    """

    #: The operator has moved the slider; the step.
    moved = pyqtSignal(int)

    def __init__(self, name: str, tip: str, last: int, first: int = 0) -> None:
        super().__init__()
        caption = QLabel(name)
        caption.setObjectName("muted")
        caption.setFixedWidth(_NAME_PX)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(first, last)
        self.slider.setAccessibleName(name)
        self.slider.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.value = QLabel()
        self.value.setFixedWidth(_VALUE_PX)
        self.value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        for part in (caption, self.slider, self.value):
            part.setToolTip(tip)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(caption)
        layout.addWidget(self.slider, 1)
        layout.addWidget(self.value)
        self.slider.valueChanged.connect(self.moved)

    @property
    def step(self) -> int:
        """The step on display."""
        return self.slider.value()

    def show_step(self, step: int, text: str) -> None:
        """Show a step and its value, unless the operator holds the slider; nothing is emitted."""
        if not self.slider.isSliderDown():
            with QSignalBlocker(self.slider):
                self.slider.setValue(step)
        self.value.setText(text)

    def show_last(self, last: int) -> None:
        """Show another last step; nothing is emitted."""
        with QSignalBlocker(self.slider):
            self.slider.setMaximum(last)
