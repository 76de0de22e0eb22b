"""A form for one section of the configuration. Its fields, their types and their help texts come from the section's class."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

import docstring_parser
import yaml
from docstring_parser import DocstringStyle
from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QCheckBox, QComboBox, QFormLayout, QLabel, QLineEdit, QWidget

from app.gui.widgets.style import set_style
from drivers.safe_text import dump_yaml, parse_yaml

#: Endings of field names that stand for units, longest first, and the unit as it is written.
_UNITS = (
    ("_bytes_per_s", "bytes/s"),
    ("_bytes", "bytes"),
    ("_ticks", "ticks"),
    ("_frames", "frames"),
    ("_rad", "rad"),
    ("_hz", "Hz"),
    ("_db", "dB"),
    ("_px", "px"),
    ("_um", "\N{MICRO SIGN}m"),
    ("_s", "s"),
)


class SectionForm(QWidget):
    """Edits the fields of one dataclass of the configuration.

    Parameters
    ----------
    section : dataclass instance
        The initial values. The docstring of its class gives the help texts.
    """

    changed = pyqtSignal()

    def __init__(self, section: object) -> None:
        super().__init__()
        self._editors: dict[str, QWidget] = {}
        self._shown: dict[str, object] = {}
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 6, 0)
        layout.setVerticalSpacing(4)
        layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        help_texts = described(type(section))
        for name, hint in get_type_hints(type(section)).items():
            if name.startswith("_") or name not in vars(section):
                continue
            editor = _editor(hint)
            editor.setAccessibleName(title(name))
            editor.setToolTip(help_texts.get(name, ""))
            editor.setObjectName("compact")
            label = QLabel(title(name))
            label.setObjectName("muted")
            label.setMinimumWidth(150)
            label.setToolTip(help_texts.get(name, ""))
            layout.addRow(label, editor)
            self._editors[name] = editor
        self.show_values(vars(section))
        for editor in self._editors.values():
            if isinstance(editor, QLineEdit):
                editor.textEdited.connect(lambda _: self.changed.emit())
            elif isinstance(editor, QComboBox):
                editor.activated.connect(lambda _: self.changed.emit())
            elif isinstance(editor, QCheckBox):
                editor.clicked.connect(lambda _: self.changed.emit())

    def show_values(self, values: Mapping[str, object]) -> None:
        """Show values by field name; other fields stay as they are."""
        for name, value in values.items():
            editor = self._editors.get(name)
            if isinstance(editor, QCheckBox):
                editor.setChecked(bool(value))
            elif isinstance(editor, QComboBox):
                editor.setCurrentText(str(value))
            elif isinstance(editor, QLineEdit):
                editor.setText(_text(value))
                self._shown[name] = value

    def mark(self, problem: str) -> str:
        """Mark the fields that a problem names, and no others; return the problem with their labels in place of their names."""
        for name, editor in self._editors.items():
            text = re.sub(rf"'[\w/]+\.{name}'|\b{name}\b", title(name), problem)
            set_style(editor, "tone", "wrong" if text != problem else "")
            problem = text
        return problem

    def values(self) -> dict[str, object]:
        """Return the entries as YAML would read them; the configuration checks whether they are valid."""
        entries: dict[str, object] = {}
        for name, editor in self._editors.items():
            if isinstance(editor, QCheckBox):
                entries[name] = editor.isChecked()
            elif isinstance(editor, QComboBox):
                entries[name] = editor.currentText()
            elif isinstance(editor, QLineEdit):
                value = self._shown.get(name)
                if editor.text() != _text(value):  # a value that was not edited keeps all its digits
                    value = editor.text().strip() if editor.property("plain") else typed_value(editor.text())
                if value is not None:  # an empty field means the default
                    entries[name] = value
        return entries


def title(name: str) -> str:
    """Return a field's name as a label: ``exposure_s`` becomes ``Exposure (s)``."""
    ending, unit = next(((ending, unit) for ending, unit in _UNITS if name.endswith(ending)), ("", ""))
    plain = name.removesuffix(ending).replace("_", " ")
    plain = plain[:1].upper() + plain[1:]
    return f"{plain} ({unit})" if unit else plain


def described(section: type[object]) -> dict[str, str]:
    """Return the description of every parameter in the numpydoc docstring of a class."""
    docstring = docstring_parser.parse(inspect.getdoc(section) or "", DocstringStyle.NUMPYDOC)
    return {
        name: " ".join((parameter.description or "").replace("``", "").split())
        for parameter in docstring.params
        for name in parameter.arg_name.split(", ")
    }


def _editor(hint: Any) -> QWidget:
    if hint is bool:
        return QCheckBox()
    if get_origin(hint) is Literal:
        box = QComboBox()
        box.addItems([str(choice) for choice in get_args(hint)])
        return box
    line = QLineEdit()
    line.setProperty("plain", hint is str or getattr(hint, "__name__", "") == "Path")
    return line


def _text(value: object) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(map(_text, value))
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, dict):
        return dump_yaml(value, flow=True).strip() if value else ""
    return "" if value is None else str(value)


def typed_value(text: str) -> object:
    """Return what a person has typed as a number, a list or a text, by the rules of the instrument file; None if nothing."""
    text = text.strip()
    if not text:
        return None
    try:
        return parse_yaml(f"[{text}]" if "," in text and text[0] not in "{[" else text)
    except yaml.YAMLError:
        return text  # the configuration refuses it, with the name of the field


def heading(text: str) -> QLabel:
    """Return a heading."""
    label = QLabel(text)
    label.setObjectName("heading")
    return label
