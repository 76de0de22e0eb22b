"""The main paths of an operator under the events of an X server. ``test_x_events.py`` runs these tests, on two screens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PyQt6.QtCore import QPoint, QPointF, QRect, Qt
from PyQt6.QtWidgets import QAbstractButton, QApplication, QComboBox, QLineEdit, QWidget

from app.gui.command import Command
from app.gui.image_view.contents import Content
from app.gui.image_view.measure.tool import Tool
from app.gui.image_view.pane import Pane
from app.gui.main_window.about import AboutDialog
from app.gui.main_window.page_list import BUILD
from app.gui.main_window.window import MainWindow
from app.live.slm.content import SlmContent, SlmKind
from app.status import LiveState, RecordingState, RecordingStatus
from drivers.camera_settings import CameraSetting, NumberRange, Roi, RoiRange, SettingName
from tests.helpers.scripted_session import ScriptedSession, make_view
from tests.helpers.x_server.answers import agrees, refuses
from tests.helpers.x_server.operator import XOperator, maximize, wait_until

GAIN = CameraSetting(name=SettingName.GAIN, value=6.0, limits=NumberRange(0.0, 24.0), unit="dB")
ROI = CameraSetting(
    name=SettingName.ROI,
    value=Roi(x=0, y=0, width=512, height=512),
    limits=RoiRange(width=NumberRange(64, 512), height=NumberRange(64, 512)),
    live=False,
)


@pytest.fixture
def shown(window: MainWindow, session: ScriptedSession) -> MainWindow:
    """A window as large as the screen, in front, with a picture in every pane."""
    maximize(window)
    session.add(make_view())
    window.refresh_pictures()
    window.refresh_numbers()
    return window


def _record(window: MainWindow, session: ScriptedSession) -> None:
    """Let the session record."""
    session.status = replace(session.status, state=LiveState.RUNNING)
    session.recording = RecordingStatus(state=RecordingState.RECORDING, path=Path("r"), frames_recorded=12, seconds=1.5)
    window.refresh_numbers()


def _at(pane: Pane, x_um: float, y_um: float) -> QPoint:
    return pane.canvas.position_of(QPointF(x_um, y_um)).toPoint()


def test_everything_is_on_the_screen(shown: MainWindow) -> None:
    screen = shown.screen().availableGeometry().adjusted(0, 0, 1, 1)  # a scale of 2 rounds
    frame = shown.windowHandle().frameGeometry  # QWidget keeps the frame that it had before the window was maximized
    wait_until(lambda: screen.contains(frame()))
    used = [
        widget
        for widget in shown.findChildren(QWidget)
        if isinstance(widget, QAbstractButton | QLineEdit | QComboBox) and not widget.visibleRegion().isEmpty()
    ]
    assert len(used) > 10
    for widget in used:
        assert screen.contains(QRect(widget.mapToGlobal(QPoint(0, 0)), widget.size())), widget


def test_space_and_the_mouse_start_and_stop(shown: MainWindow, session: ScriptedSession, operator: XOperator) -> None:
    operator.key("space")
    assert session.calls == [("start_live",)]
    operator.click(shown.page.controls.live)
    assert session.calls == [("start_live",), ("stop_live",)]


def test_a_name_is_typed_and_recorded(shown: MainWindow, session: ScriptedSession, operator: XOperator) -> None:
    name = shown.page.controls.recording_name
    operator.click(name, times=2)
    operator.type("liver rs")
    assert session.calls == []
    operator.key("Return")
    assert not name.hasFocus()
    operator.click(shown.page.controls.record)
    assert session.calls[0][0] == "start_recording"


@pytest.mark.slow
def test_record_is_pressed_by_key_and_by_mouse(shown: MainWindow, session: ScriptedSession, operator: XOperator) -> None:
    shown.page.controls.recording_name.setText("liver")
    operator.key("r")
    assert session.calls[0][0] == "start_recording"
    _record(shown, session)
    operator.click(shown.page.controls.record)
    assert session.calls[-1] == ("stop_recording",)


@pytest.mark.parametrize("key", ["Return", *(pytest.param(key, marks=pytest.mark.slow) for key in ("Escape", "space"))])
def test_return_and_escape_end_no_recording(shown: MainWindow, session: ScriptedSession, operator: XOperator, key: str) -> None:
    _record(shown, session)
    answer = refuses(operator, key)
    operator.key("space", until=lambda: len(answer.questions) == 1)
    operator.key("alt+F4", until=lambda: len(answer.questions) == 2)
    answer.stop()
    assert session.calls == []
    assert shown.isVisible()


def test_closing_ends_a_recording_only_with_consent(shown: MainWindow, session: ScriptedSession, operator: XOperator) -> None:
    _record(shown, session)
    answer = agrees(operator)
    operator.key("alt+F4", until=lambda: bool(answer.questions))
    answer.stop()
    session.recording = RecordingStatus()

    def closed() -> bool:
        shown.refresh_numbers()
        return session.closed.is_set()

    wait_until(closed)


@pytest.mark.slow
def test_a_marker_is_typed_and_set_by_its_key(shown: MainWindow, session: ScriptedSession, operator: XOperator) -> None:
    _record(shown, session)
    operator.key("F2", until=shown.page.recorder.isVisible)
    operator.fill(shown.page.recorder.marker, "acid")
    shown.page.setFocus()
    operator.key("m")
    assert session.calls == [("add_marker", "acid")]


@pytest.mark.slow
def test_the_wheel_zooms_and_a_double_click_enlarges(shown: MainWindow, operator: XOperator) -> None:
    pane = shown.page.pictures.panes[0]
    viewport = pane.canvas.viewport
    middle = viewport.mapToGlobal(viewport.rect().center())
    width_um = pane.canvas.view_box.viewRect().width()
    operator.wheel_up(middle, until=lambda: pane.canvas.view_box.viewRect().width() < width_um)
    operator.click(viewport, times=2, until=lambda: len(shown.page.pictures.visible_panes) == 1)
    operator.click(viewport, times=2, until=lambda: len(shown.page.pictures.visible_panes) > 1)


@pytest.mark.slow
def test_menus_and_keys_open_what_they_say(shown: MainWindow, operator: XOperator) -> None:
    operator.key("F2", until=shown.page.recorder.isVisible)
    operator.key("F2", until=lambda: not shown.page.recorder.isVisible())
    operator.key("F8", until=shown.drawer.isVisible)
    operator.key("F11", until=lambda: bool(shown.windowState() & Qt.WindowState.WindowFullScreen))
    operator.key("F11", until=lambda: not shown.windowState() & Qt.WindowState.WindowFullScreen)
    operator.choose_in_menus(shown.menuBar(), shown.commands[Command.ACQUIRE], until=lambda: shown.pages.number == BUILD)


@pytest.mark.slow
def test_a_question_mark_shows_all_keys(shown: MainWindow, operator: XOperator) -> None:
    operator.key("question", until=lambda: isinstance(QApplication.activeWindow(), AboutDialog))
    operator.key("Escape", until=lambda: QApplication.activeWindow() is shown)


@pytest.mark.slow
def test_tab_goes_from_button_to_button(shown: MainWindow, operator: XOperator) -> None:
    controls = shown.page.controls
    operator.click(controls.recording_name)
    operator.key("Tab")
    assert controls.record.hasFocus()
    operator.key("shift+Tab")
    assert controls.recording_name.hasFocus()


def test_levels_are_dragged_on_the_histogram(shown: MainWindow, operator: XOperator) -> None:
    strip = shown.page.pictures.showing(Content.SPECKLE).strip
    operator.drag(strip.histogram, strip.histogram.position_of(255.0), strip.histogram.position_of(128.0))
    assert strip.levels.pair == pytest.approx((0.0, 128.0), abs=6.0)


@pytest.mark.parametrize("tool", [Tool.RECTANGLE, pytest.param(Tool.ELLIPSE, marks=pytest.mark.slow)])
def test_a_region_is_drawn_and_a_pane_copied(shown: MainWindow, operator: XOperator, tool: Tool) -> None:
    grid = shown.page.pictures
    operator.key(grid.measure.actions[tool].shortcut().toString().lower())
    pane = grid.showing(Content.SPECKLE)
    operator.drag(pane.canvas.viewport, _at(pane, 100, 80), _at(pane, 250, 200))
    (name,) = grid.measure.measurements.names
    drawn = grid.measure.measurements[name].shape
    assert (drawn.x_um, drawn.y_um, drawn.width_um, drawn.height_um) == pytest.approx((100, 80, 150, 120), abs=6.0)
    QApplication.clipboard().clear()
    operator.key("ctrl+c")
    assert not QApplication.clipboard().image().isNull()


@pytest.mark.slow
def test_a_region_of_the_camera_is_drawn(shown: MainWindow, session: ScriptedSession, operator: XOperator) -> None:
    session.settings = (GAIN, ROI)
    operator.key("F3", until=shown.page.camera.isVisible)
    shown.refresh_numbers()
    operator.click(shown.page.camera.draw_region)
    pane = shown.page.pictures.showing(Content.SPECKLE)
    operator.drag(pane.canvas.viewport, _at(pane, 100, 80), _at(pane, 250, 200))
    ((command, setting, region),) = session.calls
    assert (command, setting) == ("set_camera", SettingName.ROI)
    assert (region.width, region.height) == pytest.approx((192, 154), abs=8)


@pytest.mark.slow
def test_the_arrow_keys_step_a_camera_setting(shown: MainWindow, session: ScriptedSession, operator: XOperator) -> None:
    session.settings = (GAIN, ROI)
    operator.key("F3", until=shown.page.camera.isVisible)
    shown.refresh_numbers()
    operator.click(shown.page.camera.fields[SettingName.GAIN])
    operator.key("Up")
    ((_, setting, value),) = session.calls
    assert setting is SettingName.GAIN
    assert value > 6.0


@pytest.mark.slow
def test_a_choice_of_the_slm_is_pressed(shown: MainWindow, session: ScriptedSession, operator: XOperator) -> None:
    operator.key("F5", until=shown.page.slm.isVisible)
    shown.refresh_numbers()
    operator.click(shown.page.slm.choices[SlmKind.BLANK])
    assert session.calls == [("show_on_slm", SlmContent(SlmKind.BLANK))]


@pytest.mark.slow
def test_a_preset_is_saved_and_applied(shown: MainWindow, operator: XOperator) -> None:
    operator.key("F6", until=shown.page.presets.isVisible)
    operator.fill(shown.page.presets.name, "liver")
    operator.click(shown.page.presets.save)
    before = len(shown.page.pictures.panes)
    operator.key("ctrl+1", until=lambda: len(shown.page.pictures.panes) == 1)
    operator.click(shown.page.presets.apply)
    assert len(shown.page.pictures.panes) == before > 1
