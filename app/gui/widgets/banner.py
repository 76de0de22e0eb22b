"""Messages for the operator, one at a time, in a place that is always there: no message moves a button."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from app.gui.widgets.icons import IconLabel, Ink
from app.gui.widgets.style import set_style
from app.status import Message, MessageLevel, Topic

_PREFIX = {MessageLevel.INFO: "", MessageLevel.WARNING: "Warning: ", MessageLevel.ERROR: "Error: "}
_SIGNS = {
    MessageLevel.INFO: ("info", Ink.ACCENT),
    MessageLevel.WARNING: ("warning", Ink.WARNING),
    MessageLevel.ERROR: ("error", Ink.ALARM),
}
#: Information disappears after this time, in milliseconds.
_INFO_MS = 6000
_MAX_WAITING = 50
_MAX_LOGGED = 2000
_LINES = 2
_MARGIN_PX = 5


@dataclass(frozen=True)
class LoggedMessage:
    """A message and when it came."""

    time: datetime
    message: Message


class Banner(QFrame):
    """Shows the most serious waiting message, the newest among equals. Information disappears by itself.

    A message with a topic goes away when a newer one of this topic comes. Every message stays in ``log``.
    """

    logged = pyqtSignal(object)  # a LoggedMessage

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("banner")
        self.log: deque[LoggedMessage] = deque(maxlen=_MAX_LOGGED)
        self._waiting: list[Message] = []
        self._sign = IconLabel()
        self._text = QLabel()
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._text.setAccessibleName("Message")
        self._dismiss = QPushButton("Dismiss")
        self._dismiss.setObjectName("dismiss")
        self._dismiss.setToolTip("Dismiss this message; it stays in the list of messages  (Esc)")
        self._dismiss.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._dismiss.clicked.connect(self.dismiss)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, _MARGIN_PX, 6, _MARGIN_PX)
        layout.addWidget(self._sign)
        layout.addWidget(self._text, 1)
        layout.addWidget(self._dismiss)
        # Two lines of text, whatever is shown.
        self.setFixedHeight(_LINES * self._text.fontMetrics().lineSpacing() + 2 * _MARGIN_PX + 4)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_INFO_MS)
        self._timer.timeout.connect(self._drop_infos)
        self._render()

    @property
    def shown(self) -> Message | None:
        """The message on display, if any."""
        return self._waiting[-1] if self._waiting else None

    @property
    def text(self) -> str:
        """The text on display."""
        return self._text.text()

    def push(self, message: Message) -> None:
        """Add a message. One that already waits is only moved to the front of its level."""
        if message not in self._waiting:
            entry = LoggedMessage(datetime.now().astimezone(), message)
            self.log.append(entry)
            self.logged.emit(entry)
        self._waiting = [other for other in self._waiting if other != message and not _replaces(message, other)]
        if message.level is MessageLevel.INFO:
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

    def clear(self, topic: Topic) -> None:
        """Remove the messages of a topic: their cause has gone."""
        self._waiting = [message for message in self._waiting if message.topic is not topic]
        self._render()

    def _drop_infos(self) -> None:
        self._waiting = [message for message in self._waiting if message.level is not MessageLevel.INFO]
        self._render()

    def _render(self) -> None:
        message = self.shown
        self._dismiss.setVisible(message is not None)
        self._sign.setVisible(message is not None)
        if message is None:
            self._text.setText("")
            self.setToolTip("")
            set_style(self, "level", "none")
            return
        text = _PREFIX[message.level] + " ".join(message.text.split())
        self._text.setText(text)
        self.setToolTip(text)
        more = len(self._waiting) - 1
        self._dismiss.setText(f"Dismiss  ({more} more)" if more else "Dismiss")
        self._sign.show_icon(*_SIGNS[message.level])
        set_style(self, "level", message.level)


def _replaces(newer: Message, older: Message) -> bool:
    """Whether a message makes an older one obsolete: it is of the same topic, or both are information."""
    if newer.topic is not None and newer.topic is older.topic:
        return True
    return newer.level is older.level is MessageLevel.INFO
