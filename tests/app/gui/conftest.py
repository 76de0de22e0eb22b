"""A window on a scripted session."""

from __future__ import annotations

import pytest
from PyQt6.QtCore import QSettings

from app.gui.main_window.window import MainWindow
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
def window(qtbot, styled, session) -> MainWindow:
    """A shown window whose timers are stopped: tests poll by hand."""
    window = MainWindow(session)
    qtbot.addWidget(window)
    window.stop_polling()
    window.resize(1280, 800)
    window.show()
    qtbot.waitExposed(window)
    return window
