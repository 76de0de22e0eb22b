"""Questions before something is ended: the safe answer is the default, and each button says what it does."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QMessageBox, QWidget


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked.

    Parameters
    ----------
    text : str
        What is running now.
    agree, refuse : str
        The buttons, as verbs: ``Stop recording``, ``Keep recording``. Enter and Escape press ``refuse``.
    """

    text: str
    agree: str
    refuse: str


class QuestionBox(QMessageBox):
    """One question; the answer is no unless the operator presses the other button."""

    def __init__(self, question: Question, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("SpeckleScope")
        self.setIcon(QMessageBox.Icon.Warning)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(question.text)
        self.agree = self.addButton(question.agree, QMessageBox.ButtonRole.DestructiveRole)
        self.refuse = self.addButton(question.refuse, QMessageBox.ButtonRole.RejectRole)
        self.setDefaultButton(self.refuse)
        self.setEscapeButton(self.refuse)

    @property
    def agreed(self) -> bool:
        """Whether the operator has agreed."""
        return self.clickedButton() is self.agree


def ask(question: Question, parent: QWidget | None = None) -> bool:
    """Ask, and return whether the operator agrees; the window goes on working meanwhile."""
    box = QuestionBox(question, parent)
    box.exec()
    agreed = box.agreed
    box.deleteLater()
    return agreed
