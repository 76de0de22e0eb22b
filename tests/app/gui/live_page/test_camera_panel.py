"""The camera panel: it shows what the camera declares, and asks for what is typed, drawn and pressed."""

from __future__ import annotations

import pytest
from PyQt6.QtCore import QRect

from app.status import RecordingState, RecordingStatus
from drivers.camera_settings import CameraSetting, Choices, NumberRange, Roi, RoiRange, SettingName
from tests.helpers.x_server.answers import agrees, refuses

SETTINGS = (
    CameraSetting(name=SettingName.EXPOSURE_S, value=0.01, limits=NumberRange(1e-5, 1.0), unit="s"),
    CameraSetting(name=SettingName.GAIN, value=6.0, limits=NumberRange(0.0, 24.0), unit="dB"),
    CameraSetting(name=SettingName.BINNING, value=1, limits=Choices((1, 2, 4)), live=False),
    CameraSetting(
        name=SettingName.ROI,
        value=Roi(x=16, y=32, width=512, height=256),
        limits=RoiRange(width=NumberRange(64, 1024, 16), height=NumberRange(64, 768, 2), x_step=16, y_step=2),
        live=False,
    ),
)


@pytest.fixture
def panel(window, session):
    session.settings = SETTINGS
    window.page.toggle_panel("camera")
    window.refresh_numbers()
    return window.page.camera


def test_every_setting_is_shown_with_its_unit_and_range(panel) -> None:
    exposure, gain = panel.fields[SettingName.EXPOSURE_S], panel.fields[SettingName.GAIN]
    assert exposure.text() == "10.000 ms"
    assert "0.01 to 1000 ms" in exposure.toolTip()
    assert gain.text() == "6.000 dB"
    assert panel.fields[SettingName.BINNING].currentText() == "1 x 1"
    assert panel.region.text() == "512 x 256 px at (16, 32)"


def test_a_typed_value_is_asked_for_in_the_unit_of_the_camera(panel, session, operator) -> None:
    exposure = panel.fields[SettingName.EXPOSURE_S]
    operator.click(exposure)
    operator.key("ctrl+a")
    operator.type("2.5")
    assert session.calls == []
    operator.key("Return")
    assert session.calls == [("set_camera", SettingName.EXPOSURE_S, 0.0025)]


def test_a_typed_value_out_of_range_is_refused_in_words_and_never_cut_to_another_value(
    panel, window, session, operator
) -> None:
    exposure = panel.fields[SettingName.EXPOSURE_S]
    operator.click(exposure)
    operator.key("ctrl+a")
    operator.type("99999")
    operator.key("Return")
    assert session.calls == []
    assert exposure.text() == "10.000 ms"
    assert window.banner.text == "Error: Exposure cannot be 99999 ms: 0.01 to 1000 ms is possible"


def test_one_click_exposes_and_one_measures_a_reference(panel, window, session, operator) -> None:
    operator.click(panel.auto_exposure)
    assert session.calls == [("auto_exposure",)]
    assert not panel.new_reference.isEnabled()
    panel.show_reference_age(65.0, live=True)
    assert panel.age.text() == "1:05 old"
    operator.click(panel.new_reference)
    assert session.calls[-1] == ("new_reference",)


def test_a_drawn_region_is_moved_to_what_the_sensor_can_read(panel, window, session) -> None:
    window.page.pictures.roi_drawn.emit(QRect(100, 51, 200, 101))
    ((_, name, region),) = session.calls
    assert name is SettingName.ROI
    assert region in SETTINGS[3].limits
    assert region.x <= 116 < 316 <= region.x + region.width
    assert region.y <= 83 < 184 <= region.y + region.height


def test_a_new_shape_of_frames_ends_no_recording_unasked(panel, window, session, operator) -> None:
    session.recording = RecordingStatus(state=RecordingState.RECORDING, frames_recorded=12, seconds=1.0)
    answer = refuses(operator)
    panel.change_requested.emit(SettingName.BINNING, 2)
    answer.stop()
    assert len(answer.questions) == 1
    assert session.calls == []
    answer = refuses(operator)
    panel.change_requested.emit(SettingName.ROI, Roi(width=512, height=256))
    answer.stop()
    assert "To change the region" in answer.questions[0]
    assert session.calls == []
    panel.change_requested.emit(SettingName.GAIN, 3.0)
    assert session.calls == [("set_camera", SettingName.GAIN, 3.0)]
    answer = agrees(operator)
    panel.change_requested.emit(SettingName.BINNING, 2)
    answer.stop()
    assert session.calls[1:] == [("stop_recording",), ("set_camera", SettingName.BINNING, 2)]
