"""What the left mouse button does on a picture, as actions with names, keys and tool tips."""

from __future__ import annotations

from enum import Enum

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtGui import QAction, QActionGroup, QKeySequence
from PyQt6.QtWidgets import QWidget

from app.gui.widgets.icons import icon
from app.measuring.measurement import Kind


class Tool(Enum):
    """What the left mouse button does."""

    MOVE = "move"
    POINT = "point"
    DISTANCE = "distance"
    PROFILE = "profile"
    RECTANGLE = "rectangle"
    ELLIPSE = "ellipse"
    #: Draws the part of the camera's picture that the camera shall read out.
    CAMERA_ROI = "camera roi"

    @property
    def kind(self) -> Kind | None:
        """What is measured with it; None when nothing is."""
        return None if self in (Tool.MOVE, Tool.CAMERA_ROI) else Kind(self.value)


_TEXTS = {
    Tool.MOVE: ("Move", "Drag moves the picture, the wheel zooms", "V"),
    Tool.POINT: ("Point", "Value of a pixel, and its course over time", "I"),
    Tool.DISTANCE: ("Distance", "Length and angle of a line", "D"),
    Tool.PROFILE: ("Profile", "The values along a line", "P"),
    Tool.RECTANGLE: ("Rectangle", "Mean, deviation, extremes, area and saturated part of a rectangle", "B"),
    Tool.ELLIPSE: ("Ellipse", "Mean, deviation, extremes, area and saturated part of an ellipse", "O"),
    Tool.CAMERA_ROI: ("Camera ROI", "Draw the part of the speckle picture that the camera shall read out", ""),
}


class ToolActions(QObject):
    """One action for each tool; one of them is chosen.

    Parameters
    ----------
    owner : QWidget
        The widget that the actions belong to.
    """

    chosen = pyqtSignal(object)

    def __init__(self, owner: QWidget) -> None:
        super().__init__(owner)
        self._group = QActionGroup(self)
        self._actions = {tool: self._action(tool, owner) for tool in Tool}
        self._actions[Tool.MOVE].setChecked(True)
        self._group.triggered.connect(self._tell)

    def __getitem__(self, tool: Tool) -> QAction:
        return self._actions[tool]

    def all(self) -> tuple[QAction, ...]:
        """Return every action."""
        return tuple(self._actions.values())

    @property
    def tool(self) -> Tool:
        """The tool that is chosen."""
        return next(tool for tool, action in self._actions.items() if action.isChecked())

    def choose(self, tool: Tool) -> None:
        """Choose a tool."""
        self._actions[tool].setChecked(True)
        self.chosen.emit(tool)

    def _tell(self, action: QAction) -> None:
        self.chosen.emit(next(tool for tool, own in self._actions.items() if own is action))

    def _action(self, tool: Tool, owner: QWidget) -> QAction:
        text, tip, keys = _TEXTS[tool]
        action = QAction(icon(tool.value), text, owner)
        action.setObjectName(f"measure.{tool.name.lower()}")
        action.setCheckable(True)
        if keys:
            action.setShortcut(QKeySequence(keys))
            action.setAutoRepeat(False)
        action.setToolTip(f"{tip}  ({keys})" if keys else tip)
        action.setStatusTip(tip)
        self._group.addAction(action)
        return action
