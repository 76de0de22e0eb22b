"""Files that are dropped on a window: while they are dragged over it, a card says what would be done with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QEvent, QMimeData, QObject, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QDragEnterEvent, QDropEvent
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.gui.widgets.icons import IconLabel, Ink
from app.gui.widgets.style import set_style
from drivers.base import SpeckleScopeError

_WIDTH_PX = 560
_MARGIN_PX = 20
_SIGN_PX = 28


class FileDrop(QObject):
    """Lets a window take files.

    Fields of text inside the window go on taking text. Whatever else takes drops inside it keeps files from the window.

    Parameters
    ----------
    window : QWidget
        The window.
    say : callable
        Given the dragged paths, returns in one sentence what would be done with them; raises SpeckleScopeError where nothing
        can be done. It has to be quick.
    """

    #: The paths that were dropped, a tuple of Path. It comes when the other program has been answered.
    dropped = pyqtSignal(object)
    #: Why what was dropped is no file.
    refused = pyqtSignal(str)

    def __init__(self, window: QWidget, say: Callable[[tuple[Path, ...]], str]) -> None:
        super().__init__(window)
        self.card = _Card(window)
        self._say = say
        self._waiting: list[tuple[Path, ...] | str] = []
        window.setAcceptDrops(True)
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Follow a drag over the window."""
        if isinstance(event, QDragEnterEvent):
            return self._enter(event)
        if event is not None and event.type() is QEvent.Type.DragMove and not self.card.isHidden():
            event.accept()
            return True
        if event is not None and event.type() is QEvent.Type.DragLeave:
            self.card.hide()
        if isinstance(event, QDropEvent) and event.type() is QEvent.Type.Drop:
            return self._drop(event)
        return super().eventFilter(watched, event)

    def _enter(self, event: QDragEnterEvent) -> bool:
        mime = event.mimeData()
        if mime is None or not mime.hasUrls():
            return False
        try:
            self.card.show_offer(self._say(_paths(mime)))
        except SpeckleScopeError as error:
            self.card.show_refusal(str(error))
        # Also what cannot be opened: the drop says why, and the desktop would show no reason.
        event.setDropAction(Qt.DropAction.CopyAction)
        event.accept()
        return True

    def _drop(self, event: QDropEvent) -> bool:
        self.card.hide()
        mime = event.mimeData()
        if mime is None or not mime.hasUrls():
            return False
        event.setDropAction(Qt.DropAction.CopyAction)
        event.accept()
        try:
            self._waiting.append(_paths(mime))
        except SpeckleScopeError as error:
            self._waiting.append(str(error))
        QTimer.singleShot(0, self._tell)  # a question meanwhile would make the other program wait
        return True

    def _tell(self) -> None:
        waiting = self._waiting.pop(0)
        if isinstance(waiting, str):
            self.refused.emit(waiting)
        else:
            self.dropped.emit(waiting)


def _paths(mime: QMimeData) -> tuple[Path, ...]:
    """Return the dragged paths; raises SpeckleScopeError for addresses of other computers."""
    urls = mime.urls()
    for url in urls:
        if not url.isLocalFile():
            shown = url.toDisplayString()
            raise SpeckleScopeError(f"{shown} is no file of this computer; save it on this computer, and drop the file")
    return tuple(Path(url.toLocalFile()) for url in urls)


class _Card(QFrame):
    """Says in the middle of the window what would happen."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setObjectName("drop")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._sign = IconLabel(_SIGN_PX)
        self.heading = QLabel()
        self.heading.setObjectName("heading")
        self.text = QLabel()
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setWordWrap(True)
        texts = QVBoxLayout()
        texts.setSpacing(6)
        texts.addWidget(self.heading)
        texts.addWidget(self.text, 1)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(_MARGIN_PX, _MARGIN_PX, _MARGIN_PX, _MARGIN_PX)
        layout.setSpacing(_MARGIN_PX)
        layout.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        layout.addLayout(texts, 1)
        self.hide()

    def show_offer(self, text: str) -> None:
        """Show what would be done."""
        self._sign.show_icon("good", Ink.ACCENT)
        self._show("Drop to open", text, "good")

    def show_refusal(self, text: str) -> None:
        """Show why nothing would be done."""
        self._sign.show_icon("error", Ink.ALARM)
        self._show("This cannot be opened", text, "bad")

    def _show(self, heading: str, text: str, outcome: str) -> None:
        set_style(self, "outcome", outcome)
        self.heading.setText(heading)
        self.text.setText(text)
        window = self.parentWidget()
        assert window is not None
        self.show()
        self.raise_()
        layout = self.layout()
        assert layout is not None
        layout.invalidate()  # it has kept the height of the text before
        width = min(_WIDTH_PX, window.width() - 2 * _MARGIN_PX)
        height = layout.totalHeightForWidth(width)
        self.setGeometry((window.width() - width) // 2, (window.height() - height) // 2, width, height)
