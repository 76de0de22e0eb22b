"""A window on a scripted session."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PyQt6.QtCore import QSettings

from app.gui.main_window.session_host import SessionHost
from app.gui.main_window.window import MainWindow
from app.gui.session_protocol import SessionLike
from app.gui.widgets.style import apply_style
from tests.helpers.scripted_session import ScriptedSession


@pytest.fixture
def session() -> ScriptedSession:
    return ScriptedSession()


@pytest.fixture
def store(tmp_path) -> QSettings:
    return QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)


@pytest.fixture(scope="session")
def styled(qapp) -> None:
    apply_style(qapp)


@pytest.fixture
def window_of(qtbot, styled) -> Callable[[SessionLike], MainWindow]:
    """Makes a shown window whose timers are stopped: tests poll by hand."""

    def make(session: SessionLike) -> MainWindow:
        host = SessionHost(lambda choice: lambda: session)
        host.adopt(session)
        window = MainWindow(host)
        qtbot.addWidget(window, before_close_func=_end)
        window.stop_polling()
        window.resize(1280, 800)
        window.show()
        qtbot.waitExposed(window)
        return window

    return make


@pytest.fixture
def window(window_of, session) -> MainWindow:
    """A window on the scripted session."""
    return window_of(session)


def _end(window: MainWindow) -> None:
    """Close without questions: what a test has left running ends with it."""
    window.shut_down()
    window.wait_closed(30)
    window.hide()  # a window that waits for its deletion would get the mouse of the next test
