"""A preset brings everything back that can be adjusted, and says what does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.gui.live_page.record_panel import Frames, Length
from app.gui.main_window import window_state
from app.live.slm.content import SlmContent, SlmKind, SlmStatus
from app.live.slm.drawing import SlmContentError
from app.presets import PresetStore
from app.status import MessageLevel, RecordingState, RecordingStatus
from drivers.camera_settings import CameraSetting, NumberRange, Roi, RoiRange, SettingName
from tests.helpers.x_server.answers import agrees, refuses
from tests.helpers.x_server.operator import XOperator

GAIN = CameraSetting(name=SettingName.GAIN, value=6.0, limits=NumberRange(0.0, 24.0), unit="dB")
ROI = CameraSetting(
    name=SettingName.ROI,
    value=Roi(x=16, y=32, width=512, height=256),
    limits=RoiRange(width=NumberRange(64, 1024), height=NumberRange(64, 768)),
    live=False,
)


@pytest.fixture
def panel(window, session):
    session.settings = (GAIN, ROI)
    window.page.toggle_panel("presets")
    return window.page.presets


def save(operator: XOperator, panel, name: str) -> None:
    operator.fill(panel.name, name)
    operator.click(panel.save)


def test_a_preset_brings_everything_back(panel, window, session, operator) -> None:
    page = window.page
    page.pictures.set_number(4)
    page.recorder.length.setCurrentIndex(page.recorder.length.findData(Length.FRAMES))
    page.recorder.amount.setValue(250)
    page.recorder.frames.setCurrentIndex(page.recorder.frames.findData(Frames.NTH))
    page.recorder.tags.setText("liver")
    session.slm = SlmStatus(kinds=session.slm.kinds, content=SlmContent(SlmKind.PICTURE, Path("/data/coins.png")))
    save(operator, panel, "liver")
    page.pictures.set_number(1)
    page.recorder.length.setCurrentIndex(0)
    page.recorder.frames.setCurrentIndex(0)
    page.recorder.tags.setText("")
    operator.key("F6")
    session.settings = (CameraSetting(name=GAIN.name, value=0.0, limits=GAIN.limits), ROI)
    session.slm = SlmStatus(kinds=session.slm.kinds)
    session.calls.clear()
    page.apply_preset("liver")
    assert len(page.pictures.panes) == 4
    assert page.recorder.options().length.frames == 250
    assert page.recorder.tags.text() == "liver"
    assert panel.isVisible()
    assert session.calls == [
        ("set_camera", SettingName.GAIN, 6.0),  # the region is the same
        ("show_on_slm", SlmContent(SlmKind.PICTURE, Path("/data/coins.png"))),
    ]
    assert "preset 'liver' is applied" in window.banner.text


def test_what_does_not_fit_is_said_and_the_rest_is_applied(panel, window, session, operator) -> None:
    window.page.pictures.set_number(4)
    session.slm = SlmStatus(kinds=session.slm.kinds, content=SlmContent(SlmKind.PICTURE, Path("/gone.png")))
    save(operator, panel, "all")
    window.page.pictures.set_number(1)
    session.settings = ()
    session.slm = SlmStatus()
    session.recording = RecordingStatus(state=RecordingState.RECORDING)
    session.failure = SlmContentError("there is no picture /gone.png")
    window.page.apply_preset("all")
    assert len(window.page.pictures.panes) == 4
    assert window.banner.shown.level is MessageLevel.WARNING
    for part in ("a recording is running", "gain", "roi", "there is no picture /gone.png"):
        assert part in window.banner.text


def test_presets_are_replaced_renamed_and_deleted_only_with_consent(panel, window, operator) -> None:
    save(operator, panel, "a")
    window.page.pictures.set_number(2)
    assert panel.selected == "a"
    for reply, number in ((refuses, 3), (agrees, 2)):
        answer = reply(operator)
        save(operator, panel, "a")
        answer.stop()
        assert "already" in answer.questions[0]
        assert window.page.preset_store.state("a")["panes"]["number"] == number
    operator.fill(panel.name, "b")
    operator.click(panel.rename)
    assert panel.selected == "b"
    for reply, left in ((refuses, ["b"]), (agrees, [])):
        answer = reply(operator)
        operator.click(panel.delete)
        answer.stop()
        assert [panel.list.item(row).text() for row in range(panel.list.count())] == left
    assert not panel.apply.isEnabled()


def test_damaged_presets_apply_what_can_be_read(panel, window) -> None:
    store = PresetStore()
    store.save(
        "odd", {"panes": 3, "record": {"length": "NEVER", "amount": "x", "folder": 1}, "panels": "zz", "camera": {"x": "1"}}
    )
    window.page.preset_store = store
    window.page.apply_preset("odd")
    for part in ("length of a recording cannot be 'NEVER'", "amount", "folder", "places of the panels", "no setting 'x'"):
        assert part in window.banner.text


def test_the_last_layout_comes_back_at_the_next_start(panel, window, window_of, session, store) -> None:
    window.page.recorder.pattern.setText("{name}-{counter:03}")
    window.page.recorder.notes.setPlainText("of one recording")
    window_state.remember_page(window.page, store)
    other = window_of(session)
    assert not other.page.presets.isVisible()
    window_state.restore_page(other.page, store)
    assert other.page.presets.isVisible()
    assert other.page.recorder.pattern.text() == "{name}-{counter:03}"
    assert other.page.recorder.notes.toPlainText() == ""
    assert not any(call[0] in ("set_camera", "show_on_slm") for call in session.calls)
