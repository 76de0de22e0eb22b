"""Labels, captions and frames that several windows share."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import QEvent, QSize, Qt
from PyQt6.QtGui import QFontMetrics, QResizeEvent
from PyQt6.QtWidgets import QFrame, QGridLayout, QLabel, QLayout, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from app.gui.widgets.palette import colours

_SCROLL_BAR_PX = 12
_PANEL_PX = 340


def caption_label(text: str) -> QLabel:
    """Return a small label that stands above the widget that it names."""
    label = QLabel(text)
    label.setObjectName("caption")
    return label


@dataclass(frozen=True)
class FieldPlace:
    """Where a field goes in a grid: its caption into ``row``, the field into the next row, both over ``columns`` columns."""

    row: int
    column: int
    columns: int = 1


def add_field(grid: QGridLayout, caption: str, field: QWidget, tip: str, place: FieldPlace) -> None:
    """Put a field below its caption into a grid."""
    field.setToolTip(tip)
    field.setAccessibleName(caption)
    grid.addWidget(caption_label(caption), place.row, place.column, 1, place.columns)
    grid.addWidget(field, place.row + 1, place.column, 1, place.columns)


def card(layout: QLayout) -> QFrame:
    """Return a panel around a layout."""
    frame = QFrame()
    frame.setObjectName("card")
    frame.setLayout(layout)
    return frame


class _PanelArea(QScrollArea):
    """A place for a panel that leaves most of a small screen to the pictures; the operator can make it wider."""

    def sizeHint(self) -> QSize:
        """Return the width that the panel opens with."""
        return QSize(max(self.minimumWidth(), _PANEL_PX), super().sizeHint().height())


def scrolled(panel: QWidget) -> QScrollArea:
    """Return a panel that can be scrolled where it is higher than its place; it is never narrower than its content."""
    area = _PanelArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(panel)
    area.setMinimumWidth(panel.minimumSizeHint().width() + _SCROLL_BAR_PX)
    return area


class ElidedLabel(QLabel):
    """One line of text that ends in an ellipsis when it does not fit; its tooltip then shows the whole line."""

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
        """Ask for a height only; the text is shortened to any width."""
        return QSize(0, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Shorten the text to the new width."""
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        shown = QFontMetrics(self.font()).elidedText(self._full, Qt.TextElideMode.ElideRight, self.width())
        self.setText(shown)
        self.setToolTip(self._full if shown != self._full else "")


class Tile(QWidget):
    """A large number with its unit, below a small caption."""

    _parts: tuple[tuple[str, str, str], ...] = ()  # of the class, for events that come before the end of ``__init__``

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

    @property
    def text(self) -> str:
        """Caption, numbers and units as plain text."""
        return " ".join([self._caption.text(), *(f"{value} {unit}" for value, unit, _ in self._parts)])

    def set_caption(self, caption: str) -> None:
        """Change the caption."""
        if caption != self._caption.text():
            self._caption.setText(caption)

    def show_parts(self, *parts: tuple[str, str, str]) -> None:
        """Show numbers in a row, each as (number, unit, colour). An empty colour means the colour of text."""
        if parts == self._parts:
            return
        self._parts = parts
        self._render()

    def changeEvent(self, event: QEvent | None) -> None:
        """Write the numbers in the colours of a new theme."""
        super().changeEvent(event)
        if event is not None and event.type() is QEvent.Type.StyleChange and self._parts:
            self._render()

    def _render(self) -> None:
        self._value.setText(
            "&nbsp;&nbsp;".join(
                f'<span style="color:{colour or colours().text}">{value}</span>'
                f'<span style="font-size:13px; color:{colours().muted}">&nbsp;{unit}</span>'
                for value, unit, colour in self._parts
            )
        )
