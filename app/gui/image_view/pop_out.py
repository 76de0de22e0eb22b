"""A window of its own for one pane."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QCloseEvent
from PyQt6.QtWidgets import QVBoxLayout, QWidget

from app.gui.image_view.pane import Pane
from app.gui.widgets.style import GAP_PX

_SIZE_PX = (720, 760)


class PopOut(QWidget):
    """Shows a pane. When the window is closed, it gives the pane back.

    Parameters
    ----------
    pane : Pane
        The pane; it leaves the layout that it is in.
    owner : QWidget
        The window ends together with this one.
    """

    closed = pyqtSignal(object)

    def __init__(self, pane: Pane, owner: QWidget) -> None:
        super().__init__(owner, Qt.WindowType.Window)
        self.setObjectName("popout")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.pane = pane
        layout = QVBoxLayout(self)
        layout.setContentsMargins(GAP_PX, GAP_PX, GAP_PX, GAP_PX)
        layout.addWidget(pane)
        pane.show()
        self.resize(*_SIZE_PX)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Give the pane back."""
        self.closed.emit(self.pane)
        super().closeEvent(event)
