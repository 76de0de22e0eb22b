"""Lines above the list: what a crash has cut off, and archives that cannot be read; each with what can be done about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from app.gui.widgets.icons import IconLabel, Ink
from app.gui.widgets.style import set_style


class NoticeAction(Enum):
    """What can be done about a notice; the value is the button."""

    SHOW = "Show"
    REPAIR = "Repair"
    LOOK_AGAIN = "Look again"
    FORGET = "Remove from list"
    CONTINUE = "Continue"
    DISCARD = "Discard"
    HIDE = "Hide"


class NoticeKind(Enum):
    """What a notice is about."""

    CUT_OFF = auto()
    ARCHIVE_GONE = auto()
    UNFINISHED_COPY = auto()


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A line above the list.

    Parameters
    ----------
    kind : NoticeKind
        What it is about.
    subject : object
        What is given back with the button that is pressed, such as the archive.
    text : str
        One or two sentences.
    actions : tuple of NoticeAction
        Its buttons.
    """

    kind: NoticeKind
    subject: object
    text: str
    actions: tuple[NoticeAction, ...]


class NoticeList(QWidget):
    """The notices, one below the other; without any it takes no room.

    Parameters
    ----------
    after : QWidget
        Tab goes from this widget to the first button of the notices.
    """

    #: A Notice and the NoticeAction that the operator wants.
    requested = pyqtSignal(object, object)

    def __init__(self, after: QWidget) -> None:
        super().__init__()
        self._after = after
        self._shown: tuple[Notice, ...] = ()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(6)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.hide()

    @property
    def shown(self) -> tuple[Notice, ...]:
        """The notices."""
        return self._shown

    def show_notices(self, notices: Sequence[Notice]) -> None:
        """Show these notices."""
        if tuple(notices) == self._shown:
            return
        self._shown = tuple(notices)
        while (item := self._layout.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        before = self._after
        for notice in notices:
            strip = _Strip(notice)
            strip.requested.connect(self.requested)
            self._layout.addWidget(strip)
            for button in strip.buttons.values():
                QWidget.setTabOrder(before, button)  # new widgets would come behind all others
                before = button
        self.setVisible(bool(notices))

    def button(self, action: NoticeAction, number: int = 0) -> QPushButton:
        """Return a button of a notice."""
        item = self._layout.itemAt(number)
        strip = item.widget() if item is not None else None
        assert isinstance(strip, _Strip)
        return strip.buttons[action]


class _Strip(QFrame):
    """One notice."""

    requested = pyqtSignal(object, object)

    def __init__(self, notice: Notice) -> None:
        super().__init__()
        self._notice = notice
        self.setObjectName("result")
        set_style(self, "outcome", "doubtful")
        sign = IconLabel()
        sign.show_icon("warning", Ink.WARNING)
        text = _WrappedLabel(notice.text)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 5, 6, 5)
        layout.addWidget(sign)
        layout.addWidget(text, 1)
        self.buttons = {action: QPushButton(action.value) for action in notice.actions}
        for action, button in self.buttons.items():
            button.setObjectName("small")
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setProperty("action", action)
            button.clicked.connect(self._request)
            layout.addWidget(button)

    def _request(self) -> None:
        sender = self.sender()
        assert sender is not None
        self.requested.emit(self._notice, sender.property("action"))


class _WrappedLabel(QLabel):
    """Text in as many lines as its width needs."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def minimumSizeHint(self) -> QSize:
        """Ask for a height only."""
        return QSize(0, super().minimumSizeHint().height())
