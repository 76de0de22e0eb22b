"""The Calibrate page on a real session of a small twin: run, stop, apply, revert, and what it says before a click."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PyQt6.QtCore import QPoint
from PyQt6.QtWidgets import QPushButton

from acquisition.capture.states import AcquisitionState
from app.calibrations.kinds import Calibration
from app.calibrations.storing import folders_of
from app.calibrations.verdict import CalibrationState
from app.gui.calibrate_page.page import CalibratePage
from app.gui.pages.page import PageContext
from app.instrument.config import InstrumentConfig, TwinConfig, load_config, save_config
from app.jobs.job_list import JobList, JobOrder, Need
from app.live.session import Session
from app.status import AcquisitionStatus, LiveState, Message, MessageLevel, RecordingState, RecordingStatus
from drivers.twin.slm import SimulatedSlmConfig
from tests.helpers.calibrations.stored import save_calibration
from tests.helpers.scripted_session import ScriptedSession
from tests.helpers.small_instrument import OPTICS, small_instrument, until
from tests.helpers.x_server.answers import Answer, agrees, refuses
from tests.helpers.x_server.operator import XOperator


@pytest.fixture
def config(tmp_path: Path) -> InstrumentConfig:
    """The small instrument with an SLM that settles within milliseconds and with another response than is assumed."""
    slm = SimulatedSlmConfig(refresh_hz=500.0, settle_s=0.004, time_constant_s=0.0008, lut_gamma=1.2)
    config = small_instrument(tmp_path).model_copy(update={"twin": TwinConfig(optics=OPTICS, slm=slm)})
    save_config(config, tmp_path / "instrument.yaml")
    return load_config(tmp_path / "instrument.yaml")


@pytest.fixture
def session_of_file(config: InstrumentConfig) -> Iterator[Session]:
    session = Session.open(config)
    yield session
    session.close(end_recording=True)


class Shown:
    """A page with what it has said and asked for."""

    def __init__(self, qtbot, operator: XOperator) -> None:
        self.operator = operator
        self.jobs = JobList()
        self.page = CalibratePage(PageContext(jobs=self.jobs))
        self.messages: list[Message] = []
        self.requested: list[object] = []
        self.page.reported.connect(self.messages.append)
        self.page.instrument_requested.connect(self.requested.append)
        qtbot.addWidget(self.page)
        self.page.resize(1280, 620)
        self.page.show()
        self.qtbot = qtbot

    def use(self, session) -> None:
        self.page.use_session(session)
        self.page.enter()
        if session is not None:
            self.qtbot.waitUntil(lambda: bool(self.page.records), timeout=20_000)

    def choose(self, what: Calibration) -> None:
        self.operator.click(self.page.cards[what], until=lambda: self.page.what is what)

    def press(self, button: QPushButton, answer: Answer | None = None) -> str:
        """Click a button; return the question that came, after the answer."""
        if answer is None:
            self.operator.click(button)
            return ""
        self.operator.click(button, until=lambda: bool(answer.questions))
        answer.stop()
        return answer.questions[0]

    def run(self) -> None:
        """Run what is shown, and wait until its record is shown."""
        before = self.page.records[self.page.what].folders
        self.press(self.page.run_panel.run)
        assert self.page.job is not None, self.messages
        self.qtbot.waitUntil(lambda: self.page.job is None, timeout=60_000)
        self.qtbot.waitUntil(lambda: self.page.records[self.page.what].folders != before, timeout=20_000)

    def state(self, what: Calibration) -> CalibrationState:
        return self.page.records[what].verdict.state


@pytest.fixture
def shown(qtbot, styled, operator) -> Shown:
    return Shown(qtbot, operator)


def test_a_response_is_measured_applied_and_taken_back(shown: Shown, session_of_file: Session, tmp_path: Path) -> None:
    shown.use(session_of_file)
    assert set(map(shown.state, Calibration)) == {CalibrationState.NEVER}
    shown.choose(Calibration.LUT)
    page = shown.page
    shown.operator.fill(page.run_panel.levels, "16")
    assert "shows 16 checkerboards" in page.run_panel.plan.text()
    assert "at least 0:0" in page.run_panel.plan.text()
    assert not page.result_panel.apply.isEnabled()
    shown.run()
    assert shown.state(Calibration.LUT) is CalibrationState.CONTRADICTS
    assert page.cards[Calibration.LUT].verdict.text() == "contradicts the settings"
    assert " rad at white" in page.cards[Calibration.LUT].accessibleName()
    assert [plot.canvas.accessibleName() for plot in page.figures.plots] == [
        "phase, rad over grey level",
        "phase error, rad over grey level",
    ]
    assert page.result_panel.changes.text(0, 0) == "Assumed SLM gamma"
    assert page.result_panel.changes.text(0, 1) == "1"
    assert float(page.result_panel.changes.text(0, 2)) == pytest.approx(1.2, abs=0.03)

    before = load_config(tmp_path / "instrument.yaml")
    refused = shown.press(page.result_panel.apply, refuses(shown.operator))
    assert "Assumed SLM gamma: 1 \N{RIGHTWARDS ARROW} 1." in refused
    assert load_config(tmp_path / "instrument.yaml") == before
    assert shown.requested == []
    shown.press(page.result_panel.apply, agrees(shown.operator))
    assert shown.requested == [tmp_path / "instrument.yaml"]
    applied = load_config(tmp_path / "instrument.yaml")
    assert applied.twin.slm.assumed_lut_gamma == pytest.approx(1.2, abs=0.03)

    with Session.open(applied) as opened_again:
        shown.use(opened_again)
        shown.qtbot.waitUntil(lambda: shown.state(Calibration.LUT) is CalibrationState.GOOD, timeout=20_000)
        assert page.result_panel.measurements.currentText().endswith("(in use)")
        assert not page.result_panel.apply.isEnabled()
        assert "Apply: it is in use already" in page.result_panel.why_not.text()
        asked = shown.press(shown.page.result_panel.revert, agrees(shown.operator))
        assert "Revert writes this into instrument.yaml" in asked
        assert load_config(tmp_path / "instrument.yaml") == before
        shown.page.use_session(None)


def test_stop_keeps_the_calibration_before(shown: Shown, session_of_file: Session) -> None:
    before = save_calibration(Calibration.TIMING, session_of_file.calibration_target(), settle_s=0.003, latency_s=0.006)
    shown.use(session_of_file)
    page = shown.page
    shown.press(page.run_panel.run)
    shown.qtbot.waitUntil(lambda: page.job is not None and page.job.status().done > 0, timeout=20_000)
    page.refresh()
    assert page.run_panel.progress.text().split(" of ")[1].startswith("240, ")
    assert not page.result_panel.isEnabled()
    shown.press(page.run_panel.stop)
    shown.qtbot.waitUntil(lambda: page.job is None, timeout=20_000)
    assert "was stopped; nothing was stored or changed" in shown.messages[-1].text
    assert folders_of(Calibration.TIMING, session_of_file.calibration_target().root) == (before,)
    assert page.run_panel.run.isVisible()


def test_the_live_view_goes_on_after_a_calibration_that_nobody_watches(shown: Shown, session_of_file: Session) -> None:
    session_of_file.start_live()
    until(lambda: session_of_file.live_status().state is LiveState.RUNNING)
    shown.use(session_of_file)
    shown.choose(Calibration.LUT)
    shown.operator.fill(shown.page.run_panel.levels, "16")
    shown.press(shown.page.run_panel.run)
    shown.page.leave()
    shown.qtbot.waitUntil(lambda: shown.page.job is None, timeout=60_000)
    assert "SLM phase response was measured" in shown.messages[-1].text
    until(lambda: session_of_file.live_status().state is LiveState.RUNNING)


@pytest.mark.parametrize(
    ("recording", "acquisition", "reason"),
    [
        (RecordingStatus(state=RecordingState.RECORDING), AcquisitionStatus(), "a recording is running"),
        (RecordingStatus(), AcquisitionStatus(state=AcquisitionState.CAPTURING), "an acquisition is running"),
    ],
)
def test_what_cannot_run_side_by_side_is_said_before_the_click(
    shown: Shown, session_of_file: Session, recording: RecordingStatus, acquisition: AcquisitionStatus, reason: str
) -> None:
    session = ScriptedSession()
    session.target = session_of_file.calibration_target()
    session.recording, session.acquisition = recording, acquisition
    shown.use(session)
    panel = shown.page.run_panel
    assert not panel.run.isEnabled()
    assert reason in panel.reason.text()
    assert reason in panel.run.toolTip()
    session.recording, session.acquisition = RecordingStatus(), AcquisitionStatus()
    shown.page.refresh()
    assert panel.run.isEnabled()
    job = shown.jobs.start(
        JobOrder(name="Test the camera", work=lambda report, stop: (stop.wait(), None)[1], needs=frozenset({Need.DEVICES}))
    )
    shown.page.refresh()
    assert "Test the camera is running and uses the camera and the SLM" in panel.reason.text()
    job.stop()
    until(lambda: not job.running)
    shown.page.refresh()
    assert panel.run.isEnabled()


def test_a_refused_start_is_told_and_nothing_runs(shown: Shown, session_of_file: Session) -> None:
    session = ScriptedSession()
    session.target = session_of_file.calibration_target()
    shown.use(session)
    shown.press(shown.page.run_panel.run)
    assert shown.messages[-1].level is MessageLevel.ERROR
    assert "a scripted session has no devices" in shown.messages[-1].text
    assert shown.page.job is None
    assert shown.jobs.running == ()


def test_without_an_instrument_or_an_slm_the_page_says_so(shown: Shown) -> None:
    shown.use(None)
    assert "no instrument is open" in shown.page.run_panel.reason.text()
    shown.use(ScriptedSession())
    assert "has no SLM to show patterns" in shown.page.run_panel.reason.text()
    assert all(shown.state(what) is CalibrationState.NEVER for what in Calibration)


def test_a_bad_instrument_file_is_said_beside_apply_and_the_page_goes_on(
    shown: Shown, session_of_file: Session, tmp_path: Path
) -> None:
    save_calibration(Calibration.CAMERA, session_of_file.calibration_target())
    (tmp_path / "instrument.yaml").write_text("twin: [1, 2]\n", "utf-8")
    shown.use(session_of_file)
    shown.choose(Calibration.CAMERA)
    assert "instrument.yaml" in shown.page.result_panel.why_not.text()
    assert not shown.page.result_panel.apply.isEnabled()
    assert shown.page.run_panel.run.isEnabled()
    assert (tmp_path / "instrument.yaml").read_text("utf-8") == "twin: [1, 2]\n"


def test_an_instrument_without_a_file_gets_a_new_one(shown: Shown, config: InstrumentConfig, tmp_path: Path) -> None:
    config = InstrumentConfig.model_validate(config.model_dump())
    with Session.open(config) as session:
        save_calibration(Calibration.REGISTRATION, session.calibration_target())
        shown.use(session)
        shown.choose(Calibration.REGISTRATION)
        asked = shown.press(shown.page.result_panel.apply, agrees(shown.operator))
        new = tmp_path / "instrument-2.yaml"
        assert f"{new} is a new file" in asked
        assert shown.requested == [new]
        assert load_config(new).calibrations.registration is not None
        shown.page.use_session(None)


def test_the_registration_in_use_is_offered_to_the_calibrations_of_the_fibre(
    shown: Shown, config: InstrumentConfig, session_of_file: Session
) -> None:
    target = session_of_file.calibration_target()
    folder = save_calibration(Calibration.REGISTRATION, target)
    save_config(
        config.model_copy(update={"calibrations": config.calibrations.model_copy(update={"registration": folder})}), config.file
    )
    session = ScriptedSession()
    session.target = replace(target, config=load_config(config.file))
    shown.use(session)
    shown.choose(Calibration.FIBRE)
    assert shown.page.run_panel.use_registration.isChecked()
    assert shown.page.run_panel.order().registration == folder
    box = shown.page.run_panel.use_registration
    shown.operator.click(box, QPoint(8, box.height() // 2))
    assert shown.page.run_panel.order().registration is None
    shown.choose(Calibration.TIMING)
    assert shown.page.run_panel.order().registration is None


def test_everything_has_a_name_and_a_tip(shown: Shown, session_of_file: Session) -> None:
    shown.use(session_of_file)
    for one in shown.page.cards.values():
        assert one.accessibleName()
        assert one.toolTip()
    for button in shown.page.findChildren(QPushButton):
        assert button.toolTip(), button.text()


def test_the_calibration_that_was_shown_last_is_shown_again(qtbot, styled, store) -> None:
    for value, first in (("fibre", Calibration.FIBRE), ("no such kind", Calibration.TIMING)):
        store.setValue("calibrate/shown", value)
        page = CalibratePage(PageContext(jobs=JobList(), store=store))
        qtbot.addWidget(page)
        assert page.what is first
        assert page.cards[first].isChecked()
        page.choose(Calibration.LUT)
        assert store.value("calibrate/shown") == "lut"
