"""A field for a number that refuses what is out of its range, and says so; Qt alone would swallow digits without a word."""

from __future__ import annotations

import math

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtGui import QValidator
from PyQt6.QtWidgets import QDoubleSpinBox


class NumberBox(QDoubleSpinBox):
    """Any number can be typed. One out of the range is refused when it is entered; the value before comes back."""

    #: Why a typed number was refused, for the operator.
    refused = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self._label = ""
        self._unit_text = ""
        self._by_digit = False

    def step_by_digit(self) -> None:
        """Let a step change the first digit: 2000, 1000, 900, ... 100, 90. A few clicks reach any size of number."""
        self._by_digit = True

    def stepBy(self, steps: int) -> None:
        """Go so many steps up, or down where the number is negative."""
        if not self._by_digit:
            super().stepBy(steps)
            return
        value = self.value()
        for _ in range(abs(steps)):
            value = self._next_round(value, up=steps > 0)
        self.setValue(value)
        self.selectAll()

    def describe(self, name: str, unit: str) -> None:
        """Set the name and the unit that the operator reads when a number is refused."""
        self._label = name
        self._unit_text = unit

    @property
    def range_text(self) -> str:
        """The numbers that can be entered."""
        return f"{self.minimum():g} to {self.maximum():g} {self._unit_text}".rstrip()

    def validate(self, text: str | None, position: int) -> tuple[QValidator.State, str, int]:
        """Let any number be typed: Qt would take 300 as 30 where 300 is too much."""
        state, shown, position = super().validate(text, position)
        if state is QValidator.State.Invalid and self._number(shown):
            state = QValidator.State.Intermediate
        return state, shown, position

    def fixup(self, text: str | None) -> str:
        """Refuse a number out of the range when it is entered; Qt then shows the value before."""
        typed = self._number(text or "")
        if typed:
            self.refused.emit(f"{self._label} cannot be {f'{typed} {self._unit_text}'.rstrip()}: {self.range_text} is possible")
        return text or ""

    def _next_round(self, value: float, *, up: bool) -> float:
        """Return the next number above or below that has one digit other than 0; numbers are never negative here."""
        least = 10.0 ** (-self.decimals())
        size = max(least, 10.0 ** math.floor(math.log10(value) + 1e-9)) if value > 0 else least
        count = round(value / size, 6)
        if up:
            return (math.floor(count) + 1) * size
        if count <= 1 and size > least:  # below 100 come 90, 80 and so on
            size /= 10
            count = 10
        return max(0.0, (math.ceil(count) - 1) * size)

    def _number(self, text: str) -> str:
        """Return the number in a text; empty if it is none."""
        typed = text.removesuffix(self.suffix()).strip()
        return typed if self.locale().toDouble(typed)[1] else ""
