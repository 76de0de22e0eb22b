"""What program this is and which keys it knows."""

from __future__ import annotations

from importlib import metadata

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QDialog, QDialogButtonBox, QGridLayout, QLabel, QVBoxLayout, QWidget

from app.gui.main_window.control_bar import SHORTCUTS
from app.gui.widgets.style import GAP_PX


def _version() -> str:
    try:
        return metadata.version("specklescope")
    except metadata.PackageNotFoundError:  # run from a source tree
        return "not installed"


class AboutDialog(QDialog):
    """A window beside the main one; the live view goes on under it."""

    def __init__(self, instrument: str, model: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("About SpeckleScope")
        self.setModal(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 16)
        layout.setSpacing(GAP_PX)
        product = QLabel("SpeckleScope")
        product.setObjectName("product")
        layout.addWidget(product)
        facts = QGridLayout()
        facts.setHorizontalSpacing(24)
        facts.setVerticalSpacing(6)
        facts.setColumnStretch(1, 1)
        rows = (("Version", _version()), ("Instrument", instrument), ("Model", model), ("Licence", "GPL-3.0-or-later"))
        for row, (key, value) in enumerate(rows):
            self._add_row(facts, row, key, value)
        layout.addLayout(facts)
        heading = QLabel("Keys")
        heading.setObjectName("heading")
        layout.addSpacing(GAP_PX)
        layout.addWidget(heading)
        keys = QGridLayout()
        keys.setHorizontalSpacing(24)
        keys.setVerticalSpacing(6)
        keys.setColumnStretch(1, 1)
        mouse = ("Wheel, drag", "Zoom and move a picture; double-click to fit")
        for row, (key, meaning) in enumerate((*SHORTCUTS, mouse)):
            self._add_row(keys, row, key, meaning)
        layout.addLayout(keys)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout.addSpacing(GAP_PX)
        layout.addWidget(buttons)

    @staticmethod
    def _add_row(grid: QGridLayout, row: int, key: str, value: str) -> None:
        left, right = QLabel(key), QLabel(value)
        left.setObjectName("muted")
        left.setMinimumWidth(90)
        right.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        grid.addWidget(left, row, 0)
        grid.addWidget(right, row, 1)
