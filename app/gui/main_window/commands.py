"""The commands of a window as actions: they fill its menus, and every one is told by one signal."""

from __future__ import annotations

from collections.abc import Iterator

from PyQt6.QtCore import QEvent, QObject, Qt, pyqtSignal
from PyQt6.QtGui import QAction, QActionGroup, QKeyEvent, QKeySequence
from PyQt6.QtWidgets import QAbstractButton, QComboBox, QMainWindow, QMenuBar, QWidget

from app.gui.command import PAGE_COMMANDS, Command, CommandText, Menu


class Commands(QObject):
    """The actions of one window.

    A key goes where the focus visibly is: letters are typed in a field, and Space presses the button that has the focus.
    """

    #: The operator gives a command; the Command.
    given = pyqtSignal(object)

    def __init__(self, window: QMainWindow) -> None:
        super().__init__(window)
        self._group = QActionGroup(self)
        self._group.setExclusionPolicy(QActionGroup.ExclusionPolicy.None_)
        self._group.triggered.connect(self._give)
        self._actions = {command: _action(command, window) for command in Command}
        for action in self._actions.values():
            self._group.addAction(action)
        window.addActions(list(self._actions.values()))

    def __getitem__(self, command: Command) -> QAction:
        return self._actions[command]

    def _give(self, action: QAction) -> None:
        self.given.emit(action.data())

    def fill(self, bar: QMenuBar) -> None:
        """Make the menus."""
        for menu in Menu:
            shown = bar.addMenu(menu.value)
            assert shown is not None
            shown.setToolTipsVisible(True)
            shown.addActions([action for command, action in self._actions.items() if command.value.menu is menu])

    def key_list(self) -> Iterator[tuple[str, str]]:
        """Yield every key with what it does."""
        for command in Command:
            if command.value.keys:
                what = f"{command.value.text} page" if command in PAGE_COMMANDS else command.value.text.removesuffix("…")
                yield command.value.keys, what

    def watch(self, widget: QWidget) -> None:
        """Let keys go to the fields and buttons inside a widget first."""
        for child in widget.findChildren(QWidget):
            if isinstance(child, QAbstractButton | QComboBox):  # fields keep what is typed by themselves
                child.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Keep a key for the widget that has the focus, where it means something there."""
        if isinstance(event, QKeyEvent) and event.type() is QEvent.Type.ShortcutOverride and _keeps(watched, event):
            event.accept()
            return True
        return super().eventFilter(watched, event)


def _keeps(widget: QObject | None, event: QKeyEvent) -> bool:
    """Whether a button or a list of choices uses a key itself."""
    plain = event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier)
    if isinstance(widget, QComboBox):
        return plain and event.text().isprintable() and event.text() != ""
    return plain and event.key() == Qt.Key.Key_Space


def _action(command: Command, window: QMainWindow) -> QAction:
    text: CommandText = command.value
    action = QAction(text.text, window)
    action.setData(command)
    action.setCheckable(text.checkable)
    if text.keys:
        action.setShortcut(QKeySequence(text.keys))
        action.setAutoRepeat(False)
    shown = f"{text.tip}  ({text.keys})" if text.keys else text.tip
    action.setToolTip(shown)
    action.setStatusTip(text.tip)
    return action
