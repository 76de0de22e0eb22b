"""What was found in the folder of the operator's own pictures: how many are shown, and what is skipped and why."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QLabel, QListWidget, QVBoxLayout, QWidget

from acquisition.patterns.folder_check import FolderCheck
from app.gui.build_page.note_label import NoteLabel, Tone
from app.gui.widgets.formatting import count

_HEIGHT_PX = 110


class FolderView(QWidget):
    """One line with the numbers, and a list of what is skipped or cannot be shown, each with its reason."""

    def __init__(self) -> None:
        super().__init__()
        self.summary = NoteLabel()
        self.entries = QListWidget()
        self.entries.setAccessibleName("Files that are skipped, and why")
        self.entries.setFixedHeight(_HEIGHT_PX)
        self.entries.setWordWrap(True)
        self.entries.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.entries.setSelectionMode(QListWidget.SelectionMode.NoSelection)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.addWidget(QLabel("Your pictures"))
        layout.addWidget(self.summary)
        layout.addWidget(self.entries)

    def show_reading(self) -> None:
        """Say that the folder is being read."""
        self.entries.clear()
        self.entries.hide()
        self.summary.show_note("The pictures are being read\N{HORIZONTAL ELLIPSIS}")

    def show_check(self, check: FolderCheck | None) -> None:
        """Show what was found; None where the folder could not be read."""
        self.entries.clear()
        if check is None:
            self.entries.hide()
            self.summary.show_note("")
            return
        parts = [f"{count(check.patterns)} patterns"]
        parts += [f"{count(len(check.ignored))} skipped"] if check.ignored else []
        parts += [f"{count(len(check.unusable))} cannot be shown"] if check.unusable else []
        tone = Tone.WRONG if check.unusable else Tone.GOOD
        self.summary.show_note("; ".join([", ".join(parts), *check.notes]), tone)
        self.entries.addItems([f"cannot be shown: {text}" for text in check.unusable])
        self.entries.addItems([f"skipped: {name}: {reason}" for name, reason in check.ignored])
        self.entries.setVisible(self.entries.count() > 0)
