"""Dark and light: everything on the screen follows at once, and the window remembers it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtGui import QColor, QGuiApplication
from PyQt6.QtWidgets import QApplication

from app.gui.command import Command
from app.gui.main_window import window_state
from app.gui.main_window.session_host import SessionHost
from app.gui.main_window.settings import ThemeChoice, WindowSettings
from app.gui.main_window.window import MainWindow
from app.gui.widgets.palette import DARK, LIGHT, Theme, theme_in_use
from app.gui.widgets.style import apply_style
from app.status import Message, MessageLevel
from tests.helpers.x_server.operator import XOperator, show_in_front


@pytest.fixture(autouse=True)
def dark_afterwards(qapp: QApplication) -> Iterator[None]:
    # Windows of earlier tests that wait for their deletion would be styled too, each for a second.
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    yield
    if theme_in_use() is not Theme.DARK:
        apply_style(qapp, Theme.DARK)


def _colour(widget, x: int, y: int) -> QColor:
    return widget.grab().toImage().pixelColor(x, y)


def _inks(widget) -> set[str]:
    """Return all colours of a widget."""
    image = widget.grab().toImage()
    return {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())}


@pytest.fixture
def started(session, store, qtbot, styled) -> Callable[[], MainWindow]:
    """Starts a window that remembers, in front of those before."""

    def start() -> MainWindow:
        window = MainWindow(SessionHost(lambda choice: lambda: session), store)
        window.stop_polling()
        qtbot.addWidget(window, before_close_func=_end)
        show_in_front(window)
        return window

    return start


def _end(window: MainWindow) -> None:
    window.shut_down()
    window.hide()


def _follow_desktop(window: MainWindow, operator: XOperator) -> None:
    """Follow the desktop, or no longer."""
    action = window.commands[Command.DESKTOP_THEME]
    before = action.isChecked()
    operator.choose_in_menus(window.menuBar(), action, until=lambda: action.isChecked() is not before)


def _desktop_becomes(scheme: Qt.ColorScheme) -> None:
    """Tell it as Qt does: the platforms of these tests have no desktop that could change."""
    QGuiApplication.styleHints().colorSchemeChanged.emit(scheme)


def test_everything_follows_the_theme_at_once_but_not_the_ground_of_pictures(window, operator):
    window.report(Message(MessageLevel.ERROR, "The camera does not answer"))
    window.refresh_numbers()
    page = window.page
    canvas = page.pictures.panes[0].canvas
    before = _colour(canvas, 3, 3)
    operator.key("ctrl+l")
    assert window.commands[Command.LIGHT_THEME].isChecked()
    assert _colour(window, window.width() - 3, window.height() // 2).name() == LIGHT.background
    assert LIGHT.text in page.status_strip.camera.findChildren(type(page.controls.state))[1].text()
    assert LIGHT.alarm in _inks(window.banner)
    assert LIGHT.text in _inks(page.controls.snapshot)  # its icon
    assert _colour(canvas, 3, 3) == before == QColor(DARK.panel)
    operator.key("ctrl+l")
    assert _colour(window, window.width() - 3, window.height() // 2).name() == DARK.background
    assert DARK.text in _inks(page.controls.snapshot)


def test_the_theme_is_remembered(started, store, operator):
    first = started()
    operator.key("ctrl+l")
    assert window_state.last_theme(store) is ThemeChoice.LIGHT
    apply_style(QApplication.instance(), Theme.DARK)
    first.hide()
    assert started().commands[Command.LIGHT_THEME].isChecked()
    assert theme_in_use() is Theme.LIGHT


def test_the_window_follows_the_desktop_as_soon_as_that_is_chosen(started, operator):
    window = started()
    _desktop_becomes(Qt.ColorScheme.Light)
    assert theme_in_use() is Theme.DARK  # dark is what was chosen
    _follow_desktop(window, operator)
    _desktop_becomes(Qt.ColorScheme.Light)
    assert theme_in_use() is Theme.LIGHT
    assert window.commands[Command.LIGHT_THEME].isChecked()
    assert window.commands[Command.DESKTOP_THEME].isChecked()
    _desktop_becomes(Qt.ColorScheme.Dark)
    assert theme_in_use() is Theme.DARK
    assert not window.commands[Command.LIGHT_THEME].isChecked()
    window.hide()
    assert started().commands[Command.DESKTOP_THEME].isChecked()


def test_who_chooses_a_theme_no_longer_follows_the_desktop(started, store, operator):
    window = started()
    _follow_desktop(window, operator)
    operator.key("ctrl+l")
    assert not window.commands[Command.DESKTOP_THEME].isChecked()
    _desktop_becomes(Qt.ColorScheme.Dark)
    assert theme_in_use() is Theme.LIGHT
    _follow_desktop(window, operator)
    _desktop_becomes(Qt.ColorScheme.Light)
    _follow_desktop(window, operator)  # what is shown stays
    assert window_state.last_theme(store) is ThemeChoice.LIGHT


def test_a_new_user_has_a_dark_window_and_so_has_a_desktop_that_says_nothing():
    assert WindowSettings().theme is ThemeChoice.DARK
    assert ThemeChoice.SYSTEM.theme_on(Qt.ColorScheme.Unknown) is Theme.DARK
