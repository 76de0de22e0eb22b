"""The bottom of the window: where pictures are drawn, whether the instrument is simulated, and the drawer's button."""

from __future__ import annotations

from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QLabel, QStatusBar, QToolButton

from app.gui.image_view.drawing.choice import drawing_in_use

_SIMULATED = "Simulated instrument: no light is measured"


class StatusBar(QStatusBar):
    """Facts that stay in view whatever page is shown.

    Parameters
    ----------
    drawer : QAction
        Shows or hides jobs and messages.
    """

    def __init__(self, drawer: QAction) -> None:
        super().__init__()
        self.setSizeGripEnabled(False)
        self.simulated = QLabel(_SIMULATED)
        self.simulated.setObjectName("simulated")
        self.simulated.hide()
        drawing = QLabel(drawing_in_use().reason)
        drawing.setObjectName("muted")
        drawing.setToolTip("Where pictures are drawn: see the option --drawing of specklescope gui")
        button = QToolButton()
        button.setDefaultAction(drawer)
        for widget in (drawing, self.simulated, button):
            self.addPermanentWidget(widget)
