"""What was found in the folder of the operator's own pictures: how many are shown, and what is skipped and why."""

from __future__ import annotations

from PyQt6.QtWidgets import QLabel, QVBoxLayout, QWidget

from acquisition.patterns.folder_check import FolderCheck
from app.gui.build_page.facts_table import Sentences
from app.gui.build_page.note_label import NoteLabel, Tone
from app.gui.widgets.formatting import count


class FolderView(QWidget):
    """One line with the numbers, and a list of what is skipped or cannot be shown, each with its reason."""

    def __init__(self) -> None:
        super().__init__()
        self.summary = NoteLabel()
        self.entries = Sentences("Files that are skipped, and why")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.addWidget(QLabel("Your pictures"))
        layout.addWidget(self.summary)
        layout.addWidget(self.entries)

    def show_reading(self) -> None:
        """Say that the folder is being read."""
        self.entries.show_texts(())
        self.summary.show_note("The pictures are being read\N{HORIZONTAL ELLIPSIS}")

    def show_check(self, check: FolderCheck | None) -> None:
        """Show what was found; None where the folder could not be read."""
        if check is None:
            self.entries.show_texts(())
            self.summary.show_note("")
            return
        parts = [f"{count(check.patterns)} patterns"]
        parts += [f"{count(len(check.ignored))} skipped"] if check.ignored else []
        parts += [f"{count(len(check.unusable))} cannot be shown"] if check.unusable else []
        tone = Tone.WRONG if check.unusable else Tone.GOOD
        self.summary.show_note("; ".join([", ".join(parts), *check.notes]), tone)
        unusable = [f"cannot be shown: {text}" for text in check.unusable]
        self.entries.show_texts([*unusable, *(f"skipped: {name}: {reason}" for name, reason in check.ignored)])
