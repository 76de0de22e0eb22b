"""The tabs of the Rig page: recent instruments, devices, doctor, drills."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PyQt6.QtCore import QSettings
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QLabel

from app.diagnostics.findings import Finding, Verdict
from app.gui.pages import recent_store
from app.gui.pages.page import PageContext
from app.gui.rig_page import doctor_panel
from app.gui.rig_page.note import NoteLevel
from app.gui.rig_page.page import RigPage
from app.instrument.config import InstrumentConfig, checked
from app.instrument.device_facts import RigFacts
from app.instrument.recent_instruments import InstrumentSort, RecentInstrument
from app.jobs.job_list import JobList, JobOrder, Need
from app.live.drills.kinds import DrillKind
from app.status import LiveState
from drivers.base import DeviceError
from drivers.camera_settings import CameraSetting, Choices, NumberRange, Roi, RoiRange, SettingName
from drivers.device_facts import DeviceFact
from tests.helpers.scripted_session import ScriptedSession
from tests.helpers.x_server.operator import wait_until

SETTINGS = (
    CameraSetting(name=SettingName.EXPOSURE_S, value=0.01, limits=NumberRange(2e-5, 1.0), unit="s"),
    CameraSetting(name=SettingName.GAIN, value=6.0, limits=NumberRange(0, 24), unit="dB"),
    CameraSetting(
        name=SettingName.ROI,
        value=Roi(width=512, height=512),
        limits=RoiRange(width=NumberRange(16, 512, 4), height=NumberRange(16, 512, 4), x_step=4, y_step=4),
        unit="px",
        live=False,
    ),
    CameraSetting(name=SettingName.BINNING, value=1, limits=Choices((1, 2, 4)), live=False),
)
FACTS = RigFacts(
    camera=(DeviceFact("Model", "acA1920"), DeviceFact("Serial number", "40012345"), DeviceFact("Firmware", "1.2")),
    slm=(DeviceFact("Model", "LCOS"),),
)


@pytest.fixture
def jobs() -> Iterator[JobList]:
    jobs = JobList()
    yield jobs
    for job in jobs.running:
        job.stop()
        assert job.stage.join(20)


@pytest.fixture
def page(qtbot, styled, store, jobs) -> RigPage:
    page = RigPage(PageContext(jobs=jobs, store=store))
    qtbot.addWidget(page)
    page.show()
    return page


@pytest.fixture
def session() -> ScriptedSession:
    session = ScriptedSession()
    session.settings, session.facts = SETTINGS, FACTS
    return session


def refreshed(page: RigPage, condition: Callable[[], object]) -> Callable[[], bool]:
    """Refresh as the timer of the page does, then look at a condition."""

    def look() -> bool:
        page.refresh()
        return bool(condition())

    return look


# -- instruments ------------------------------------------------------------------------------------------------------


def _remember(store: QSettings, path: Path, sort: InstrumentSort = InstrumentSort.REAL) -> None:
    entry = RecentInstrument(path=path, name=path.stem, sort=sort, used_utc="2026-11-30T02:05:00")
    recent_store.remember(store, (entry, *recent_store.remembered(store)))


def test_recent_instruments_are_listed_and_a_missing_file_says_so(page, qtbot, store, tmp_path, operator) -> None:
    (tmp_path / "bench.yaml").touch()
    _remember(store, tmp_path / "bench.yaml")
    _remember(store, tmp_path / "gone.yaml", InstrumentSort.SIMULATED)
    page.recent.show_recent(recent_store.remembered(store))
    table = page.recent.table
    state = [lambda row=row: table.item(row, 3).text() for row in range(3)]
    qtbot.waitUntil(refreshed(page, lambda: state[1]() == "file is missing"))
    qtbot.waitUntil(refreshed(page, lambda: state[2]() == "can be opened"))
    assert [table.item(row, 0).text() for row in range(3)] == ["Simulated instrument", "gone", "bench"]
    assert [table.item(row, 1).text() for row in range(3)] == ["simulated", "simulated", "real"]
    operator.click_cell(table, 1, until=lambda: table.currentRow() == 1)
    assert not page.recent.open_button.isEnabled()
    assert "gone.yaml is missing" in page.recent.note.text
    operator.click(page.recent.remove_button)
    assert [one.name for one in recent_store.remembered(store)] == ["bench"]
    assert (tmp_path / "bench.yaml").exists()


def test_an_instrument_is_opened_with_one_click(page, qtbot, store, tmp_path, operator) -> None:
    (tmp_path / "bench.yaml").touch()
    _remember(store, tmp_path / "bench.yaml")
    page.recent.show_recent(recent_store.remembered(store))
    operator.click_cell(page.recent.table, 1, until=lambda: page.recent.table.currentRow() == 1)
    with qtbot.waitSignal(page.instrument_requested) as asked:
        operator.click(page.recent.open_button)
    assert asked.args == [tmp_path / "bench.yaml"]
    operator.click_cell(page.recent.table, 0, until=lambda: page.recent.table.currentRow() == 0)
    with qtbot.waitSignal(page.instrument_requested) as asked:
        operator.click(page.recent.open_button)
    assert asked.args == [None]


def test_a_chosen_instrument_is_shown_in_the_form(page, store, tmp_path, operator) -> None:
    (tmp_path / "bench.yaml").write_text("name: bench 7\ncamera: basler\nslm: screen\n")
    _remember(store, tmp_path / "bench.yaml")
    page.recent.show_recent(recent_store.remembered(store))
    operator.click_cell(page.recent.table, 1, until=lambda: page.recent.table.currentRow() == 1)
    operator.click(page.recent.set_up_button)
    assert page.tabs.currentWidget() is page.set_up
    assert (page.set_up.name.text(), page.set_up.camera.name) == ("bench 7", "basler")


# -- devices ----------------------------------------------------------------------------------------------------------


def test_every_setting_has_value_unit_range_and_whether_it_may_change_live(page, session) -> None:
    page.use_session(session)
    page.tabs.setCurrentWidget(page.devices)
    page.refresh()
    fields, ranges = page.devices.fields, page.devices.ranges
    assert list(fields) == [setting.name for setting in SETTINGS]
    assert fields[SettingName.EXPOSURE_S].text() == "10.000 ms"
    assert ranges[SettingName.EXPOSURE_S].text() == "0.02 to 1000 ms"
    assert ranges[SettingName.GAIN].text() == "0 to 24 dB"
    assert ranges[SettingName.BINNING].text() == "1, 2, 4"
    shown = [label.text() for label in page.devices.findChildren(QLabel)]
    assert {"yes", "stops the camera for a moment"} <= set(shown)
    assert {"acA1920", "40012345", "1.2", "LCOS"} <= set(shown)


def test_settings_are_changed_through_the_session(page, session, operator) -> None:
    page.use_session(session)
    page.tabs.setCurrentWidget(page.devices)
    page.refresh()
    operator.fill(page.devices.fields[SettingName.EXPOSURE_S], "20")
    region = page.devices.fields[SettingName.ROI]
    operator.fill(region.parts["width"], "101")
    operator.click(region.apply_button)
    operator.choose(page.devices.fields[SettingName.BINNING], 1)
    assert session.calls == [
        ("set_camera", SettingName.EXPOSURE_S, 0.02),
        ("set_camera", SettingName.ROI, Roi(width=104, height=512)),
        ("set_camera", SettingName.BINNING, 2),
    ]


def test_a_refused_setting_says_why_beside_it(page, session, qtbot, operator) -> None:
    page.use_session(session)
    page.tabs.setCurrentWidget(page.devices)
    page.refresh()
    session.failure = DeviceError("an acquisition is running; stop it first")
    with qtbot.waitSignal(page.reported):
        operator.fill(page.devices.fields[SettingName.GAIN], "7")
    assert page.devices.camera_note.text == "an acquisition is running; stop it first"


def test_without_an_instrument_the_page_says_what_to_do(page, session) -> None:
    page.use_session(session)
    page.use_session(None)
    assert "No instrument is open" in page.devices.note.text
    assert not page.devices.fields


# -- doctor -----------------------------------------------------------------------------------------------------------


FINDINGS = (
    Finding("GPU", Verdict.NOTE, "no CUDA device was detected"),
    Finding("disk space", Verdict.BAD, "0.1 GB free", "free space"),
    Finding("processor", Verdict.OK, "2 cores"),
)


@pytest.fixture
def examined(monkeypatch) -> list[tuple[InstrumentConfig, bool]]:
    """Let the doctor find what a test expects; return what it was asked to check."""
    asked: list[tuple[InstrumentConfig, bool]] = []

    def examinations(config: InstrumentConfig, *, in_use: bool) -> Iterator[list[Finding]]:
        asked.append((config, in_use))
        yield from ([finding] for finding in FINDINGS)

    monkeypatch.setattr(doctor_panel, "examinations", examinations)
    return asked


def test_findings_have_a_word_and_what_to_do_and_can_be_copied(page, session, jobs, examined, operator) -> None:
    page.use_session(session)
    page.tabs.setCurrentWidget(page.doctor)
    operator.click(page.doctor.check_button)
    wait_until(refreshed(page, lambda: not page.doctor.running and len(page.doctor.findings) == 3))
    assert [status.name for status in jobs.statuses()] == ["Doctor"]
    assert examined == [(session.config, True)]
    texts = [label.text() for label in page.doctor.findChildren(QLabel)]
    assert {"good", "note", "problem"} <= set(texts)
    assert "0.1 GB free\n\N{RIGHTWARDS ARROW} free space" in texts
    assert page.doctor.note.text == "Not ready: disk space. Each says what to do."
    assert page.doctor.note.level is NoteLevel.ERROR
    operator.click(page.doctor.copy_button)
    assert "bad  disk space: 0.1 GB free [free space]" in QGuiApplication.clipboard().text()


def test_a_full_check_closes_the_instrument_first_and_lets_it_open_again(page, session, qtbot, examined, operator) -> None:
    page.use_session(session)
    page.tabs.setCurrentWidget(page.doctor)
    page.devices_requested.connect(lambda purpose, then: (page.use_session(None), then()))
    with qtbot.waitSignal(page.devices_released):
        operator.click(page.doctor.full_button)
        qtbot.waitUntil(refreshed(page, lambda: not page.doctor.running and len(page.doctor.findings) == 3))
    assert examined == [(session.config, False)]


# -- drills -----------------------------------------------------------------------------------------------------------


def test_a_drill_runs_as_a_job_and_shows_the_live_page(page, session, qtbot, jobs, operator) -> None:
    page.use_session(session)
    page.tabs.setCurrentWidget(page.drills)
    page.refresh()
    with qtbot.waitSignal(page.live_page_requested):
        operator.click(page.drills.cards[DrillKind.LOST_CAMERA].start_button)
    assert session.calls == [("drill", DrillKind.LOST_CAMERA)]
    assert session.fault.begun.wait(5)
    assert [status.name for status in jobs.statuses()] == ["Drill: unplug the camera"]
    page.refresh()
    assert not any(card.start_button.isEnabled() for card in page.drills.cards.values())
    assert "Check cable and power" in page.drills.note.text
    operator.click(page.drills.stop_button)
    qtbot.waitUntil(refreshed(page, lambda: not page.drills.running))
    assert session.fault.ended.is_set()
    assert "Everything is as it was before" in page.drills.note.text


def test_why_no_drill_can_begin_is_said_before_the_click(page, session, jobs) -> None:
    page.tabs.setCurrentWidget(page.drills)
    page.refresh()
    assert page.drills.note.text == "No instrument is open; open the simulated one on the tab Instruments."
    session.no_drill = "drills need the simulated instrument"
    page.use_session(session)
    page.refresh()
    start = page.drills.cards[DrillKind.BEND].start_button
    assert not start.isEnabled()
    assert start.toolTip() == "drills need the simulated instrument"
    session.no_drill = ""
    jobs.start(JobOrder(name="Sync check", work=lambda progress, stop: stop.wait(20) and None, needs=frozenset({Need.DEVICES})))
    page.refresh()
    assert "Sync check is running" in page.drills.note.text
    assert not start.isEnabled()


@pytest.mark.parametrize(("age_s", "retuned"), [(0.0, True), (600.0, False), (None, False)])
def test_what_was_tuned_to_the_bent_fibre_is_tuned_again(page, session, qtbot, age_s, retuned) -> None:
    session.status = replace(session.status, state=LiveState.RUNNING, reference_age_s=age_s)
    page.use_session(session)
    page.drills.start(DrillKind.BEND)
    page.drills.stop()
    qtbot.waitUntil(refreshed(page, lambda: not page.drills.running))
    assert (("retune",) in session.calls) is retuned
    assert "The drill is over" in page.drills.note.text


def test_a_drill_ends_when_its_instrument_closes(page, session, qtbot) -> None:
    page.use_session(session)
    page.drills.start(DrillKind.BEND)
    assert session.fault.begun.wait(5)
    page.use_session(None)
    assert session.fault.ended.wait(5)


def test_unsaved_changes_of_the_form_are_told_before_the_window_closes(page, operator) -> None:
    assert not page.unfinished()
    page.tabs.setCurrentWidget(page.set_up)
    operator.click(page.set_up.fibre, until=page.set_up.fibre.hasFocus)
    operator.key("End", "x")
    assert page.unfinished() == "The set-up form has changes that are not saved."
    page.use_session(None)
    assert page.set_up.fibre.text().endswith("x"), "what is typed stays when the instrument closes"


def test_the_form_shows_the_instrument_that_was_opened(page, session, tmp_path) -> None:
    file = tmp_path / "bench.yaml"
    file.write_text("name: bench 7\n")
    session.config = checked({"name": "bench 7"}, "test", file)
    page.use_session(session)
    assert (page.set_up.name.text(), page.set_up.path.text()) == ("bench 7", str(file))
