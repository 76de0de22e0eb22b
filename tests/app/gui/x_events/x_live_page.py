"""The live page under the mouse and the keyboard of an X server. ``test_x_events.py`` runs these tests, on two screens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PyQt6.QtCore import QPoint, QRect, Qt, QTimer
from PyQt6.QtWidgets import QAbstractButton, QApplication, QComboBox, QLineEdit, QWidget

from app.gui.command import Command
from app.gui.main_window.window import MainWindow
from app.gui.widgets.questions import QuestionBox
from app.status import LiveState, RecordingState, RecordingStatus
from tests.helpers.scripted_session import ScriptedSession, make_view
from tests.helpers.x_operator import XOperator, wait_until


@pytest.fixture
def operator() -> XOperator:
    return XOperator()


@pytest.fixture
def shown(window: MainWindow, session: ScriptedSession) -> MainWindow:
    """A window as large as the screen, in front, with a picture in every pane."""
    window.showMaximized()
    window.activateWindow()
    wait_until(window.isActiveWindow)
    session.add(make_view())
    window.refresh_pictures()
    window.refresh_numbers()
    return window


def _question() -> QuestionBox | None:
    return next((box for box in QApplication.topLevelWidgets() if isinstance(box, QuestionBox) and box.isVisible()), None)


def test_everything_is_on_the_screen(shown: MainWindow) -> None:
    screen = shown.screen().availableGeometry().adjusted(0, 0, 1, 1)  # a scale of 2 rounds
    assert screen.contains(shown.frameGeometry())
    used = [
        widget
        for widget in shown.findChildren(QWidget)
        if isinstance(widget, QAbstractButton | QLineEdit | QComboBox) and not widget.visibleRegion().isEmpty()
    ]
    assert len(used) > 10
    for widget in used:
        assert screen.contains(QRect(widget.mapToGlobal(QPoint(0, 0)), widget.size())), widget


def test_space_and_the_mouse_start_and_stop(shown: MainWindow, session: ScriptedSession, operator: XOperator) -> None:
    operator.key("space", until=lambda: session.calls == [("start_live",)])
    operator.click(shown.page.controls.live, until=lambda: session.calls == [("start_live",), ("stop_live",)])


def test_a_name_is_typed_and_recorded(shown: MainWindow, session: ScriptedSession, operator: XOperator) -> None:
    name = shown.page.controls.recording_name
    operator.click(name, times=2, until=name.hasFocus)
    operator.type("liver rs", until=lambda: name.text().endswith("liver rs"))
    assert session.calls == []
    operator.key("Return", until=lambda: not name.hasFocus())
    operator.click(shown.page.controls.record, until=lambda: bool(session.calls))
    assert session.calls[0][0] == "start_recording"


def test_return_and_escape_end_no_recording(shown: MainWindow, session: ScriptedSession, operator: XOperator) -> None:
    session.status = replace(session.status, state=LiveState.RUNNING)
    session.recording = RecordingStatus(state=RecordingState.RECORDING, path=Path("r"), frames_recorded=12, seconds=1.5)
    shown.refresh_numbers()
    for key in ("Return", "Escape", "space"):
        operator.answer(lambda: (box := _question()) and box.refuse, until=_asked_and_answered(shown))
        assert session.calls == [], key


def test_the_wheel_zooms_and_a_double_click_enlarges(shown: MainWindow, operator: XOperator) -> None:
    pane = shown.page.pictures.panes[0]
    viewport = pane.canvas.viewport
    middle = viewport.mapToGlobal(viewport.rect().center())
    width_um = pane.canvas.view_box.viewRect().width()
    operator.wheel_up(middle, until=lambda: pane.canvas.view_box.viewRect().width() < width_um)
    operator.click_at(middle, times=2, until=lambda: len(shown.page.pictures.visible_panes) == 1)
    operator.click_at(middle, times=2, until=lambda: len(shown.page.pictures.visible_panes) > 1)


def test_menus_and_keys_open_what_they_say(shown: MainWindow, operator: XOperator) -> None:
    operator.key("F2", until=shown.page.recorder.isVisible)
    operator.key("F2", until=lambda: not shown.page.recorder.isVisible())
    operator.key("F8", until=shown.drawer.isVisible)
    operator.key("F11", until=lambda: bool(shown.windowState() & Qt.WindowState.WindowFullScreen))
    operator.key("F11", until=lambda: not shown.windowState() & Qt.WindowState.WindowFullScreen)


def _asked_and_answered(window: MainWindow) -> Callable[[], bool]:
    """Ask by Space in the next turn of the loop; true when the question has come and gone."""
    states: list[str] = []

    def ask() -> None:
        window.carry_out(Command.TOGGLE_LIVE)
        states.append("answered")

    QTimer.singleShot(0, ask)
    return lambda: bool(states)
