"""An operator whose mouse and keyboard are those of the X server (xdotool): events take the way that real ones take."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from PyQt6.QtCore import QEventLoop, QPoint, QTimer
from PyQt6.QtWidgets import QAbstractButton, QApplication, QWidget

_TIMEOUT_S = 20.0
_CHECK_MS = 10


class XOperator:
    """Moves the pointer, clicks and types; every action waits until the window has reacted."""

    def click(self, widget: QWidget, *, until: Callable[[], bool], times: int = 1) -> None:
        """Click in the middle of a widget; wait until a condition holds."""
        self.click_at(widget.mapToGlobal(widget.rect().center()), until=until, times=times)

    def click_at(self, place: QPoint, *, until: Callable[[], bool], times: int = 1) -> None:
        """Click at a place of the screen, in the units of Qt."""
        x, y = self._pixels(place)
        _xdotool("mousemove", x, y, "click", "--repeat", times, "--delay", 60, 1)
        wait_until(until)

    def drag(self, start: QPoint, end: QPoint, *, until: Callable[[], bool]) -> None:
        """Press the left button, move, and release it."""
        _xdotool("mousemove", *self._pixels(start), "mousedown", 1)
        middle = (start + end) / 2
        for place in (middle, end):
            _xdotool("mousemove", *self._pixels(place))
            process_events()
        _xdotool("mouseup", 1)
        wait_until(until)

    def wheel_up(self, place: QPoint, *, until: Callable[[], bool]) -> None:
        """Turn the wheel up, three steps."""
        _xdotool("mousemove", *self._pixels(place), "click", "--repeat", 3, 4)
        wait_until(until)

    def key(self, *keys: str, until: Callable[[], bool]) -> None:
        """Press keys, as X names them: ``space``, ``ctrl+c``."""
        _xdotool("key", *keys)
        wait_until(until)

    def type(self, text: str, *, until: Callable[[], bool]) -> None:
        """Type a text into the widget that has the focus."""
        _xdotool("type", "--delay", 5, text)
        wait_until(until)

    def answer(self, button: Callable[[], QAbstractButton | None], *, until: Callable[[], bool]) -> None:
        """Click a button of a dialog as soon as it is on the screen, from a timer, because the dialog has its own loop."""
        timer = QTimer()

        def look() -> None:
            shown = button()
            if shown is not None and shown.isVisible():
                timer.stop()
                _xdotool("mousemove", *self._pixels(shown.mapToGlobal(shown.rect().center())), "click", 1)

        timer.timeout.connect(look)
        timer.start(50)
        wait_until(until)
        timer.stop()

    @staticmethod
    def _pixels(place: QPoint) -> tuple[int, int]:
        """Return a place in pixels of the X server, which knows no scale."""
        screen = QApplication.primaryScreen()
        assert screen is not None
        scale = screen.devicePixelRatio()
        return round(place.x() * scale), round(place.y() * scale)


def wait_until(condition: Callable[[], bool]) -> None:
    """Let the window work until a condition holds; fails after 20 s."""
    loop = QEventLoop()
    timer, last = QTimer(), QTimer()
    timer.timeout.connect(lambda: loop.quit() if condition() else None)
    timer.start(_CHECK_MS)
    last.setSingleShot(True)
    last.timeout.connect(loop.quit)
    last.start(round(_TIMEOUT_S * 1e3))
    loop.exec()
    timer.stop()
    assert condition(), "the window has not reacted"


def process_events() -> None:
    """Let the window handle what has come so far."""
    QApplication.processEvents()


def _xdotool(*arguments: object) -> None:
    subprocess.run(["xdotool", *map(str, arguments)], check=True, timeout=_TIMEOUT_S)
