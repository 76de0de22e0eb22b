"""A sentence below the field that it is about."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QLabel

from app.gui.widgets.style import set_style


class ProblemLabel(QLabel):
    """A sentence below the field that it is about; it takes no room while nothing is wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        set_style(self, "tone", "alarm")
        self.hide()

    def show_problem(self, problem: str) -> None:
        """Show what is wrong; an empty text hides the sentence."""
        self.setText(f"{problem[:1].upper()}{problem[1:]}")
        self.setVisible(bool(problem))
