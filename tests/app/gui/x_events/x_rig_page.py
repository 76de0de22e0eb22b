"""The Rig page under the mouse and the keyboard of an X server. ``test_x_events.py`` runs these tests, on two screens."""

from __future__ import annotations

from pathlib import Path

import pytest
from PyQt6.QtCore import QPoint, QRect
from PyQt6.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit, QWidget

from app.gui.main_window.page_list import RIG
from app.gui.main_window.window import MainWindow
from app.gui.rig_page.page import RigPage
from app.gui.widgets.setting_fields import NumberField
from app.instrument.device_facts import RigFacts
from app.live.drills.kinds import DrillKind
from drivers.camera_settings import CameraSetting, NumberRange, SettingName
from drivers.device_facts import DeviceFact
from tests.helpers.scripted_session import ScriptedSession
from tests.helpers.x_server.operator import XOperator, maximize, wait_until


@pytest.fixture
def rig(window: MainWindow, session: ScriptedSession, operator: XOperator) -> RigPage:
    """The Rig page, opened with the mouse in a window as large as the screen."""
    gain = CameraSetting(name=SettingName.GAIN, value=6.0, limits=NumberRange(0, 24), unit="dB")
    session.settings = (gain,)
    session.facts = RigFacts(camera=(DeviceFact("Model", "acA1920"),))
    maximize(window)
    button = window.rail.widgetForAction(window.rail.actions()[RIG])
    operator.click(button, until=lambda: window.pages.number == RIG)
    page = window.pages.page(RIG)
    assert isinstance(page, RigPage)
    return page


def _click_tab(rig: RigPage, panel: QWidget, operator: XOperator) -> None:
    bar = rig.tabs.tabBar()
    place = bar.mapToGlobal(bar.tabRect(rig.tabs.indexOf(panel)).center())
    operator.click_at(place, until=lambda: rig.tabs.currentWidget() is panel)


def test_every_tab_is_on_the_screen(rig: RigPage, operator: XOperator) -> None:
    screen = rig.screen().availableGeometry().adjusted(0, 0, 1, 1)  # a scale of 2 rounds
    for panel in (rig.recent, rig.set_up, rig.devices, rig.doctor, rig.drills):
        if panel is not rig.recent:
            _click_tab(rig, panel, operator)
        kinds = QAbstractButton | QLineEdit | QComboBox | QAbstractSpinBox
        used = [one for one in panel.findChildren(QWidget) if isinstance(one, kinds) and not one.visibleRegion().isEmpty()]
        assert used
        for widget in used:
            shown = QRect(widget.mapToGlobal(QPoint(0, 0)), widget.size())
            assert screen.contains(shown) or not _whole(widget), (panel, widget)


def _whole(widget: QWidget) -> bool:
    """Whether no scroll area cuts a widget off."""
    return widget.visibleRegion().boundingRect().size() == widget.size()


def test_a_form_is_filled_in_and_saved(rig: RigPage, operator: XOperator, tmp_path: Path) -> None:
    _click_tab(rig, rig.set_up, operator)
    rig.set_up.path.setText(str(tmp_path / "mine.yaml"))
    operator.fill(rig.set_up.fibre, "MCF 3")
    operator.click(rig.set_up.save_button, until=(tmp_path / "mine.yaml").exists)
    assert "Saved as" in rig.set_up.note.text


@pytest.mark.slow
def test_the_gain_is_typed_and_changed_live(rig: RigPage, session: ScriptedSession, operator: XOperator) -> None:
    _click_tab(rig, rig.devices, operator)
    wait_until(lambda: SettingName.GAIN in rig.devices.fields)
    field = rig.devices.fields[SettingName.GAIN]
    assert isinstance(field, NumberField)
    operator.fill(field, "9")
    assert session.calls == [("set_camera", SettingName.GAIN, 9.0)]


@pytest.mark.slow
def test_a_drill_is_started_and_ended(rig: RigPage, session: ScriptedSession, window: MainWindow, operator: XOperator) -> None:
    _click_tab(rig, rig.drills, operator)
    start = rig.drills.cards[DrillKind.LOST_CAMERA].start_button
    wait_until(start.isEnabled)
    operator.click(start, until=lambda: window.pages.number == 0)
    assert session.fault.begun.wait(5)
    operator.click(window.rail.widgetForAction(window.rail.actions()[RIG]), until=lambda: rig.drills.stop_button.isVisible())
    operator.click(rig.drills.stop_button, until=session.fault.ended.is_set)
