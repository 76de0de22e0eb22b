"""The list of presets, with buttons to apply, save, rename and delete one."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QSignalBlocker, pyqtSignal
from PyQt6.QtWidgets import QGridLayout, QLabel, QLineEdit, QListWidget, QPushButton, QVBoxLayout, QWidget

_HINT = "A preset holds the panes with their levels, the panels,\nthe camera's settings, the record form and the SLM."


class PresetPanel(QWidget):
    """Shows names, and emits a signal for every request. It decides nothing itself."""

    save_requested = pyqtSignal(str)
    apply_requested = pyqtSignal(str)
    delete_requested = pyqtSignal(str)
    #: The present name and the new one.
    rename_requested = pyqtSignal(str, str)

    def __init__(self) -> None:
        super().__init__()
        self.list = QListWidget()
        self.list.setAccessibleName("Presets")
        self.list.setMinimumHeight(120)
        self.name = QLineEdit()
        self.name.setMaxLength(64)
        self.name.setPlaceholderText("name of a preset")
        self.name.setAccessibleName("Name of a preset")
        self.apply = _button("Apply", "Set everything as it was when the selected preset was saved")
        self.save = _button("Save", "Save the present state of the live page under the name above")
        self.rename = _button("Rename", "Give the selected preset the name above")
        self.delete = _button("Delete", "Delete the selected preset")
        hint = QLabel(_HINT)
        hint.setObjectName("caption")
        layout = QVBoxLayout(self)
        layout.addWidget(self.list, 1)
        layout.addWidget(self.name)
        buttons = QGridLayout()
        for place, button in enumerate((self.apply, self.save, self.rename, self.delete)):
            buttons.addWidget(button, place // 2, place % 2)
        layout.addLayout(buttons)
        layout.addWidget(hint)
        self.list.currentTextChanged.connect(self._select)
        self.list.itemActivated.connect(self._apply)
        self.apply.clicked.connect(self._apply)
        self.save.clicked.connect(self._save)
        self.rename.clicked.connect(self._rename)
        self.delete.clicked.connect(self._delete)
        self.name.textChanged.connect(self._show_enabled)
        self._show_enabled()

    @property
    def selected(self) -> str:
        """The name that is selected in the list; empty for none."""
        item = self.list.currentItem()
        return item.text() if item is not None else ""

    def show_names(self, names: Sequence[str], selected: str = "") -> None:
        """Show all names, and select one."""
        with QSignalBlocker(self.list):
            self.list.clear()
            self.list.addItems(names)
            if selected in names:
                self.list.setCurrentRow(list(names).index(selected))
                self.name.setText(selected)
        self._show_enabled()

    def _select(self, name: str) -> None:
        self.name.setText(name)
        self._show_enabled()

    def _show_enabled(self) -> None:
        typed, selected = self.name.text().strip(), self.selected
        self.save.setEnabled(bool(typed))
        self.apply.setEnabled(bool(selected))
        self.delete.setEnabled(bool(selected))
        self.rename.setEnabled(bool(typed and selected) and typed != selected)

    def _apply(self) -> None:
        if self.selected:
            self.apply_requested.emit(self.selected)

    def _save(self) -> None:
        self.save_requested.emit(self.name.text().strip())

    def _rename(self) -> None:
        self.rename_requested.emit(self.selected, self.name.text().strip())

    def _delete(self) -> None:
        self.delete_requested.emit(self.selected)


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName("small")
    button.setToolTip(tip)
    return button
