"""What the window shows while no instrument is open."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.gui.widgets.style import set_style

_WIDTH_PX = 640


class EmptyPage(QWidget):
    """Says what is happening or what is wrong, and offers the ways on."""

    open_clicked = pyqtSignal()
    setup_clicked = pyqtSignal()
    simulated_clicked = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.heading = QLabel()
        self.heading.setObjectName("product")
        self.text = QLabel()
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setWordWrap(True)
        self.text.setFixedWidth(_WIDTH_PX)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setup = QPushButton("Set up instrument…")
        self.open = QPushButton("Open instrument file…")
        self.simulated = QPushButton("Use simulated instrument")
        set_style(self.setup, "tone", "primary")
        buttons = QHBoxLayout()
        for button, signal in (
            (self.setup, self.setup_clicked),
            (self.open, self.open_clicked),
            (self.simulated, self.simulated_clicked),
        ):
            button.clicked.connect(signal)
            buttons.addWidget(button)
        buttons.addStretch(1)
        column = QVBoxLayout()
        column.setSpacing(16)
        column.addWidget(self.heading)
        column.addWidget(self.text)
        column.addLayout(buttons)
        centred = QHBoxLayout()
        centred.addStretch(1)
        centred.addLayout(column)
        centred.addStretch(1)
        layout = QVBoxLayout(self)
        layout.addStretch(2)
        layout.addLayout(centred)
        layout.addStretch(3)
        self.show_choice()

    def show_busy(self, heading: str, text: str) -> None:
        """Show what is happening; there is nothing to choose."""
        self._show(heading, text, choose=False)

    def show_choice(self, problem: str = "") -> None:
        """Offer the ways on, after a problem if there was one."""
        heading = "The instrument cannot be opened" if problem else "No instrument is open"
        self._show(
            heading, problem or "Open an instrument file, set up a new one, or use the simulated instrument.", choose=True
        )

    def _show(self, heading: str, text: str, *, choose: bool) -> None:
        self.heading.setText(heading)
        self.text.setText(text)
        for button in (self.setup, self.open, self.simulated):
            button.setVisible(choose)
