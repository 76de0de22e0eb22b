"""The guide of the first start: each step waits for the real button; Skip and the end are remembered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from app.gui.command import Command
from app.gui.main_window.guide import STEPS, GuideFacts
from app.gui.main_window.session_host import SessionHost
from app.gui.main_window.window import MainWindow
from app.status import JobState, JobStatus, LiveState, RecordingState
from tests.helpers.scripted_session import make_view
from tests.helpers.x_server.operator import maximize

_FACTS = (
    GuideFacts(running=True),
    GuideFacts(running=True, views_shown=1),
    GuideFacts(retuning=True),
    GuideFacts(recorded_s=5.2),
    GuideFacts(exported=True),
    GuideFacts(playing=True),
)


@pytest.mark.parametrize("number", range(len(STEPS)))
def test_a_step_waits_for_what_it_names(number):
    assert not STEPS[number].is_done(GuideFacts())
    assert STEPS[number].is_done(_FACTS[number])


def test_a_recording_that_is_too_short_is_not_enough():
    assert not STEPS[3].is_done(GuideFacts(recorded_s=4.0))


@pytest.fixture
def started(session, store, qtbot, styled) -> Callable[[], MainWindow]:
    """Starts the window with the same settings, again and again."""

    def start() -> MainWindow:
        host = SessionHost(lambda choice: lambda: session)
        host.adopt(session)
        window = MainWindow(host, store)
        window.stop_polling()
        qtbot.addWidget(window, before_close_func=lambda window: (window.shut_down(), window.wait_closed(30)))
        maximize(window)  # as a window that is larger than its screen
        return window

    return start


def test_the_first_start_leads_through_the_buttons(started, session, operator):
    window = started()
    assert not window.guide.isHidden()
    assert not window.guide.next.isEnabled()
    operator.activate(window)
    operator.key("space")
    window.refresh_numbers()
    assert window.guide.next.isEnabled()
    operator.click(window.guide.next)
    assert window.guide.number.text() == "Step 2 of 6"
    assert not window.guide.next.isEnabled()
    session.add(make_view())
    window.refresh_pictures()
    window.refresh_numbers()
    operator.click(window.guide.next)
    session.status = replace(session.status, state=LiveState.RETUNING)
    window.refresh_numbers()
    session.status = replace(session.status, state=LiveState.RUNNING)
    window.refresh_numbers()
    assert window.guide.next.isEnabled()  # a step that was done stays done
    operator.click(window.guide.next)
    session.recording = replace(session.recording, state=RecordingState.FINISHED, seconds=6.0, frames_recorded=300)
    window.refresh_numbers()
    operator.click(window.guide.next)
    session.job_statuses = (JobStatus(name="Export liver", state=JobState.RUNNING),)
    window.refresh_numbers()
    operator.click(window.guide.next)
    assert window.guide.number.text() == "Step 6 of 6"


@pytest.mark.parametrize("at_end", [False, True])
def test_skip_and_the_end_are_remembered_and_help_opens_it_again(started, at_end, operator):
    window = started()
    if at_end:
        window.guide.step = len(STEPS)
        window.guide.go_on()
    else:
        operator.click(window.guide.skip)
    assert window.guide.isHidden()
    again = started()
    assert again.guide.isHidden()
    operator.choose_in_menus(again.menuBar(), again.commands[Command.GUIDE])
    assert not again.guide.isHidden()
    assert again.guide.number.text() == "Step 1 of 6"


def test_a_guide_that_was_neither_skipped_nor_finished_comes_again(started):
    started()
    assert not started().guide.isHidden()
