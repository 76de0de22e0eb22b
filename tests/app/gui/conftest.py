"""A window on a scripted session, on an X server of this worker, and an operator whose events come from that server.

Each worker starts an X server and a window manager of its own when its first test of a window runs, so every window of these
tests is a real X client. A click, a drag or a key of a test comes from the server (``operator``). Where a program is missing,
the windows are drawn into memory, and the tests with an operator are skipped with the name of the Debian package.

These go without the operator, because no hand has a part in them: what a session tells the window (``refresh_pictures``,
``refresh_numbers``), states that are restored at a start, forms that come from a file, palettes and drawn pixels. A field
that a test is not about is filled in with its own method. A drag from another program (``main_window/test_dropped_files.py``)
comes as Qt's event: it needs a second program. ``test_event_sources.py`` sees to it that no other event is made by hand.
"""

from __future__ import annotations

import atexit
import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from PyQt6.QtCore import QSettings
from PyQt6.QtWidgets import QApplication

from app.benchmarks.live.x_desktop import XDesktop
from app.benchmarks.virtual_screens import NotInstalledError
from app.gui.main_window.session_host import SessionHost
from app.gui.main_window.window import MainWindow
from app.gui.session_protocol import SessionLike
from app.gui.widgets.style import apply_style
from tests.helpers.scripted_session import ScriptedSession
from tests.helpers.x_server.operator import XOperator, show_in_front

#: The display that a parent has made for this run (test_x_events.py). A desktop that somebody works at is never used.
DISPLAY_VARIABLE = "SPECKLESCOPE_TEST_DISPLAY"


@pytest.fixture(scope="session")
def display() -> str | NotInstalledError:
    """The display of this worker's X server, or why there is none."""
    if DISPLAY_VARIABLE in os.environ:
        return os.environ[DISPLAY_VARIABLE]
    if shutil.which("xdotool") is None:
        return NotInstalledError("xdotool is not installed; apt-get install xdotool")
    try:
        desktop = XDesktop()
    except NotInstalledError as error:
        return error
    atexit.register(desktop.close)  # not earlier: Qt ends a process that has lost its server
    return desktop.display


@pytest.fixture(scope="session")
def qapp(display: str | NotInstalledError, qapp_args: list[str], pytestconfig: pytest.Config) -> QApplication:
    """The application of all tests of this worker, on the worker's own screen; programs that they start have no screen."""
    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        return existing
    with pytest.MonkeyPatch.context() as environment:
        if isinstance(display, str):
            environment.setenv("DISPLAY", display)
            environment.setenv("QT_QPA_PLATFORM", "xcb")
        return QApplication(qapp_args)


@pytest.fixture
def operator(display: str | NotInstalledError, qapp: QApplication) -> Iterator[XOperator]:
    """The mouse and the keyboard of the worker's X server."""
    if isinstance(display, NotInstalledError):
        pytest.skip(str(display))
    assert qapp.platformName() == "xcb"
    operator = XOperator(display)
    yield operator
    operator.leave()


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
        window.resize(1280, 720)
        show_in_front(window)
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
