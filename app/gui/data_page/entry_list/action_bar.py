"""The buttons below the list: what can be done with what is selected, and why something cannot."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from app.gui.data_page.entry_list.actions import EntryAction
from app.gui.widgets.icons import icon
from app.gui.widgets.labels import ElidedLabel
from app.gui.widgets.style import set_style

_BUTTONS = tuple(action for action in EntryAction if action is not EntryAction.REPAIR)


class ActionBar(QWidget):
    """A button for each action. One that cannot be done is disabled, and its tool tip says why."""

    #: An EntryAction.
    requested = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self.text = ElidedLabel("muted")
        self.buttons = {action: QPushButton(action.value.text) for action in _BUTTONS}
        set_style(self.buttons[EntryAction.PLAY], "tone", "primary")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.text, 1)
        for action, button in self.buttons.items():
            button.setObjectName("small")
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setProperty("action", action)
            if action.value.icon:
                button.setIcon(icon(action.value.icon))
            button.clicked.connect(self._request)
            layout.addWidget(button)

    def show_refusals(self, refusals: Mapping[EntryAction, str]) -> None:
        """Enable what can be done."""
        for action, button in self.buttons.items():
            why_not, text = refusals.get(action, ""), action.value
            button.setEnabled(not why_not)
            button.setToolTip(why_not or (f"{text.tip}  ({text.key})" if text.key else text.tip))

    def _request(self) -> None:
        sender = self.sender()
        assert sender is not None
        self.requested.emit(sender.property("action"))
