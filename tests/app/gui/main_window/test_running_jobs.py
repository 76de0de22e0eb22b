"""What is running is asked about before it is ended, with what is true for its kind; messages go with their cause."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from acquisition.archive.kinds import FinishReason
from app.gui.build_page.acquisition_watch import watch_order
from app.gui.calibrate_page.page import CalibratePage
from app.gui.main_window.page_list import CALIBRATE
from app.gui.main_window.session_host import InstrumentChoice
from app.gui.main_window.window import MainWindow
from app.jobs.job_list import GOES_ON, Job, JobOrder, Need
from app.status import Message, MessageLevel, RecordingState, RecordingStatus, Topic
from tests.helpers.x_server.answers import agrees, refuses

Start = Callable[..., Job]


@pytest.fixture
def start(window: MainWindow) -> Start:
    """Starts a job that runs until it is stopped."""

    def begin(name: str, *needs: Need, if_stopped: str = GOES_ON) -> Job:
        def work(report: object, stop: threading.Event) -> None:
            stop.wait()

        order = JobOrder(name=name, work=work, needs=frozenset(needs), resumable=True, if_stopped=if_stopped)
        return window.jobs.start(order)

    return begin


def test_closing_says_of_a_calibration_that_it_has_to_be_run_again(window, session, start: Start, operator) -> None:
    window.show_page(CALIBRATE)
    calibrating = start("Calibrate: SLM timing", Need.DEVICES, if_stopped=CalibratePage.if_stopped)
    answer = refuses(operator)
    window.close()
    answer.stop()
    [question] = answer.questions
    assert "Calibrate: SLM timing is running" in question
    assert "is not kept" in question
    assert "has to be run again" in question
    assert window.isVisible()
    assert calibrating.running


def test_closing_says_of_a_training_that_it_goes_on(window, start: Start, operator) -> None:
    start("Train m", Need.COMPUTER)
    answer = refuses(operator)
    window.close()
    answer.stop()
    [question] = answer.questions
    assert "nothing that it has written is lost" in question.lower()
    assert "goes on where it stopped" in question


def test_of_an_acquisition_it_says_once_that_it_can_be_resumed(session) -> None:
    order = watch_order(session, "liver")
    assert "Resume" in order.if_stopped


def test_another_instrument_asks_while_a_job_uses_the_devices(qtbot, window, start: Start, operator) -> None:
    calibrating, training = start("Calibrate: SLM timing", Need.DEVICES), start("Train m", Need.COMPUTER)
    answer = refuses(operator)
    window.instruments.use_model("/models/new")
    answer.stop()
    [question] = answer.questions
    assert "Calibrate: SLM timing is running" in question
    assert (window.host.choice, calibrating.running) == (InstrumentChoice(), True)
    answer = agrees(operator)
    window.instruments.use_model("/models/new")
    answer.stop()
    assert len(answer.questions) == 1
    qtbot.waitUntil(lambda: window.host.choice.model == "/models/new" and window.page is not None, timeout=10_000)
    assert not calibrating.running
    assert training.running


def test_what_was_said_of_a_recording_goes_when_the_next_one_begins(window, session) -> None:
    faulty = Message(MessageLevel.WARNING, "the recording is complete, with 2 faults", Topic.RECORDING)
    camera = Message(MessageLevel.WARNING, "the camera is lost; waiting for the device", Topic.CAMERA)
    session.recording = RecordingStatus(state=RecordingState.FINISHED, finish_reason=FinishReason.COMPLETED)
    for message in (camera, faulty):
        window.report(message)
    window.refresh_numbers()
    assert "with 2 faults" in window.banner.text
    session.recording = RecordingStatus(state=RecordingState.RECORDING, frames_recorded=5)
    window.refresh_numbers()
    assert "the camera is lost" in window.banner.text
    during = Message(MessageLevel.WARNING, "the disk does not answer", Topic.RECORDING)
    window.report(during)
    window.refresh_numbers()
    assert window.banner.shown in (camera, during)
    window.banner.clear(Topic.CAMERA)
    assert window.banner.shown == during
    assert [entry.message for entry in window.banner.log][-3:] == [camera, faulty, during]
