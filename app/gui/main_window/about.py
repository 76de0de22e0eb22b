"""Version, instrument, model and keyboard shortcuts."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QDialog, QDialogButtonBox, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.gui.widgets.style import GAP_PX
from drivers.program_version import program_version


class AboutDialog(QDialog):
    """A window beside the main one; the live view continues meanwhile."""

    def __init__(self, instrument: str, model: str, keys: Sequence[tuple[str, str]], parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("About SpeckleScope")
        self.setModal(False)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 16)
        layout.setSpacing(GAP_PX)
        product = QLabel("SpeckleScope")
        product.setObjectName("product")
        layout.addWidget(product)
        facts = (("Version", program_version()), ("Instrument", instrument), ("Model", model), ("Licence", "GPL-3.0-or-later"))
        layout.addLayout(_two_columns(facts))
        heading = QLabel("Keys")
        heading.setObjectName("heading")
        layout.addSpacing(GAP_PX)
        layout.addWidget(heading)
        mouse = ("Wheel, drag", "Zoom and move a picture; double-click to show the whole field")
        rows = (*keys, mouse)
        half = (len(rows) + 1) // 2
        columns = QHBoxLayout()
        columns.setSpacing(36)
        for part in (rows[:half], rows[half:]):
            column = QVBoxLayout()
            column.addLayout(_two_columns(part))
            column.addStretch(1)
            columns.addLayout(column, 1)
        layout.addLayout(columns)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout.addSpacing(GAP_PX)
        layout.addWidget(buttons)


def _two_columns(rows: Sequence[tuple[str, str]]) -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(24)
    grid.setVerticalSpacing(1)
    grid.setColumnStretch(1, 1)
    for row, (key, value) in enumerate(rows):
        left, right = QLabel(key), QLabel(value)
        left.setObjectName("muted")
        left.setMinimumWidth(90)
        right.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        grid.addWidget(left, row, 0)
        grid.addWidget(right, row, 1)
    return grid
