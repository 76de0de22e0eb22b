"""A sentence beside the thing that it is about, with an icon that says how serious it is."""

from __future__ import annotations

from enum import Enum

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QWidget

from app.gui.widgets.icons import IconLabel, Ink
from app.gui.widgets.style import set_style


class NoteLevel(Enum):
    """How serious a note is: icon, its ink, and the tone of the text."""

    PLAIN = ("info", Ink.MUTED, "muted")
    WAIT = ("wait", Ink.ACCENT, "normal")
    GOOD = ("good", Ink.GOOD, "good")
    WARNING = ("warning", Ink.WARNING, "warning")
    ERROR = ("error", Ink.ALARM, "alarm")


class Note(QWidget):
    """One sentence; it takes no place while there is none.

    Parameters
    ----------
    name : str
        What it is about, for screen readers.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.level = NoteLevel.PLAIN
        self._sign = IconLabel()
        self._text = QLabel()
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setWordWrap(True)
        self._text.setAccessibleName(name)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._sign)
        layout.addWidget(self._text, 1)
        self.hide()

    @property
    def text(self) -> str:
        """The sentence."""
        return self._text.text()

    def tell(self, text: str, level: NoteLevel = NoteLevel.PLAIN) -> None:
        """Show a sentence; an empty one shows nothing."""
        if text == self._text.text() and level is self.level:
            return
        self.level = level
        name, ink, tone = level.value
        self._text.setText(text)
        set_style(self._text, "tone", tone)
        self._sign.show_icon(name, ink)
        self.setVisible(bool(text))
