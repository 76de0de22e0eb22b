"""The set-up form: it writes what it shows, and names a wrong entry before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields

import numpy as np
import pytest
from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QWidget

from app.gui.rig_page.note import NoteLevel
from app.gui.rig_page.set_up.editors import NumberEditor
from app.gui.rig_page.set_up.panel import SetUpPanel, TrialState
from app.gui.rig_page.set_up.section_form import SectionForm
from app.gui.rig_page.trust_question import TrustQuestion
from app.gui.widgets.picture import Picture
from app.instrument.config import InstrumentConfig, checked, load_config
from app.instrument.devices import DetectedDevice
from app.instrument.fields import described, plain_title
from app.instrument.trust import not_trusted
from app.jobs.job_list import JobConflictError, JobList, JobOrder, Need
from tests.helpers.small_instrument import small_instrument

BENCH = {"camera": "basler", "slm": "screen"}


@pytest.fixture
def jobs() -> JobList:
    return JobList()


@pytest.fixture
def panel_of(qtbot, styled, tmp_path, jobs) -> Iterator[Callable[[InstrumentConfig], SetUpPanel]]:
    """Makes a shown form; the devices that a test leaves open are released."""
    panels: list[SetUpPanel] = []

    def make(config: InstrumentConfig) -> SetUpPanel:
        panel = SetUpPanel(jobs)
        panel.show_config(config, tmp_path / "instrument.yaml")
        qtbot.addWidget(panel)
        panels.append(panel)
        panel.show()
        return panel

    yield make
    for panel in panels:
        panel.stop_test()
    jobs.free(frozenset({Need.DEVICES}))


def refreshed(panel: SetUpPanel, condition: Callable[[], object]) -> Callable[[], bool]:
    """Refresh as the timer of the page does, then look at a condition."""

    def look() -> bool:
        panel.refresh()
        return bool(condition())

    return look


@pytest.mark.parametrize(
    "section", ["basler", "opencv", "slmsuite_camera", "replay", "panel", "hologram", "screen", "slmpy", "slmpy_window"]
)
def test_a_form_returns_what_it_was_given(qtbot, section) -> None:
    config = checked({"slmsuite_slm": {"arguments": {"resolution": [1, 2], "name": "x"}}}, "test")
    form = SectionForm(getattr(config, section))
    qtbot.addWidget(form)
    again = checked({section: form.values()}, "form")
    assert getattr(again, section) == getattr(config, section)


def test_every_setting_is_explained() -> None:
    config = InstrumentConfig()
    for section in ("basler", "opencv", "slmsuite_camera", "panel", "screen", "slmpy", "slmpy_window", "slmsuite_slm"):
        texts = described(type(getattr(config, section)))
        assert {field.name for field in fields(getattr(config, section))} <= set(texts), section


def test_numbers_have_steppers_with_unit_and_range(qtbot) -> None:
    form = SectionForm(InstrumentConfig().basler)
    qtbot.addWidget(form)
    exposure = form.editors["exposure_s"]
    assert isinstance(exposure, NumberEditor)
    assert exposure.text() == "10.000 ms"
    assert "0.001 to 100000 ms is possible" in exposure.toolTip()
    exposure.stepUp()
    assert form.values()["exposure_s"] > 0.010


def test_a_number_out_of_its_range_is_refused_in_words(qtbot, styled, operator) -> None:
    form = SectionForm(InstrumentConfig().basler)
    qtbot.addWidget(form)
    form.show()
    reasons: list[str] = []
    form.refused.connect(reasons.append)
    buffers = form.editors["buffers"]
    assert isinstance(buffers, NumberEditor)
    operator.fill(buffers, "0")
    assert reasons[:1] == ["Buffers cannot be 0 frames: 1 to 10000 frames is possible"]
    assert form.values()["buffers"] == 16


def test_a_number_of_the_file_keeps_all_its_digits(qtbot) -> None:
    config = checked({"basler": {"exposure_s": 0.0123456789}}, "test")
    form = SectionForm(config.basler)
    qtbot.addWidget(form)
    assert form.values()["exposure_s"] == 0.0123456789


def test_saving_writes_what_is_shown(panel_of, tmp_path, operator) -> None:
    panel = panel_of(checked({**BENCH, "panel": {"zoom": 2}}, "test"))
    panel.fibre.setText("MCF no. 3")
    panel.pixel_um.show_value(0.42)
    panel.camera.forms["basler/basler"].show_values({"serial": "40012345", "width": 512, "height": 512})
    panel.slm.forms["screen/panel"].show_values({"pattern_shape": (256, 256), "offset_px": (10, -20)})
    operator.click(panel.save_button)
    assert panel.note.text == f"Saved as {tmp_path / 'instrument.yaml'}"
    assert not panel.edited
    config = load_config(tmp_path / "instrument.yaml")
    assert config == panel.config()
    assert (config.fibre, config.pixel_um, config.basler.serial, config.basler.width) == ("MCF no. 3", 0.42, "40012345", 512)
    assert (config.panel.zoom, config.panel.pattern_shape, config.panel.offset_px) == (2, (256, 256), (10, -20))


@pytest.mark.parametrize(
    ("form", "values", "message"),
    [
        ("basler/basler", {"bit_depth": 9}, "Bit depth of a Basler camera must be 8, 10, 12, 14 or 16, got 9"),
        ("opencv/opencv", {"exposure_s": 3.0, "lost_after_s": 1.0}, "Exposure: 0.001 to 4999 ms is possible"),
    ],
)
def test_a_mistake_is_named_with_its_range_and_nothing_written(panel_of, tmp_path, form, values, message) -> None:
    panel = panel_of(checked({"camera": form.partition("/")[0], "slm": "screen"}, "test"))
    before = panel.camera.forms[form].values()
    panel.camera.forms[form].show_values(values)
    assert not panel.save()
    assert message in panel.note.text
    assert panel.note.level is NoteLevel.ERROR
    marked = [editor for editor in panel.camera.forms[form].findChildren(QWidget) if editor.property("tone") == "wrong"]
    assert [editor.accessibleName() for editor in marked] == [plain_title(name) for name in values]
    panel.try_devices()
    assert panel.state is TrialState.IDLE
    assert not (tmp_path / "instrument.yaml").exists()
    panel.camera.forms[form].show_values(before)
    assert panel.save(), panel.note.text
    assert not any(editor.property("tone") == "wrong" for editor in marked)


def test_devices_that_do_not_fit_are_refused(panel_of, tmp_path) -> None:
    panel = panel_of(small_instrument(tmp_path))
    panel.slm.kind.setCurrentIndex(panel.slm.kind.findData("screen"))
    assert not panel.save()
    assert "sees only the simulated SLM" in panel.note.text


def test_a_detected_device_fills_the_form(panel_of, operator) -> None:
    panel = panel_of(checked(BENCH, "test"))
    detected = DetectedDevice("acA1920 40012345", {"basler": {"serial": "40012345"}})
    panel.camera.show_search({"basler": [detected]}, searching=False)
    panel.slm.show_search({"screen": "Qt is broken; install it"}, searching=False)
    assert panel.slm.devices.currentText() == "Qt is broken; install it"
    operator.choose(panel.camera.devices, 1)
    assert panel.config().basler.serial == "40012345"
    assert panel.camera.devices.currentText() == "acA1920 40012345"
    assert panel.edited


def test_devices_of_this_computer_are_searched_in_the_background(panel_of, qtbot) -> None:
    panel = panel_of(checked(BENCH, "test"))
    panel.search_again()
    panel.refresh()
    assert not panel.search_button.isEnabled()
    qtbot.waitUntil(refreshed(panel, panel.search_button.isEnabled), timeout=20_000)
    assert set(panel.search.cameras) >= {"basler", "opencv"}


def test_a_test_shows_the_live_device_and_the_bytes_on_the_slm(panel_of, qtbot, tmp_path, operator) -> None:
    panel = panel_of(small_instrument(tmp_path))
    panel.refresh()
    assert not panel.card_button.isEnabled()
    operator.click(panel.try_button)
    qtbot.waitUntil(refreshed(panel, lambda: "frames/s" in panel.camera.state.text()), timeout=20_000)
    operator.click(panel.card_button)
    qtbot.waitUntil(refreshed(panel, lambda: not panel.slm.picture.is_empty), timeout=20_000)
    assert "patterns of 128 x 128 px" in panel.slm.state.text()
    first = panel.preview
    operator.click(panel.try_button)
    qtbot.waitUntil(refreshed(panel, lambda: panel.preview not in (None, first)), timeout=20_000)
    assert not first.status.running, "the devices of the first test were still held"
    with qtbot.waitSignal(panel.devices_released, timeout=20_000):
        operator.click(panel.stop_button)
        qtbot.waitUntil(refreshed(panel, lambda: panel.state is TrialState.IDLE), timeout=20_000)


def test_what_cannot_run_beside_a_test_is_said_before_it_starts(panel_of, jobs, tmp_path) -> None:
    panel = panel_of(small_instrument(tmp_path))
    job = jobs.start(
        JobOrder(name="Sync check", work=lambda progress, stop: stop.wait(20) and None, needs=frozenset({Need.DEVICES}))
    )
    panel.refresh()
    assert not panel.try_button.isEnabled()
    assert "Sync check is running and uses the camera and the SLM" in panel.closing_note.text
    assert "Sync check is running" in panel.try_button.toolTip()
    job.stop()
    assert job.stage.join(5)
    panel.refresh()
    assert panel.try_button.isEnabled()


def test_other_jobs_that_need_the_devices_wait_for_a_test(panel_of, qtbot, jobs, tmp_path) -> None:
    panel = panel_of(small_instrument(tmp_path))
    panel.try_devices()
    with pytest.raises(JobConflictError, match="Test of camera and SLM is running"):
        jobs.start(JobOrder(name="Acquire", work=lambda progress, stop: None, needs=frozenset({Need.DEVICES})))


def test_a_test_says_what_it_closes_and_asks_for_it(panel_of, qtbot, tmp_path) -> None:
    panel = panel_of(small_instrument(tmp_path))
    asked: list[None] = []
    panel.devices_requested.connect(lambda: asked.append(None))
    panel.show_open("bench 3")
    panel.refresh()
    assert "A test closes bench 3 first" in panel.closing_note.text
    panel.try_devices()  # nobody closes it: the operator wants to keep it
    assert asked
    assert panel.state is TrialState.IDLE
    panel.devices_requested.connect(lambda: panel.show_open(""))
    panel.try_devices()
    assert panel.state is TrialState.FREEING
    assert not panel.test.running, "the devices are not free yet"
    panel.use_devices()
    assert panel.test.running


def test_a_page_that_was_left_meanwhile_gives_the_devices_back(panel_of, qtbot, tmp_path) -> None:
    panel = panel_of(small_instrument(tmp_path))
    panel.show_open("bench 3")
    panel.devices_requested.connect(lambda: panel.show_open(""))
    panel.try_devices()
    panel.stop_test()
    with qtbot.waitSignal(panel.devices_released):
        panel.use_devices()
    assert panel.state is TrialState.IDLE
    assert not panel.test.running


def test_save_and_open_asks_for_the_file_and_releases_the_devices(panel_of, qtbot, tmp_path, operator) -> None:
    panel = panel_of(small_instrument(tmp_path))
    panel.try_devices()
    qtbot.waitUntil(refreshed(panel, lambda: not panel.camera.picture.is_empty), timeout=20_000)
    with qtbot.waitSignal(panel.open_requested) as opened:
        operator.click(panel.use_button)
    assert opened.args == [tmp_path / "instrument.yaml"]
    assert (tmp_path / "instrument.yaml").exists()
    qtbot.waitUntil(refreshed(panel, lambda: not panel.test.running), timeout=20_000)


def test_a_file_that_cannot_be_used_says_why_beside_the_form(panel_of, tmp_path) -> None:
    panel = panel_of(small_instrument(tmp_path))
    (tmp_path / "bad.yaml").write_text("camera: kodak")
    panel.show_file(tmp_path / "bad.yaml")
    assert "'camera' = 'kodak'" in panel.note.text
    panel.show_file(None, "camera unplugged; plug it in")
    assert panel.note.text == "camera unplugged; plug it in"


def test_a_picture_is_grey_and_whole(qtbot) -> None:
    picture = Picture("nothing yet")
    qtbot.addWidget(picture)
    picture.resize(200, 100)
    picture.show_grey(np.full((50, 50), 200, np.uint8))
    image = picture.grab().toImage()
    assert image.pixelColor(100, 50).getRgb()[:3] == (200, 200, 200)
    assert image.pixelColor(10, 50).getRgb()[:3] != (200, 200, 200)
    picture.show_grey(None)
    assert picture.grab().toImage().pixelColor(100, 10).getRgb()[:3] != (200, 200, 200)


@pytest.fixture
def account(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "account"))


@pytest.mark.parametrize("agree", [True, False])
def test_a_program_that_came_with_the_file_is_asked_about(panel_of, account, tmp_path, agree, operator) -> None:
    (tmp_path / "slmPy").mkdir()
    config = checked(
        {"camera": "basler", "slm": "slmpy-window", "slmpy_window": {"slmpy_path": str(tmp_path / "slmPy")}},
        "test",
        tmp_path / "foreign.yaml",
    )
    panel = panel_of(config)
    asked = []

    def answer() -> None:
        (question,) = panel.findChildren(TrustQuestion)
        asked.append((question.text(), question.defaultButton() is question.refuse_button))
        button = question.trust_button if agree else question.refuse_button
        operator.click(button, until=lambda: not question.isVisible())

    QTimer.singleShot(0, answer)
    assert panel.save() is agree, panel.note.text
    ((text, refuses_by_default),) = asked
    assert f"{tmp_path / 'foreign.yaml'} wants to" in text
    assert f"run code from the folder {tmp_path / 'slmPy'} " in text
    assert refuses_by_default
    assert (tmp_path / "instrument.yaml").exists() is agree
    assert bool(not_trusted(config)) is not agree


def test_a_program_that_the_operator_chose_on_the_page_is_trusted(panel_of, account, tmp_path) -> None:
    (tmp_path / "slmPy").mkdir()
    panel = panel_of(checked({"camera": "basler", "slm": "slmpy-window"}, "test"))
    panel.slm.forms["slmpy-window/slmpy_window"].show_values({"slmpy_path": str(tmp_path / "slmPy")})
    assert panel.save(), panel.note.text
    assert not not_trusted(load_config(tmp_path / "instrument.yaml"))
