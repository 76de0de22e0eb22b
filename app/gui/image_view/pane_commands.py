"""The commands of the panes as actions with names, keys and tool tips, for menus and for the list of keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from PyQt6.QtGui import QAction, QKeySequence
from PyQt6.QtWidgets import QWidget


@dataclass(frozen=True, kw_only=True)
class PaneCommandText:
    """How a command of the panes appears.

    Parameters
    ----------
    name : str
        Its key in a list of shortcuts.
    text : str
        Its words in a menu.
    tip : str
        What it does, in one sentence without a full stop.
    keys : str
        Its shortcut, as Qt writes it; empty for none.
    checkable : bool
        Whether it is a state that is on or off.
    """

    name: str
    text: str
    tip: str
    keys: str = ""
    checkable: bool = False


class PaneCommand(Enum):
    """Everything that the panes can be told to do."""

    ONE = PaneCommandText(name="panes.one", text="One pane", tip="Show one pane", keys="Ctrl+1", checkable=True)
    TWO = PaneCommandText(name="panes.two", text="Two panes", tip="Show two panes", keys="Ctrl+2", checkable=True)
    THREE = PaneCommandText(name="panes.three", text="Three panes", tip="Show three panes", keys="Ctrl+3", checkable=True)
    FOUR = PaneCommandText(name="panes.four", text="Four panes", tip="Show four panes", keys="Ctrl+4", checkable=True)
    LINK = PaneCommandText(
        name="panes.link",
        text="Link zoom",
        tip="Panes of the same plane share zoom and position: phase, overlay, uncertainty, truth and error",
        keys="L",
        checkable=True,
    )
    ENLARGE = PaneCommandText(
        name="panes.enlarge", text="Enlarge pane", tip="Show only the current pane, and back", keys="Z", checkable=True
    )
    POP_OUT = PaneCommandText(
        name="panes.pop_out", text="Pane in its own window", tip="Move the current pane to a window of its own, and back",
        keys="Ctrl+Shift+P",
    )  # fmt: skip
    NEXT = PaneCommandText(
        name="panes.next", text="Next pane", tip="Make the next pane the current one, on which keys act", keys="Ctrl+Tab"
    )
    ZOOM_IN = PaneCommandText(name="panes.zoom_in", text="Zoom in", tip="Enlarge the current picture", keys="Ctrl++")
    ZOOM_OUT = PaneCommandText(name="panes.zoom_out", text="Zoom out", tip="Reduce the current picture", keys="Ctrl+-")
    COPY = PaneCommandText(
        name="panes.copy", text="Copy picture", tip="Copy the current pane with its scale bar to the clipboard", keys="Ctrl+C"
    )
    CLIPPED = PaneCommandText(
        name="panes.clipped",
        text="Mark clipped pixels",
        tip="Mark pixels at or beyond the levels in the current pane",
        keys="C",
    )
    NEAREST = PaneCommandText(
        name="panes.nearest", text="Pixels with sharp edges", tip="Enlarge the current pane without interpolation", keys="N"
    )
    CROSS_HAIR = PaneCommandText(
        name="panes.cross_hair", text="Cross-hair", tip="Lines through the centre of the current pane", keys="X"
    )
    GRID = PaneCommandText(name="panes.grid", text="Grid", tip="A grid over the current pane", keys="G")


class PaneCommands:
    """The actions; their owner decides what they do.

    Parameters
    ----------
    owner : QWidget
        The widget that the actions belong to.
    """

    def __init__(self, owner: QWidget) -> None:
        self._actions = {command: _action(command.value, owner) for command in PaneCommand}

    def __getitem__(self, command: PaneCommand) -> QAction:
        return self._actions[command]

    def all(self) -> tuple[QAction, ...]:
        """Return every action."""
        return tuple(self._actions.values())

    def command_of(self, action: QAction) -> PaneCommand:
        """Return the command of an action."""
        return next(command for command, own in self._actions.items() if own is action)

    def connect(self, command: PaneCommand, slot: Callable[[], object]) -> None:
        """Call ``slot``, a bound method, for a command."""
        self._actions[command].triggered.connect(slot)


def _action(text: PaneCommandText, owner: QWidget) -> QAction:
    action = QAction(text.text, owner)
    action.setObjectName(text.name)
    action.setCheckable(text.checkable)
    if text.keys:
        action.setShortcut(QKeySequence(text.keys))
        action.setAutoRepeat(False)
    action.setToolTip(f"{text.tip}  ({text.keys})" if text.keys else text.tip)
    action.setStatusTip(text.tip)
    return action
