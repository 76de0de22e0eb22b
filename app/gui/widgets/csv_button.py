"""A button that saves a table as a CSV file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QFileDialog, QPushButton

from acquisition.archive.atomic_files import write_whole
from drivers.base import SpeckleScopeError


class CsvButton(QPushButton):
    """Asks for a file, then writes the table as it was at the click.

    Parameters
    ----------
    file_name : str
        The suggested name of the file.
    tip : str
        What is saved, in one sentence without a full stop.
    csv_text : callable
        Returns the table as text; a bound method.
    """

    refused = pyqtSignal(str)  # why a file could not be written
    saved = pyqtSignal(str)  # the file that was written

    def __init__(self, file_name: str, tip: str, csv_text: Callable[[], str]) -> None:
        super().__init__("Save CSV\N{HORIZONTAL ELLIPSIS}")
        self.setObjectName("small")
        self.setToolTip(tip)
        self._file_name = file_name
        self._csv_text = csv_text
        self._pending = ""
        self.clicked.connect(self._ask)

    def save(self, path: Path) -> None:
        """Write the table; ``saved`` or ``refused`` tells the outcome."""
        self._write(path, self._csv_text())

    def _ask(self) -> None:
        self._pending = self._csv_text()
        dialog = QFileDialog(self, "Save table", self._file_name, "Comma-separated values (*.csv)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("csv")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._save_pending)
        dialog.open()

    def _save_pending(self, name: str) -> None:
        self._write(Path(name), self._pending)

    def _write(self, path: Path, text: str) -> None:
        try:
            write_whole(path, text, "choose another folder")
        except SpeckleScopeError as error:
            self.refused.emit(str(error))
        else:
            self.saved.emit(str(path))
