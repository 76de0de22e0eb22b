"""An operator whose mouse and keyboard are those of the X server (XTEST, by xdotool): events come as real ones come."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence

from PyQt6 import sip
from PyQt6.QtCore import QEvent, QEventLoop, QObject, QPoint, QRect, Qt, QTimer
from PyQt6.QtGui import QAction, QEnterEvent, QKeyEvent, QMouseEvent
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QMenuBar,
    QTabWidget,
    QToolButton,
    QWidget,
)

_TIMEOUT_S = 20.0
_CHECK_MS = 3
#: Every two clicks that belong together are a double click, no two others are: the load of the computer decides nothing.
_ONE_BY_ONE_MS, _TOGETHER_MS = 0, 20_000
#: X names of keys whose number is not that of their character (keysymdef.h).
_KEYSYMS = {
    "space": 0x20,
    "minus": 0x2D,
    "BackSpace": 0xFF08,
    "Tab": 0xFF09,
    "Return": 0xFF0D,
    "Escape": 0xFF1B,
    "Home": 0xFF50,
    "Left": 0xFF51,
    "Up": 0xFF52,
    "Right": 0xFF53,
    "Down": 0xFF54,
    "Prior": 0xFF55,
    "Next": 0xFF56,
    "End": 0xFF57,
    "Delete": 0xFFFF,
    **{f"F{number}": 0xFFBD + number for number in range(1, 13)},
}
#: Signs on keys that need Shift: their release is that of the sign or of the bare key, whichever is released first.
_SHIFTED = {"plus": (0x2B, 0x3D), "question": (0x3F, 0x2F), "shift+Tab": (0xFE20, 0xFF09)}

Condition = Callable[[], bool]


class XOperator(QObject):
    """Moves the pointer, clicks and types. Every action ends when the window has handled its last event.

    Give ``until`` where the window may be gone before the button or the key is released, or where it answers later.
    """

    def __init__(self, display: str) -> None:
        super().__init__()
        self._environment = {**os.environ, "DISPLAY": display}
        self._released: list[int | QPoint] = []
        self._pointer: QPoint | None = None
        self._front: QWidget | None = None
        application = QApplication.instance()
        assert application is not None
        application.installEventFilter(self)

    def leave(self) -> None:
        """Put the pointer into a corner of the screen, where no window reacts to it, and watch no more."""
        application = QApplication.instance()
        assert application is not None
        application.removeEventFilter(self)
        QApplication.setDoubleClickInterval(400)
        self._xdotool("mousemove", 30_000, 30_000)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Note what arrives at the windows; nothing is kept from them."""
        if isinstance(event, QKeyEvent) and event.type() is QEvent.Type.KeyRelease:
            self._released.append(event.nativeVirtualKey())
        elif isinstance(event, QMouseEvent | QEnterEvent):
            self._pointer = event.globalPosition().toPoint()
            if event.type() is QEvent.Type.MouseButtonRelease:
                self._released.append(self._pointer)
        return False

    def click(
        self, widget: QWidget, at: QPoint | None = None, *, until: Condition | None = None, times: int = 1, button: int = 1
    ) -> None:
        """Click in the middle of a widget, or at a place in it."""
        self.activate(widget)
        _wait_for_layout(widget)
        place = widget.mapToGlobal(widget.rect().center() if at is None else at)
        self.click_at(place, until=until, times=times, button=button)

    def click_at(self, place: QPoint, *, until: Condition | None = None, times: int = 1, button: int = 1) -> None:
        """Click at a place of the screen, in the units of Qt."""
        QApplication.setDoubleClickInterval(_TOGETHER_MS if times > 1 else _ONE_BY_ONE_MS)
        since = self._begin()
        self._xdotool("mousemove", *self._pixels(place), "click", "--repeat", times, "--delay", 2, button)
        wait_until(until or (lambda: self._times_released(place, since) >= times))

    def click_cell(self, table: QAbstractItemView, row: int, column: int = 0, *, until: Condition | None = None) -> None:
        """Click in the middle of a cell of a table."""
        model, viewport = table.model(), table.viewport()
        assert model is not None
        assert viewport is not None
        _wait_for_layout(table)
        self.click(viewport, table.visualRect(model.index(row, column)).center(), until=until)

    def show_tab(self, tabs: QTabWidget, number: int) -> None:
        """Click the tab of a sheet, by its number."""
        bar = tabs.tabBar()
        assert bar is not None
        self.click(bar, bar.tabRect(number).center(), until=lambda: tabs.currentIndex() == number)

    def move(self, widget: QWidget, at: QPoint) -> None:
        """Move the pointer over a widget; no button is pressed."""
        self.activate(widget)
        _wait_for_layout(widget)
        self._begin()
        place = widget.mapToGlobal(at)
        if self._pointer is None or _near(self._pointer, place):
            # Qt drops a move to the place where it saw the pointer last, perhaps in another window. No hand jumps like that.
            self._move_to(place + QPoint(8 if at.x() < widget.width() / 2 else -8, 0))
        self._move_to(place)

    def drag(self, widget: QWidget, start: QPoint, end: QPoint, *, until: Condition | None = None) -> None:
        """Press the left button over a widget, move, and release it."""
        self.move(widget, start)
        QApplication.setDoubleClickInterval(_ONE_BY_ONE_MS)
        since = self._begin()
        self._xdotool("mousedown", 1)
        for step in range(1, 5):
            self._move_to(widget.mapToGlobal(start + (end - start) * step / 4))
        self._xdotool("mouseup", 1)
        place = widget.mapToGlobal(end)
        wait_until(until or (lambda: self._times_released(place, since) >= 1))

    def sweep(self, widget: QWidget, places: Sequence[QPoint]) -> None:
        """Move the pointer over places of a widget, faster than a hand; end when the window has handled the last."""
        self.move(widget, places[0])
        self._begin()
        last = widget.mapToGlobal(places[-1])
        moves = [word for place in places[1:] for word in ("mousemove", *self._pixels(widget.mapToGlobal(place)))]
        self._xdotool(*moves)
        wait_until(lambda: self._pointer is not None and _near(self._pointer, last))

    def wheel_up(self, place: QPoint, *, until: Condition) -> None:
        """Turn the wheel up, three steps."""
        self._xdotool("mousemove", *self._pixels(place), "click", "--repeat", 3, 4)
        wait_until(until)

    def key(self, *keys: str, until: Condition | None = None) -> None:
        """Press keys, as X names them: ``space``, ``ctrl+c``."""
        if not _has_keys() and self._front is not None and not sip.isdeleted(self._front) and self._front.isVisible():
            self.activate(self._front)  # a dialog that closes can leave the keys to no window
        wait_until(_has_keys)
        since = self._begin()
        self._xdotool("key", "--delay", 1, *keys)
        last = _keysyms(keys[-1])
        times = sum(_keysyms(key) == last for key in keys)
        wait_until(until or (lambda: sum(each in last for each in self._released[since:]) >= times))

    def type(self, text: str, *, until: Condition | None = None) -> None:
        """Type a text into the widget that has the focus."""
        field = QApplication.focusWidget()
        self._xdotool("type", "--delay", 1, "--", text)
        wait_until(until or (lambda: text in _text_of(field)))  # a unit may follow

    def fill(self, field: QLineEdit | QAbstractSpinBox, text: str) -> None:
        """Put a text or a number in the place of what is in a field, and leave the field."""
        self.click(field, until=field.hasFocus)
        self.key("ctrl+a")
        if text:
            self._xdotool("type", "--delay", 1, "--", text)
            wait_until(lambda: text in _text_of(field))
        else:
            self.key("Delete")
        self.key("Tab", until=lambda: not field.hasFocus())

    def choose(self, box: QComboBox, number: int) -> None:
        """Choose an entry of a list, by its number."""
        view = box.view()
        assert view is not None
        self.activate(box)
        _wait_for_layout(box)
        # The list opens under the pointer. It chooses nothing by a release that comes within this time after the press.
        QApplication.setDoubleClickInterval(_TOGETHER_MS)
        self._xdotool("mousemove", *self._pixels(box.mapToGlobal(box.rect().center())), "click", 1)
        wait_until(view.isVisible)
        steps = number - box.currentIndex()
        if steps:
            self.key(*["Down" if steps > 0 else "Up"] * abs(steps))
        self.key("Return", until=lambda: not view.isVisible())
        assert box.currentIndex() == number

    def choose_in_menus(self, bar: QMenuBar, action: QAction, *, until: Condition | None = None) -> None:
        """Open the menu that an action is in, and click the action."""
        title, menu = next((each, each.menu()) for each in bar.actions() if action in each.menu().actions())
        self.click(bar, bar.actionGeometry(title).center(), until=menu.isVisible)
        self.click(menu, menu.actionGeometry(action).center(), until=until)

    def choose_in_menu(self, button: QToolButton, text: str) -> None:
        """Open the menu of a button, and click the first entry whose text begins so."""
        menu = button.menu()
        chosen: list[bool] = []

        def click_entry() -> None:
            try:
                action = next(each for each in menu.actions() if each.text().startswith(text))
                self.click(menu, menu.actionGeometry(action).center(), until=lambda: not menu.isVisible())
                chosen.append(True)
            finally:
                menu.close()

        # The button goes on when its menu has closed, so the entry is clicked from within.
        opened = menu.aboutToShow.connect(lambda: QTimer.singleShot(0, click_entry))
        self.click(button, QPoint(button.width() - 6, button.height() // 2), until=lambda: bool(chosen))
        menu.aboutToShow.disconnect(opened)

    def activate(self, widget: QWidget) -> None:
        """Bring the window of a widget in front, as the task bar of a desktop does; it gets the keys from now on."""
        window = widget.window()
        assert window is not None
        handle = window.windowHandle
        wait_until(lambda: widget.isVisible() and handle() is not None and handle().isExposed())
        if window.windowType() is not Qt.WindowType.Popup:
            self._front = window
            if not window.isActiveWindow():
                self._xdotool("windowactivate", int(window.winId()))
                wait_until(window.isActiveWindow)

    def _move_to(self, place: QPoint) -> None:
        if self._pointer is None or not _near(self._pointer, place):
            self._xdotool("mousemove", *self._pixels(place))
            wait_until(lambda: self._pointer is not None and _near(self._pointer, place))

    def _begin(self) -> int:
        """Let the windows handle what came before; return how much was released until now.

        An action can contain others: a click opens a question, whose answer is a click.
        """
        process_events()
        return len(self._released)

    def _times_released(self, place: QPoint, since: int) -> int:
        return sum(isinstance(each, QPoint) and _near(each, place) for each in self._released[since:])

    @staticmethod
    def _pixels(place: QPoint) -> tuple[int, int]:
        """Return a place in pixels of the X server, which knows no scale."""
        screen = QApplication.primaryScreen()
        assert screen is not None
        scale = screen.devicePixelRatio()
        return round(place.x() * scale), round(place.y() * scale)

    def _xdotool(self, *arguments: object) -> None:
        subprocess.run(["xdotool", *map(str, arguments)], env=self._environment, check=True, timeout=_TIMEOUT_S)


def wait_until(condition: Condition, timeout_s: float = _TIMEOUT_S) -> None:
    """Let the window work until a condition holds; fails after 20 s, or after another time."""
    process_events()
    if condition():
        return
    loop = QEventLoop()
    timer, last = QTimer(), QTimer()
    timer.timeout.connect(lambda: loop.quit() if condition() else None)
    timer.start(_CHECK_MS)
    last.setSingleShot(True)
    last.timeout.connect(loop.quit)
    last.start(round(timeout_s * 1e3))
    loop.exec()
    timer.stop()
    assert condition(), "the window has not reacted"


def wait_exposed(window: QWidget) -> None:
    """Wait until a window is on the screen: before, it is not laid out and has nothing painted."""
    wait_until(lambda: (handle := window.windowHandle()) is not None and handle.isExposed())


def show_in_front(window: QWidget) -> None:
    """Show a window and wait until it gets the keys: a busy window manager may leave the focus where it was."""
    window.show()
    wait_exposed(window)
    window.activateWindow()
    wait_until(window.isActiveWindow)


def maximize(window: QWidget) -> None:
    """Make a window as large as the screen, and wait until it is in front and has its new size."""
    window.showMaximized()
    window.activateWindow()
    wait_until(lambda: window.isActiveWindow() and window.frameGeometry().width() >= window.screen().geometry().width() - 2)


def process_events() -> None:
    """Let the window handle what has come so far."""
    QApplication.processEvents()


def _wait_for_layout(widget: QWidget) -> None:
    """Let the window work until a widget stays where it is."""
    place = None
    while place != (place := QRect(widget.mapToGlobal(QPoint(0, 0)), widget.size())):
        process_events()


def _has_keys() -> bool:
    """Whether a window of this program gets the keys."""
    return QApplication.activeWindow() is not None or QApplication.activePopupWidget() is not None


def _near(one: QPoint, other: QPoint) -> bool:
    """Whether two places are the same, but for the rounding of a scale."""
    return (one - other).manhattanLength() <= 2


def _keysyms(keys: str) -> tuple[int, ...]:
    """Return the numbers that the release of a key can have."""
    name = keys.split("+")[-1]
    if keys in _SHIFTED or name in _SHIFTED:
        return _SHIFTED[keys if keys in _SHIFTED else name]
    return (_KEYSYMS[name] if name in _KEYSYMS else ord(name),)


def _text_of(field: QWidget | None) -> str:
    if isinstance(field, QAbstractSpinBox):
        return field.text()
    return field.text() if isinstance(field, QLineEdit) else ""
