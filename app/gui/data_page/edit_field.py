"""One line that can be changed in place: Enter or another place stores it, Escape brings back what was there."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, Qt, pyqtSignal
from PyQt6.QtGui import QFocusEvent, QKeyEvent
from PyQt6.QtWidgets import QLineEdit, QPlainTextEdit


class EditField(QLineEdit):
    """A line of text that is stored when it is left."""

    #: A text that differs from the one that was shown.
    committed = pyqtSignal(str)
    #: What is stored was brought back.
    restored = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("compact")
        self._shown = ""
        self.editingFinished.connect(self.commit)

    def show_text(self, text: str) -> None:
        """Show what is stored; what the operator is typing now stays."""
        is_typing = self.hasFocus() and self.text() != self._shown
        self._shown = text
        if not is_typing and self.text() != text:
            self.setText(text)
            self.setCursorPosition(0)

    def commit(self) -> None:
        """Store what was typed."""
        if self.text() != self._shown:
            self._shown = self.text()
            self.committed.emit(self._shown)

    def restore(self) -> None:
        """Bring back what is stored."""
        self.setText(self._shown)
        self.restored.emit()

    def refuse(self, stored: str) -> None:
        """Keep what was typed, although it could not be stored; Escape brings ``stored`` back."""
        self._shown = stored

    def event(self, event: QEvent | None) -> bool:
        """Keep Escape from the window: it brings back what is stored."""
        is_escape = isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape
        if event is not None and is_escape and event.type() is QEvent.Type.ShortcutOverride and self.text() != self._shown:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Bring back what is stored by Escape."""
        if event is not None and event.key() == Qt.Key.Key_Escape:
            self.restore()
            return
        super().keyPressEvent(event)


class EditText(QPlainTextEdit):
    """Lines of text that are stored when they are left."""

    #: A text that differs from the one that was shown.
    committed = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setTabChangesFocus(True)
        self._shown = ""

    def show_text(self, text: str) -> None:
        """Show what is stored; what the operator is typing now stays."""
        is_typing = self.hasFocus() and self.toPlainText() != self._shown
        self._shown = text
        if not is_typing and self.toPlainText() != text:
            self.setPlainText(text)

    def commit(self) -> None:
        """Store what was typed."""
        if self.toPlainText() != self._shown:
            self._shown = self.toPlainText()
            self.committed.emit(self._shown)

    def focusOutEvent(self, event: QFocusEvent | None) -> None:
        """Store what was typed when the field is left."""
        super().focusOutEvent(event)
        self.commit()
