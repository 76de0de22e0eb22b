"""Dark and light: everything on the screen follows at once, and the window remembers it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PyQt6.QtGui import QColor
from PyQt6.QtWidgets import QApplication

from app.gui.command import Command
from app.gui.main_window import window_state
from app.gui.main_window.session_host import SessionHost
from app.gui.main_window.window import MainWindow
from app.gui.widgets.palette import DARK, LIGHT, Theme, theme_in_use
from app.gui.widgets.style import apply_style
from app.status import Message, MessageLevel


@pytest.fixture(autouse=True)
def dark_afterwards(qapp: QApplication) -> Iterator[None]:
    yield
    if theme_in_use() is not Theme.DARK:
        apply_style(qapp, Theme.DARK)


def _colour(widget, x: int, y: int) -> QColor:
    return widget.grab().toImage().pixelColor(x, y)


def _inks(widget) -> set[str]:
    """Return all colours of a widget."""
    image = widget.grab().toImage()
    return {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())}


def test_everything_follows_the_theme_at_once_but_not_the_ground_of_pictures(window):
    window.report(Message(MessageLevel.ERROR, "The camera does not answer"))
    window.refresh_numbers()
    page = window.page
    canvas = page.pictures.panes[0].canvas
    before = _colour(canvas, 3, 3)
    window.commands[Command.LIGHT_THEME].trigger()
    assert window.commands[Command.LIGHT_THEME].isChecked()
    assert _colour(window, window.width() - 3, window.height() // 2).name() == LIGHT.background
    assert LIGHT.text in page.status_strip.camera.findChildren(type(page.controls.state))[1].text()
    assert LIGHT.alarm in _inks(window.banner)
    assert LIGHT.text in _inks(page.controls.snapshot)  # its icon
    assert _colour(canvas, 3, 3) == before == QColor(DARK.panel)
    window.commands[Command.LIGHT_THEME].trigger()
    assert _colour(window, window.width() - 3, window.height() // 2).name() == DARK.background
    assert DARK.text in _inks(page.controls.snapshot)


def test_the_theme_is_remembered(session, store, qtbot, styled):
    def started() -> MainWindow:
        host = SessionHost(lambda choice: lambda: session)
        window = MainWindow(host, store)
        window.stop_polling()
        qtbot.addWidget(window, before_close_func=MainWindow.shut_down)
        return window

    started().commands[Command.LIGHT_THEME].trigger()
    assert window_state.last_theme(store) is Theme.LIGHT
    apply_style(QApplication.instance(), Theme.DARK)
    assert started().commands[Command.LIGHT_THEME].isChecked()
    assert theme_in_use() is Theme.LIGHT
