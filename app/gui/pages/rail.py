"""The rail at the left of the window: a button for every page."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QAction, QActionGroup, QShowEvent
from PyQt6.QtWidgets import QToolBar

from app.gui.widgets.icons import icon


class Rail(QToolBar):
    """Buttons of the pages, from top to bottom; the one of the page that is shown is pressed."""

    #: The operator wants to see a page; its number.
    chosen = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__("Pages")
        self.setObjectName("rail")
        self.setMovable(False)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        self._group = QActionGroup(self)
        self._group.triggered.connect(self._tell)

    def add_page(self, title: str, icon_name: str, tip: str) -> QAction:
        """Add a button below the others."""
        action = self.addAction(icon(icon_name), title)
        assert action is not None
        action.setCheckable(True)
        action.setToolTip(tip)
        action.setData(len(self._group.actions()))
        self._group.addAction(action)
        return action

    def showEvent(self, event: QShowEvent | None) -> None:
        """Make all buttons as wide as the widest one; only now they have their font."""
        super().showEvent(event)
        buttons = [button for action in self._group.actions() if (button := self.widgetForAction(action)) is not None]
        width = max((button.sizeHint().width() for button in buttons), default=0)
        for button in buttons:
            button.setMinimumWidth(width)

    def show_chosen(self, number: int) -> None:
        """Press the button of a page."""
        self._group.actions()[number].setChecked(True)

    def _tell(self, action: QAction) -> None:
        self.chosen.emit(action.data())
