"""The question whether an instrument file may run a program, or connect to an address, that it names."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QMessageBox, QWidget

from app.instrument.config import InstrumentConfig
from app.instrument.trust import TrustRequest, not_trusted, trust
from drivers.visible_text import visible


class TrustQuestion(QMessageBox):
    """Asks about one value; the answer is no unless the operator says yes.

    Parameters
    ----------
    request : TrustRequest
        What the file wants.
    file : Path, optional
        The instrument file.
    parent : QWidget, optional
        The window that the question belongs to.
    """

    def __init__(self, request: TrustRequest, file: Path | None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("SpeckleScope: allow this?")
        self.setIcon(QMessageBox.Icon.Warning)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(f"The instrument file {visible(str(file or 'of this page'))} wants to:\n\n{request}")
        self.setInformativeText("Allow it only if you know what it is. It is remembered until its content changes.")
        self.trust_button = self.addButton("Trust this path", QMessageBox.ButtonRole.AcceptRole)
        self.refuse_button = self.addButton("Do not run", QMessageBox.ButtonRole.RejectRole)
        self.setDefaultButton(self.refuse_button)
        self.setEscapeButton(self.refuse_button)

    @property
    def agreed(self) -> bool:
        """Whether the operator has chosen to trust it."""
        return self.clickedButton() is self.trust_button


def ask_trust(config: InstrumentConfig, parent: QWidget | None = None) -> bool:
    """Ask about everything that the chosen devices need and that nobody has allowed; stop at the first no.

    Returns
    -------
    bool
        Whether everything is allowed now.

    Raises
    ------
    TrustError
        The consent cannot be stored.
    """
    for request in not_trusted(config):
        question = TrustQuestion(request, config.file, parent)
        question.exec()
        if not question.agreed:
            return False
        trust([request])
    return True
