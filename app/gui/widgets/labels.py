"""Small labels that several parts of the window share."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QFontMetrics, QResizeEvent
from PyQt6.QtWidgets import QFrame, QGridLayout, QLabel, QLayout, QSizePolicy, QVBoxLayout, QWidget

from app.gui.widgets.style import MUTED, TEXT


def caption_label(text: str) -> QLabel:
    """Return a small label that stands over what it names."""
    label = QLabel(text)
    label.setObjectName("caption")
    return label


def add_field(grid: QGridLayout, name: str, field: QWidget, tip: str, place: tuple[int, int], columns: int = 1) -> None:
    """Put a field under its caption, at (row, column) and over so many columns."""
    row, column = place
    field.setToolTip(tip)
    field.setAccessibleName(name)
    grid.addWidget(caption_label(name), row, column, 1, columns)
    grid.addWidget(field, row + 1, column, 1, columns)


def card(layout: QLayout) -> QFrame:
    """Return a panel around a layout."""
    frame = QFrame()
    frame.setObjectName("card")
    frame.setLayout(layout)
    return frame


class ElidedLabel(QLabel):
    """One line that ends in an ellipsis when it does not fit; its tool tip then has all of it."""

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.setObjectName(name)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._full = ""

    @property
    def full_text(self) -> str:
        """The whole line."""
        return self._full

    def show_text(self, text: str) -> None:
        """Show one line of text."""
        if text != self._full:
            self._full = text
            self._elide()

    def minimumSizeHint(self) -> QSize:
        """Ask for the height only."""
        return QSize(0, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Shorten the text anew."""
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        shown = QFontMetrics(self.font()).elidedText(self._full, Qt.TextElideMode.ElideRight, self.width())
        self.setText(shown)
        self.setToolTip(self._full if shown != self._full else "")


class Tile(QWidget):
    """A large number with its unit, under a small caption."""

    def __init__(self, caption: str) -> None:
        super().__init__()
        self._caption = caption_label(caption)
        self._value = QLabel()
        self._value.setObjectName("value")
        self._value.setTextFormat(Qt.TextFormat.RichText)
        self.layout_ = QVBoxLayout(self)
        self.layout_.setContentsMargins(0, 0, 0, 0)
        self.layout_.setSpacing(2)
        self.layout_.addWidget(self._caption)
        self.layout_.addWidget(self._value)
        self._parts: tuple[tuple[str, str, str], ...] = ()

    @property
    def text(self) -> str:
        """Caption, numbers and units as plain words."""
        return " ".join([self._caption.text(), *(f"{value} {unit}" for value, unit, _ in self._parts)])

    def set_caption(self, caption: str) -> None:
        """Change the caption."""
        if caption != self._caption.text():
            self._caption.setText(caption)

    def show_parts(self, *parts: tuple[str, str, str]) -> None:
        """Show numbers in a row, each as (number, unit, colour); an empty colour is the usual one."""
        if parts == self._parts:
            return
        self._parts = parts
        self._value.setText(
            "&nbsp;&nbsp;".join(
                f'<span style="color:{colour or TEXT}">{value}</span>'
                f'<span style="font-size:13px; color:{MUTED}">&nbsp;{unit}</span>'
                for value, unit, colour in parts
            )
        )
