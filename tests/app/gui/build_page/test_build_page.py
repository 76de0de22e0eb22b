"""The Build page: a plan with its preview, what cannot start is said before the click, import, resume, report in place."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PyQt6.QtCore import QSettings
from PyQt6.QtWidgets import QApplication, QPushButton

from acquisition.archive.kinds import FinishReason
from acquisition.capture.states import AcquisitionState
from app.datasets.resume import AcquisitionDevices
from app.gui.build_page.note_label import Tone
from app.gui.build_page.page import BuildPage
from app.gui.pages.page import PageContext
from app.instrument.config import InstrumentConfig
from app.jobs.job_list import JobList, JobOrder, Need
from app.live.session import Session
from app.status import AcquisitionStatus, JobState, Message, RecordingState, RecordingStatus
from tests.helpers.scripted_session import ScriptedSession
from tests.helpers.small_instrument import small_instrument, until
from tests.helpers.virtual_dataset import FIBRE, PLAN, acquired
from tests.helpers.x_server.operator import XOperator, wait_exposed


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def session(tmp_path: Path) -> ScriptedSession:
    session = ScriptedSession()
    session.config = InstrumentConfig(archive=tmp_path / "archive")
    return session


@pytest.fixture
def page(qtbot, styled, session: ScriptedSession, store: QSettings) -> BuildPage:
    return _page(qtbot, session, store)


def _page(qtbot, session: object, store: QSettings | None = None) -> BuildPage:
    page = BuildPage(PageContext(jobs=JobList(), store=store))
    qtbot.addWidget(page)
    page.use_session(session)
    page.resize(1280, 620)
    page.show()
    wait_exposed(page)
    page.enter()
    page.leave()  # tests poll by hand
    return page


def _polled(page: BuildPage, condition) -> None:
    def holds() -> bool:
        QApplication.processEvents()  # the timer that waits until typing has ended
        page.refresh()
        return condition()

    until(holds)


def _click(operator: XOperator, button: QPushButton) -> None:
    assert button.isEnabled(), button.toolTip()
    operator.click(button)


def _image(file: Path, seed: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(seed).integers(0, 255, (16, 12), dtype=np.uint8)
    file.write_bytes(cv2.imencode(file.suffix, image)[1].tobytes())


# -- a plan -----------------------------------------------------------------------------------------------------------


def test_a_plan_is_previewed_estimated_and_acquired(page: BuildPage, session: ScriptedSession, operator: XOperator) -> None:
    sheet, form = page.acquire, page.acquire.form
    form.name.setText("cells-1")
    form.source.setCurrentIndex(form.source.findData("digits"))
    form.numbers["pairs"].setValue(60)
    _polled(page, lambda: len(sheet.patterns.names) == 12 and all("digit" in name for name in sheet.patterns.names))
    assert "64 frames, references included" in sheet.estimate.text()
    assert "GB free" in sheet.estimate.text()
    _click(operator, sheet.start_button)
    (command, name, plan), *_ = session.calls
    assert (command, name, plan.source, plan.pairs) == ("acquire", "cells-1", "digits", 60)
    assert plan.exposure_s == session.devices.exposure_s
    assert plan.phase_range_rad == session.config.phase_range_rad
    assert [job.name for job in page.context.jobs.statuses()] == ["Acquire cells-1"]
    page.refresh()
    assert not sheet.start_button.isEnabled()
    assert "An acquisition is running" in sheet.reason.text


def test_every_entry_is_explained_with_its_range_and_default(page: BuildPage, operator: XOperator) -> None:
    form = page.acquire.form
    for key, box in form.numbers.items():
        assert "at first" in box.toolTip(), key
        assert box.accessibleName(), key
    assert not form.numbers["seed"].isVisible()
    operator.click(form.more)
    assert form.numbers["seed"].isVisible()
    operator.click(form.numbers["repeats"])
    assert "How often each pattern is captured" in form.help.text()


def test_the_plan_has_every_entry(page: BuildPage) -> None:
    form = page.acquire.form
    values = {
        "pairs": 7, "seed": 3, "phase_range_rad": 2.5, "reference_every": 4, "exposure_s": 5.0, "repeats": 2, "dark_frames": 3,
        "max_saturated": 2.0, "min_mean_fraction": 1.0, "min_reference_correlation": 0.7, "min_frame_correlation": 0.2,
    }  # fmt: skip
    for key, value in values.items():
        form.numbers[key].setValue(value)
    form.order.setCurrentIndex(1)
    form.preamble.setChecked(False)
    form.source.setCurrentIndex(form.source.findData("usaf"))
    form.parameters.setText("bar_px=6")
    plan = form.plan()
    scaled = {"exposure_s": 0.005, "max_saturated": 0.02, "min_mean_fraction": 0.01}
    expected = {**values, **scaled, "order": "shuffled", "preamble": False, "source": "usaf?bar_px=6"}
    assert plan.to_dict() == pytest.approx(expected)


def test_a_wrong_detail_of_the_patterns_is_told_beside_them(page: BuildPage) -> None:
    form = page.acquire.form
    form.source.setCurrentIndex(form.source.findData("usaf"))
    form.parameters.setText("bars=6")
    _polled(page, lambda: form.source_note.tone is Tone.WRONG)
    assert "does not take bars" in form.source_note.text
    assert not page.acquire.start_button.isEnabled()
    form.parameters.setText("")
    _polled(page, page.acquire.start_button.isEnabled)
    assert "resolution chart" in form.source_note.text


def test_own_pictures_are_counted_and_what_is_skipped_is_named(page: BuildPage, tmp_path: Path) -> None:
    sheet, form = page.acquire, page.acquire.form
    form.source.setCurrentIndex(form.source.count() - 1)
    page.refresh()
    assert "Choose the folder of your pictures" in sheet.reason.text
    folder = tmp_path / "mine"
    for number in range(3):
        _image(folder / f"image{number}.png", number)
    (folder / "notes.txt").write_text("liver")
    form.folder.setText(str(folder))
    _polled(page, lambda: sheet.patterns.names[:3] == ("image0.png", "image1.png", "image2.png"))
    _polled(page, lambda: "3 patterns, 1 skipped" in sheet.folder_view.summary.text)
    assert "notes.txt" in sheet.folder_view.entries.item(0).text()
    assert sheet.start_button.isEnabled()
    (folder / "image1.png").write_bytes(b"cut")
    form.parameters.setText("size_px=32")
    _polled(page, lambda: "cannot be shown" in sheet.folder_view.summary.text)
    assert "image1.png" in sheet.folder_view.entries.item(0).text()
    assert not sheet.start_button.isEnabled()


def test_names_are_checked_and_one_that_exists_is_told(page: BuildPage, session: ScriptedSession) -> None:
    form = page.acquire.form
    (session.config.archive / "20261130-020000_dataset_liver_1a2b3c4d").mkdir(parents=True)
    form.name.setText("liver")
    _polled(page, lambda: "There is a dataset of this name" in form.name_note.text)
    assert page.acquire.start_button.isEnabled()
    form.name.setText("a/b")
    _polled(page, lambda: form.name_note.tone is Tone.WRONG)
    assert not page.acquire.start_button.isEnabled()
    assert form.name.property("tone") == "wrong"


def test_a_disk_that_is_too_small_is_told_before_the_start(page: BuildPage, session: ScriptedSession) -> None:
    session.free_bytes = 10**6
    page.refresh()
    assert "only 0.0 GB are free" in page.acquire.reason.text
    assert not page.acquire.start_button.isEnabled()
    session.free_bytes = 10**12
    page.refresh()
    assert page.acquire.start_button.isEnabled()


def test_what_cannot_run_side_by_side_is_told_before_the_click(page: BuildPage, session: ScriptedSession, qtbot) -> None:
    sheet = page.acquire
    session.recording = RecordingStatus(state=RecordingState.RECORDING)
    page.refresh()
    assert "A recording is running and uses the camera" in sheet.reason.text
    session.recording = RecordingStatus()
    job = page.context.jobs.start(
        JobOrder(name="Calibrate timing", work=lambda progress, stop: stop.wait(30), needs=frozenset({Need.DEVICES}))
    )
    page.refresh()
    assert "Calibrate timing is running and uses the camera and the SLM" in sheet.reason.text
    assert sheet.start_button.toolTip() == sheet.reason.text
    assert not sheet.start_button.isEnabled()
    job.stop()
    _polled(page, sheet.start_button.isEnabled)
    page.use_session(None)
    assert "Open an instrument first" in sheet.reason.text


def test_an_instrument_without_slm_says_so(page: BuildPage, session: ScriptedSession, monkeypatch) -> None:
    session.devices = replace(session.devices, pattern_shape=None)
    page.use_session(session)
    page.refresh()
    assert page.acquire.patterns.names == ()


def test_the_form_comes_back_at_the_next_start(page: BuildPage, session: ScriptedSession, store: QSettings, qtbot) -> None:
    form = page.acquire.form
    form.name.setText("été 2")
    form.numbers["pairs"].setValue(321)
    form.source.setCurrentIndex(form.source.findData("leaves"))
    page.leave()
    session.devices = replace(session.devices, exposure_s=0.004)
    later = _page(qtbot, session, store)
    again = later.acquire.form
    assert (again.name.text(), again.numbers["pairs"].value(), again.source.currentData()) == ("été 2", 321, "leaves")
    assert again.plan().exposure_s == 0.004  # what the live view has now, unless the operator has chosen


@pytest.mark.parametrize("text", ["{", "[1]", '{"numbers": {"pairs": -1, "seed": "x"}, "name": 3, "source": "none"}'])
def test_a_damaged_memory_gives_the_defaults(session: ScriptedSession, store: QSettings, qtbot, styled, text: str) -> None:
    store.setValue("build/plan", text)
    page = _page(qtbot, session, store)
    form = page.acquire.form
    assert (form.name.text(), form.numbers["pairs"].value(), form.source.currentData()) == ("dataset", 1000, "mixed")


# -- the acquisition that runs -----------------------------------------------------------------------------------------


def test_progress_faults_and_drift_are_shown_and_pause_and_stop_are_passed_on(page, session, operator) -> None:
    strip = page.run
    assert not strip.isVisible()
    status = AcquisitionStatus(
        state=AcquisitionState.CAPTURING,
        path=Path("set"),
        pairs_requested=500,
        pairs_acknowledged=125,
        retaken=3,
        pairs_per_s=11.84,
        seconds_left=31.9,
        drift=((0, 1.0), (26, 0.97)),
        free_bytes=10**11,
        faults={"DeviceTimeoutError": 2, "BadPairError": 1},
    )
    session.acquisition = status
    page.refresh()
    assert strip.isVisible()
    assert strip.progress.value() / strip.progress.maximum() == 0.25
    shown = [label.text() for label in (strip.done, strip.rate, strip.left, strip.retaken, strip.disk)]
    assert shown == ["125 of 500 pairs stored", "11.8 pairs/s", "0:31 left", "3 retaken", "100 GB free"]
    assert strip.faults.full_text == "Faults: bad pairs: 1, time-outs of the camera: 2"
    assert "check the camera's cable" in strip.faults.toolTip()
    assert strip.drift.isVisible()
    assert strip.drift.lowest == 0.97
    _click(operator, strip.pause)
    session.acquisition = replace(status, state=AcquisitionState.PAUSED)
    page.refresh()
    assert "do not move the fibre" in strip.verdict
    assert strip.rate.text() == "– pairs/s"
    _click(operator, strip.pause)
    _click(operator, strip.stop)
    assert session.calls == [("pause_acquisition", True), ("pause_acquisition", False), ("stop_acquisition",)]
    session.acquisition = replace(
        status, state=AcquisitionState.FINISHED, finish_reason=FinishReason.STOPPED, verdict="stopped at 125 of 500"
    )
    page.refresh()
    assert "Stopped at 125 of 500" in strip.verdict
    assert "resume it" in strip.verdict
    assert strip.rate.isHidden()
    assert strip.stop.isHidden()


def test_the_drift_curve_changes_colour_when_the_fibre_has_moved(page: BuildPage) -> None:
    curve = page.run.drift
    curve.show_points(((0, 1.0), (26, 0.97)))
    calm = curve.grab().toImage()
    curve.show_points(((0, 1.0), (26, 0.97), (52, 0.4)))
    assert curve.grab().toImage() != calm
    assert "0.400" in curve.toolTip()
    curve.show_points(())
    assert not curve.isVisible()


def test_the_job_of_an_acquisition_ends_with_it(page: BuildPage, session: ScriptedSession, operator: XOperator) -> None:
    _polled(page, page.acquire.start_button.isEnabled)
    _click(operator, page.acquire.start_button)
    assert page.context.jobs.conflict(frozenset({Need.DEVICES}))
    page.context.jobs.stop_resumable()  # as the window does when it closes
    until(lambda: ("stop_acquisition",) in session.calls)
    session.acquisition = replace(
        session.acquisition, state=AcquisitionState.FINISHED, finish_reason=FinishReason.STOPPED, verdict="stopped"
    )
    until(lambda: not page.context.jobs.running)
    assert page.context.jobs.statuses()[0].state is JobState.STOPPED


# -- import ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    for number in range(3):
        _image(tmp_path / "pairs" / "input" / f"{number}.png", number)
        _image(tmp_path / "pairs" / "label" / f"{number}.png", 100 + number)
    return tmp_path / "pairs"


def test_an_import_is_checked_first_and_then_shown_as_a_dataset(page: BuildPage, pairs: Path, operator: XOperator) -> None:
    sheet, form = page.importer, page.importer.form
    operator.show_tab(page.tabs, 1)
    assert "Choose a file or a folder" in sheet.reason.text
    form.use_source(pairs)
    assert form.dataset_name == "pairs"
    _polled(page, lambda: sheet.verdict.tone is Tone.WRONG)
    assert "1 problem" in sheet.verdict.text
    assert "'Phase range'" in sheet.messages.texts[0]
    assert form.numbers["phase_range_rad"].property("tone") == "wrong"
    assert not form.numbers["bit_depth"].property("tone")
    assert not sheet.import_button.isEnabled()
    form.numbers["phase_range_rad"].setValue(2.5)
    assert "Press Check" in sheet.reason.text
    _click(operator, sheet.check_button)
    _polled(page, lambda: sheet.verdict.tone is Tone.GOOD)
    assert "3 pairs can be imported" in sheet.verdict.text
    assert sheet.facts.rowCount() > 5
    assert not sheet.sheet.is_empty
    assert not page.session.config.archive.exists()
    messages: list[Message] = []
    page.reported.connect(messages.append)
    _click(operator, sheet.import_button)
    _polled(page, lambda: page.datasets.table.rowCount() == 1)
    assert "Imported: " in messages[0].text
    assert page.tabs.currentWidget() is page.datasets
    assert page.datasets.table.selected is not None
    assert page.datasets.table.selected.entry.name == "pairs"


def test_an_import_that_fails_says_why_and_leaves_nothing(page: BuildPage, pairs: Path, operator: XOperator) -> None:
    sheet = page.importer
    page.tabs.setCurrentWidget(sheet)
    sheet.form.numbers["phase_range_rad"].setValue(2.5)
    sheet.form.use_source(pairs)
    _polled(page, sheet.import_button.isEnabled)
    page.session.config.archive.write_text("a file in its place")
    _click(operator, sheet.import_button)
    _polled(page, lambda: sheet.reason.tone is Tone.WRONG)
    assert "cannot create" in sheet.reason.text or "archive" in sheet.reason.text


# -- datasets that are there -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def acquired_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, AcquisitionDevices]:
    """A dataset of which five pairs are on disk, and the devices that it was acquired with."""
    path, bench = acquired(tmp_path_factory.mktemp("acquired"), pairs=5)
    return path, AcquisitionDevices.of(bench.rig, FIBRE)


@pytest.fixture
def stored(page: BuildPage, session: ScriptedSession, acquired_once: tuple[Path, AcquisitionDevices]) -> Path:
    """A copy of the unfinished dataset, selected in the list."""
    original, session.devices = acquired_once
    path = Path(shutil.copytree(original, session.config.archive / original.name))
    page.use_session(session)
    page.show_dataset(path)
    _polled(page, lambda: page.datasets.table.selected is not None)
    return path


def test_a_list_that_does_not_have_a_new_dataset_yet_does_not_say_there_is_none(page: BuildPage, stored: Path) -> None:
    page.show_dataset(stored)
    assert page.datasets.note.text.startswith("Looking into the archive")
    _polled(page, lambda: page.datasets.note.text == "1 dataset is unfinished")


def test_an_unfinished_dataset_offers_to_be_resumed(
    page: BuildPage, session: ScriptedSession, stored: Path, operator: XOperator
) -> None:
    datasets = page.datasets
    assert page.tabs.tabText(2) == "Datasets (1 unfinished)"
    assert [datasets.table.item(0, column).text() for column in (0, 2, 3)] == [
        "test",
        f"5 of {len(PLAN)}",
        "unfinished: stopped",
    ]
    page.refresh()
    assert datasets.resume_note.text == f"{len(PLAN) - 5} pairs are missing"
    session.recording = RecordingStatus(state=RecordingState.RECORDING)
    page.refresh()
    assert "A recording is running" in datasets.resume_note.text
    assert not datasets.resume_button.isEnabled()
    session.recording = RecordingStatus()
    page.refresh()
    _click(operator, datasets.resume_button)
    _polled(page, lambda: bool(session.calls))
    assert session.calls == [("resume_acquisition", stored)]
    assert page.context.jobs.conflict(frozenset({Need.DEVICES}))
    session.acquisition = AcquisitionStatus(state=AcquisitionState.FINISHED, finish_reason=FinishReason.STOPPED)


def test_a_dataset_of_another_fibre_says_so_and_the_page_goes_on(page, session, stored: Path) -> None:
    session.devices = replace(session.devices, fibre="another fibre")
    page.show_dataset(stored)
    _polled(page, lambda: "was started with fibre 'twin 1'" in page.datasets.resume_note.text)
    assert not page.datasets.resume_button.isEnabled()
    assert page.datasets.verify_button.isEnabled()


def test_a_fibre_that_changed_after_the_list_was_made_is_noticed(page, session, stored: Path, operator: XOperator) -> None:
    page.refresh()
    session.devices = replace(session.devices, fibre="another fibre")
    messages: list[Message] = []
    page.reported.connect(messages.append)
    _click(operator, page.datasets.resume_button)
    _polled(page, lambda: bool(messages))
    assert "was started with fibre" in messages[0].text
    assert session.calls == []


def test_a_verification_is_a_job_and_its_report_is_seen_in_place(page, stored: Path, operator: XOperator) -> None:
    report = page.datasets.report
    page.refresh()
    assert "Not verified yet" in report.verdict.text
    _click(operator, page.datasets.verify_button)
    assert page.context.jobs.statuses()[0].name == f"Verify {stored.name}"
    _polled(page, lambda: report.rows.rowCount() > 5)
    assert f"5 of {len(PLAN)} pairs, verified" in report.verdict.text
    assert not report.sheet.is_empty
    assert report.open_report.isEnabled()


def test_a_damaged_dataset_is_told_in_place(page, stored: Path, operator: XOperator) -> None:
    shard = max(stored.glob("data.zarr/speckle/c*"), key=lambda file: file.stat().st_size)
    content = bytearray(shard.read_bytes())
    content[len(content) // 3] ^= 0xFF
    shard.write_bytes(content)
    _click(operator, page.datasets.verify_button)
    _polled(page, lambda: not page.context.jobs.running and page.datasets.verify_button.isEnabled())
    assert "NOT verified" in page.datasets.report.verdict.text
    assert any("pair" in text or "row" in text for text in page.datasets.report.messages.texts)


def test_an_archive_that_is_gone_is_told_and_comes_back(page, session, stored: Path) -> None:
    away = session.config.archive.rename(session.config.archive.with_name("pulled out"))
    session.config.archive.write_text("")
    page.enter()
    page.leave()
    _polled(page, lambda: page.datasets.note.tone is Tone.WRONG)
    assert "cannot be read" in page.datasets.note.text
    session.config.archive.unlink()
    away.rename(session.config.archive)
    page.enter()
    page.leave()
    _polled(page, lambda: page.datasets.table.rowCount() == 1)


# -- a real instrument -------------------------------------------------------------------------------------------------


@pytest.fixture
def real(qtbot, styled, tmp_path: Path) -> Iterator[BuildPage]:
    session = Session.open(small_instrument(tmp_path))
    page = _page(qtbot, session)
    yield page
    page.leave()
    page.use_session(None)
    session.close()


@pytest.mark.slow
def test_a_dataset_is_stopped_resumed_verified_and_seen_in_place(real: BuildPage, operator: XOperator) -> None:
    form, datasets = real.acquire.form, real.datasets
    form.numbers["pairs"].setValue(24)
    form.numbers["reference_every"].setValue(8)
    _polled(real, real.acquire.start_button.isEnabled)
    _click(operator, real.acquire.start_button)
    _polled(real, lambda: real.session.acquisition_status().path is not None)
    _click(operator, real.run.stop)
    _polled(real, lambda: datasets.table.rowCount() == 1 and not real.context.jobs.running)
    assert real.tabs.tabText(2) == "Datasets (1 unfinished)"
    operator.show_tab(real.tabs, 2)
    operator.click_cell(datasets.table, 0)
    real.refresh()
    assert "pairs are missing" in datasets.resume_note.text
    _click(operator, datasets.resume_button)
    _polled(real, lambda: real.run.verdict.startswith("Complete"))
    _polled(real, lambda: real.tabs.tabText(2) == "Datasets")
    _click(operator, real.run.report)
    _polled(real, lambda: datasets.report.verdict.tone is Tone.GOOD)
    assert "28 of 28 pairs, verified" in datasets.report.verdict.text
    assert datasets.report.rows.rowCount() >= 10
    assert not datasets.report.sheet.is_empty
    assert datasets.report.drift.isVisible()
    _click(operator, datasets.verify_button)
    _polled(real, lambda: datasets.verify_button.isEnabled() and not real.context.jobs.running)
    assert real.context.jobs.statuses()[-1].state is JobState.FINISHED
    assert datasets.report.verdict.tone is Tone.GOOD
