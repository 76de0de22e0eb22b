"""Fields of the set-up form, one kind for each kind of value; each shows a value and gives it back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import yaml
from PyQt6.QtCore import QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtGui import QWheelEvent
from PyQt6.QtWidgets import QAbstractSpinBox, QCheckBox, QComboBox, QHBoxLayout, QLabel, QLineEdit, QSizePolicy, QWidget

from app.gui.widgets.number_box import NumberBox
from app.gui.widgets.style import set_style
from app.instrument.fields import FieldRange
from drivers.safe_text import dump_yaml, parse_yaml

_NUMBER_PX = 84


class Editor(Protocol):
    """What every field can do."""

    def show_value(self, value: object) -> None:
        """Show a value of the configuration."""

    def entry(self) -> object:
        """Return the entry as the instrument file holds it; None where the field is empty, which means the default."""

    def mark(self, *, wrong: bool) -> None:
        """Mark the field as wrong, or no longer."""


class FlagEditor(QCheckBox):
    """A value that is true or false."""

    edited = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.clicked.connect(lambda _: self.edited.emit())

    def show_value(self, value: object) -> None:
        """Show whether it is true."""
        self.setChecked(bool(value))

    def entry(self) -> object:
        """Return whether it is true."""
        return self.isChecked()

    def mark(self, *, wrong: bool) -> None:
        """Do nothing: none of its values is wrong."""


class ChoiceEditor(QComboBox):
    """One of a few values.

    Parameters
    ----------
    choices : sequence
        The values, texts or whole numbers.
    """

    edited = pyqtSignal()

    def __init__(self, choices: Sequence[object]) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        for choice in choices:
            self.addItem(str(choice), choice)
        self.activated.connect(lambda _: self.edited.emit())

    def show_value(self, value: object) -> None:
        """Show a value; one that is none of the choices is added to them, for the configuration to refuse."""
        if self.findText(str(value)) < 0:
            self.addItem(str(value), value)
        self.setCurrentText(str(value))

    def entry(self) -> object:
        """Return the chosen value."""
        return self.currentData()

    def mark(self, *, wrong: bool) -> None:
        """Mark the field as wrong, or no longer."""
        set_style(self, "tone", "wrong" if wrong else "")

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Let the wheel scroll the form, unless the operator is in this field."""
        _wheel_if_focused(self, event, super().wheelEvent)


class TextEditor(QLineEdit):
    """A text, a path, a list or a mapping.

    Parameters
    ----------
    plain : bool
        Whether what is typed is a text as it stands; otherwise it is read by the rules of the instrument file.
    """

    edited = pyqtSignal()

    def __init__(self, *, plain: bool) -> None:
        super().__init__()
        self._plain = plain
        self._given: object = None
        self.textEdited.connect(lambda _: self.edited.emit())

    def show_value(self, value: object) -> None:
        """Show a value as a person would type it."""
        self._given = value
        self.setText(_text(value))

    def entry(self) -> object:
        """Return what was shown, or typed since."""
        if self.text() == _text(self._given):  # a value that was not edited keeps all its digits
            return self._given
        return self.text().strip() if self._plain else typed_value(self.text())

    def mark(self, *, wrong: bool) -> None:
        """Mark the field as wrong, or no longer."""
        set_style(self, "tone", "wrong" if wrong else "")


class NumberEditor(NumberBox):
    """A number with its unit; steps by arrow keys, wheel and buttons; a number out of range is refused with the range.

    Parameters
    ----------
    label : str
        Its name in the refusal.
    limits : FieldRange
        Range, unit and digits.
    whole : bool
        Whether the instrument file holds a whole number.
    """

    edited = pyqtSignal()

    def __init__(self, label: str, limits: FieldRange, *, whole: bool) -> None:
        super().__init__()
        self._limits = limits
        self._whole = whole
        self._given: object = None
        self._shown = 0.0
        self.setObjectName("stepper")
        self.setMinimumWidth(_NUMBER_PX)  # Qt would keep the room of the longest number of the range
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setKeyboardTracking(False)
        self.setDecimals(limits.decimals)
        self.setRange(limits.low * limits.scale, limits.high * limits.scale)
        if limits.decimals:
            self.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
        if limits.unit:
            self.setSuffix(f" {limits.unit}")
        self.describe(label, limits.unit)
        self.setAccessibleName(label)
        self.valueChanged.connect(lambda _: self.edited.emit())

    def show_value(self, value: object) -> None:
        """Show a number of the configuration, also one out of the usual range."""
        if not isinstance(value, int | float):
            return
        self._given = value
        shown = value * self._limits.scale
        with QSignalBlocker(self):
            low, high = (bound * self._limits.scale for bound in (self._limits.low, self._limits.high))
            self.setRange(min(low, shown), max(high, shown))
            self.setValue(shown)
        self._shown = self.value()

    def entry(self) -> object:
        """Return the number as the instrument file holds it."""
        self.interpretText()
        shown = self.value()
        if shown == self._shown and self._given is not None:  # a value that was not edited keeps all its digits
            return self._given
        entered = shown / self._limits.scale
        return round(entered) if self._whole else entered

    @property
    def range_text(self) -> str:
        """The numbers that can be entered."""
        return self._limits.text

    def mark(self, *, wrong: bool) -> None:
        """Mark the field as wrong, or no longer."""
        set_style(self, "tone", "wrong" if wrong else "")

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Let the wheel scroll the form, unless the operator is in this field."""
        _wheel_if_focused(self, event, super().wheelEvent)


class PairEditor(QWidget):
    """Two numbers that belong together, such as height and width.

    Parameters
    ----------
    label : str
        Their name in a refusal.
    limits : FieldRange
        Range, unit and digits of both.
    whole : bool
        Whether the instrument file holds whole numbers.
    """

    edited = pyqtSignal()
    refused = pyqtSignal(str)

    def __init__(self, label: str, limits: FieldRange, *, whole: bool) -> None:
        super().__init__()
        one = replace(limits, unit="")  # the unit stands once, behind both
        self.parts = tuple(NumberEditor(f"{label}, {part} number", one, whole=whole) for part in ("first", "second"))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for part in self.parts:
            layout.addWidget(part, 1)
            part.edited.connect(self.edited)
            part.refused.connect(self.refused)
        layout.insertWidget(1, QLabel(","))
        layout.addWidget(QLabel(limits.unit))

    def show_value(self, value: object) -> None:
        """Show two numbers of the configuration."""
        if isinstance(value, tuple | list) and len(value) == len(self.parts):
            for part, number in zip(self.parts, value, strict=True):
                part.show_value(number)

    def entry(self) -> object:
        """Return both numbers as the instrument file holds them."""
        return [part.entry() for part in self.parts]

    def mark(self, *, wrong: bool) -> None:
        """Mark both fields as wrong, or no longer."""
        for part in self.parts:
            part.mark(wrong=wrong)


def typed_value(text: str) -> object:
    """Return what a person has typed as a number, a list or a text, by the rules of the instrument file; None if nothing."""
    text = text.strip()
    if not text:
        return None
    try:
        return parse_yaml(f"[{text}]" if "," in text and text[0] not in "{[" else text)
    except yaml.YAMLError:
        return text  # the configuration refuses it, with the name of the field


def _text(value: object) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(map(_text, value))
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, dict):
        return dump_yaml(value, flow=True).strip() if value else ""
    return "" if value is None else str(value)


def _wheel_if_focused(field: QWidget, event: QWheelEvent | None, turn: Callable[[QWheelEvent | None], None]) -> None:
    if event is not None and not field.hasFocus():
        event.ignore()
    else:
        turn(event)
