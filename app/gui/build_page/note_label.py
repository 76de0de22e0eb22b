"""A sentence beside a field or a button, with a sign that says how serious it is."""

from __future__ import annotations

from enum import Enum

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QWidget

from app.gui.widgets.icons import IconLabel, Ink
from app.gui.widgets.style import set_style

_SIGN_PX = 16


class Tone(Enum):
    """How serious a note is."""

    PLAIN = "muted"
    GOOD = "good"
    WARNING = "warning"
    WRONG = "alarm"


_SIGNS = {
    Tone.PLAIN: ("", Ink.MUTED),
    Tone.GOOD: ("good", Ink.GOOD),
    Tone.WARNING: ("warning", Ink.WARNING),
    Tone.WRONG: ("error", Ink.ALARM),
}


class NoteLabel(QWidget):
    """A sign and a sentence that may need several lines; nothing is seen of it while there is no text."""

    def __init__(self) -> None:
        super().__init__()
        self._sign = IconLabel(_SIGN_PX)
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self._text, 1)
        self.tone = Tone.PLAIN
        self.show_note("")

    @property
    def text(self) -> str:
        """The sentence that is shown."""
        return self._text.text()

    def show_note(self, text: str, tone: Tone = Tone.PLAIN) -> None:
        """Show a sentence; an empty one hides the note."""
        self.tone = tone
        name, ink = _SIGNS[tone]
        self._sign.show_icon(name, ink)
        self._sign.setVisible(bool(name))
        if text != self._text.text():
            self._text.setText(text)
        set_style(self._text, "tone", tone.value)
        self.setVisible(bool(text))
