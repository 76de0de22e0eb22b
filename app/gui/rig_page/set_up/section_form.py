"""A form for one section of the instrument file. Fields, types, ranges and help texts come from the section's class."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QFormLayout, QLabel, QWidget

from app.gui.rig_page.set_up.editors import ChoiceEditor, FlagEditor, NumberEditor, PairEditor, TextEditor
from app.instrument.fields import FieldRange, described, plain_title, range_of, title
from drivers.camera_settings import Choices

_LABEL_PX = 150
AnyEditor = FlagEditor | ChoiceEditor | TextEditor | NumberEditor | PairEditor


class SectionForm(QWidget):
    """Edits the fields of one dataclass of the configuration.

    Parameters
    ----------
    section : dataclass instance
        The initial values. The docstring of its class gives the help texts.
    """

    changed = pyqtSignal()
    #: Why a number was refused, with its range.
    refused = pyqtSignal(str)

    def __init__(self, section: object) -> None:
        super().__init__()
        self.editors: dict[str, AnyEditor] = {}
        self._ranges: dict[str, str] = {}
        self._labels: dict[str, str] = {}
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 6, 0)
        layout.setVerticalSpacing(4)
        layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        help_texts = described(type(section))
        for name, hint in get_type_hints(type(section)).items():
            if name.startswith("_") or name not in vars(section):
                continue
            limits = range_of(type(section), name)
            editor = _editor(name, hint, limits)
            self._labels[name] = plain_title(name) if isinstance(limits, FieldRange) else title(name)
            self._ranges[name] = _range_text(limits)
            tip = ". ".join(text for text in (help_texts.get(name, "").rstrip("."), self._ranges[name]) if text)
            _explain(editor, self._labels[name], tip)
            if not isinstance(editor, NumberEditor):
                editor.setObjectName("compact")
            label = QLabel(self._labels[name])
            label.setObjectName("muted")
            label.setMinimumWidth(_LABEL_PX)
            label.setToolTip(tip)
            layout.addRow(label, editor)
            self.editors[name] = editor
            editor.edited.connect(self.changed)
            if isinstance(editor, NumberEditor | PairEditor):
                editor.refused.connect(self.refused)
        self.show_values(vars(section))

    def show_values(self, values: Mapping[str, object]) -> None:
        """Show values by field name; other fields stay as they are."""
        for name, value in values.items():
            if name in self.editors:
                self.editors[name].show_value(value)

    def mark(self, problem: str) -> str:
        """Mark the fields that a problem names, and no others; return it with their labels and ranges."""
        ranges = []
        for name, editor in self.editors.items():
            text = re.sub(rf"'[\w/]+\.{name}'|\b{name}\b", self._labels[name], problem)
            editor.mark(wrong=text != problem)
            if text != problem and self._ranges[name]:
                ranges.append(f"{self._labels[name]}: {self._ranges[name]}")
            problem = text
        return f"{problem} ({'; '.join(ranges)})" if ranges else problem

    def values(self) -> dict[str, object]:
        """Return the entries as YAML would read them; the configuration checks whether they are valid."""
        entries = {name: editor.entry() for name, editor in self.editors.items()}
        return {name: entry for name, entry in entries.items() if entry is not None}  # an empty field means the default


def _editor(name: str, hint: Any, limits: FieldRange | Choices | None) -> AnyEditor:
    if isinstance(limits, FieldRange):
        whole = hint is int or int in get_args(hint)
        label = plain_title(name)
        pair = get_origin(hint) is tuple
        return PairEditor(label, limits, whole=whole) if pair else NumberEditor(label, limits, whole=whole)
    if isinstance(limits, Choices):
        return ChoiceEditor(limits.values)
    if hint is bool:
        return FlagEditor()
    if get_origin(hint) is Literal:
        return ChoiceEditor(get_args(hint))
    return TextEditor(plain=hint is str or getattr(hint, "__name__", "") == "Path")


def _explain(editor: AnyEditor, label: str, tip: str) -> None:
    """Give a field its name and its help text."""
    for part in editor.parts if isinstance(editor, PairEditor) else (editor,):
        part.setToolTip(tip)
    if not isinstance(editor, PairEditor):  # each of its parts has a name of its own
        editor.setAccessibleName(label)


def _range_text(limits: FieldRange | Choices | None) -> str:
    if isinstance(limits, FieldRange):
        return f"{limits.text} is possible"
    return f"{limits} is possible" if limits is not None else ""
