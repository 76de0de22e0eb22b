"""Messages for the operator, one at a time. They can be read and dismissed, and never stop the work."""

from __future__ import annotations

from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from app.gui.widgets.style import set_style
from app.status import Message, MessageLevel

_PREFIX = {MessageLevel.INFO: "", MessageLevel.WARNING: "Warning: ", MessageLevel.ERROR: "Error: "}
#: Information disappears after this time, in milliseconds.
_INFO_MS = 6000
_MAX_WAITING = 50


class Banner(QFrame):
    """Shows the most serious waiting message, the newest among equals. Information disappears by itself."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("banner")
        self._waiting: list[Message] = []
        self._text = QLabel()
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._dismiss = QPushButton("Dismiss")
        self._dismiss.setObjectName("dismiss")
        self._dismiss.setToolTip("Dismiss this message  (Esc)")
        self._dismiss.clicked.connect(self.dismiss)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 4, 6, 4)
        layout.addWidget(self._text, 1)
        layout.addWidget(self._dismiss)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_INFO_MS)
        self._timer.timeout.connect(self._drop_infos)
        self.hide()

    @property
    def shown(self) -> Message | None:
        """The message on display, if any."""
        return self._waiting[-1] if self._waiting else None

    @property
    def text(self) -> str:
        """The text on display."""
        return self._text.text() if self._waiting else ""

    def push(self, message: Message) -> None:
        """Add a message. One that already waits is only moved to the front of its level."""
        if message in self._waiting:
            self._waiting.remove(message)
        if message.level is MessageLevel.INFO:  # information replaces the information before it
            self._waiting = [other for other in self._waiting if other.level is not MessageLevel.INFO]
            self._timer.start()
        self._waiting.append(message)
        self._waiting.sort(key=lambda other: other.level.rank)
        del self._waiting[:-_MAX_WAITING]
        self._render()

    def dismiss(self) -> None:
        """Remove the message on display and show the next one."""
        if self._waiting:
            self._waiting.pop()
        self._render()

    def _drop_infos(self) -> None:
        self._waiting = [message for message in self._waiting if message.level is not MessageLevel.INFO]
        self._render()

    def _render(self) -> None:
        message = self.shown
        self.setVisible(message is not None)
        if message is None:
            return
        self._text.setText(_PREFIX[message.level] + " ".join(message.text.split()))
        more = len(self._waiting) - 1
        self._dismiss.setText(f"Dismiss  ({more} more)" if more else "Dismiss")
        set_style(self, "level", message.level)
