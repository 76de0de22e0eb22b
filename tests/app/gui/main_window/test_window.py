"""The main window: the commands of the operator, what the session answers, and how the window closes."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from PyQt6.QtGui import QImage

from acquisition.archive.kinds import FinishReason
from acquisition.capture.states import AcquisitionState
from app.gui import main
from app.gui.command import Command
from app.gui.image_view.contents import Content
from app.gui.live_page.drift_gauge import correlation_colour
from app.gui.main_window.page_list import BUILD
from app.gui.main_window.session_host import HostState
from app.gui.widgets.formatting import count
from app.gui.widgets.palette import DARK
from app.status import (
    AcquisitionStatus,
    JobState,
    JobStatus,
    LiveState,
    Message,
    MessageLevel,
    RecordingEnd,
    RecordingState,
    RecordingStatus,
)
from drivers.base import DeviceLostError, FrameMark, SpeckleScopeError
from tests.helpers.scripted_session import ScriptedSession, make_view
from tests.helpers.x_server.answers import agrees, refuses


def test_space_starts_and_stops(window, session, operator):
    operator.key("space")
    assert window.page.controls.live.text() == "Stop live"
    assert window.page.controls.state.text() == "Starting…"
    session.add(make_view())
    window.refresh_pictures()
    window.refresh_numbers()
    assert window.page.controls.state.text() == "Live"
    operator.key("space")
    assert session.calls == [("start_live",), ("stop_live",)]
    assert window.page.controls.state.text() == "Stopped"


def test_frames_are_live_while_engines_are_compared(window, session):
    session.status = replace(session.status, state=LiveState.RUNNING, choosing_engine=True)
    window.refresh_numbers()
    session.add(make_view())
    window.refresh_pictures()
    window.refresh_numbers()
    assert window.page.controls.state.text() == "Choosing engine…"


def test_no_pane_waits_for_a_frame_while_frames_come(window, session):
    session.status = replace(session.status, state=LiveState.RUNNING, choosing_engine=True)
    window.refresh_numbers()
    phase = window.page.pictures.showing(Content.PHASE).canvas.annotations
    assert phase.message == "Waiting for the first frame…"
    session.frames.append(make_view().frame)
    window.refresh_pictures()
    window.refresh_numbers()
    assert phase.message == "The engine is being chosen. The phase comes after that."
    session.status = replace(session.status, choosing_engine=False)
    window.refresh_numbers()
    assert phase.message == "Waiting for the first phase…"
    session.status = replace(session.status, model_id="")
    window.refresh_numbers()
    assert phase.message == "There is no model of this fibre. Train a model."
    session.status = replace(session.status, can_retune=True)
    window.refresh_numbers()
    assert phase.message == (
        "There is no model of this fibre. Press Re-tune to reconstruct with reference pairs, or train a model."
    )
    session.add(make_view())
    window.refresh_pictures()
    window.refresh_numbers()
    assert phase.message == ""


def test_a_silent_camera_is_not_called_live(window, session, monkeypatch):
    session.status = replace(session.status, state=LiveState.RUNNING)
    session.add(make_view())
    window.refresh_numbers()
    window.refresh_pictures()
    later_s = time.monotonic() + 10.0
    monkeypatch.setattr(time, "monotonic", lambda: later_s)
    window.refresh_numbers()
    assert window.page.controls.state.text() == "No frame for 10 s"
    panes = window.page.pictures.panes
    assert {pane.canvas.annotations.notes for pane in panes} == {("Not live: no frame for 10 s",)}
    session.status = replace(session.status, state=LiveState.STOPPED)
    window.refresh_numbers()
    assert {pane.canvas.annotations.notes for pane in panes} == {("Not live: stopped",)}


def test_a_phase_that_is_old_is_not_called_live_while_frames_come(window, session, monkeypatch):
    session.status = replace(session.status, state=LiveState.RUNNING)
    session.add(make_view())
    window.refresh_numbers()
    window.refresh_pictures()
    later_s = time.monotonic() + 3.0
    monkeypatch.setattr(time, "monotonic", lambda: later_s)
    session.frames.append(make_view(1).frame)
    window.refresh_pictures()
    window.refresh_numbers()
    assert window.page.controls.state.text() == "No phase for 3 s"


@pytest.mark.parametrize(
    ("state", "text", "button"),
    [
        (LiveState.STOPPED, "Stopped", "Start live"),
        (LiveState.STARTING, "Starting…", "Stop live"),
        (LiveState.RETUNING, "Re-tuning…", "Stop live"),
        (LiveState.FAILED, "Failed", "Start live"),
    ],
)
def test_every_state_of_the_live_view_is_shown(window, session, state, text, button):
    session.status = replace(session.status, state=state)
    window.refresh_numbers()
    assert (window.page.controls.state.text(), window.page.controls.live.text()) == (text, button)


def test_a_refused_command_becomes_a_banner(window, session, operator):
    session.failure = DeviceLostError("camera 40012345 does not answer; check its cable, then start again")
    operator.click(window.page.controls.live)
    assert window.banner.shown
    assert window.banner.text == "Error: camera 40012345 does not answer; check its cable, then start again"
    assert window.page.controls.live.text() == "Start live"
    operator.key("Escape")
    assert window.banner.shown is None


def test_the_most_serious_message_is_on_top_and_none_is_lost(window, session):
    session.messages = [
        Message(MessageLevel.ERROR, "disk full"),
        Message(MessageLevel.INFO, "exported"),
        Message(MessageLevel.WARNING, "drift"),
    ]
    window.refresh_numbers()
    texts = []
    while window.banner.shown:
        texts.append(window.banner.shown.text)
        window.banner.dismiss()
    assert texts == ["disk full", "drift", "exported"]


def test_a_message_that_repeats_waits_once(window):
    for _ in range(100):
        window.banner.push(Message(MessageLevel.ERROR, "no light"))
    window.banner.dismiss()
    assert window.banner.shown is None


def test_the_record_button_follows_the_recording(window, session, operator):
    operator.fill(window.page.controls.recording_name, "liver")
    window.page.setFocus()
    operator.key("r")
    assert session.calls == [("start_recording", "liver")]
    session.recording = RecordingStatus(
        state=RecordingState.RECORDING, path=Path("recording"), frames_recorded=1234, seconds=61.5
    )
    window.refresh_numbers()
    record = window.page.controls.record
    assert record.text().startswith("1:01")
    assert "1\N{NARROW NO-BREAK SPACE}234 frames" in record.text()
    assert "fault" not in record.text()
    session.recording = replace(session.recording, faults={"FrameFailedError": 2, "DeviceLostError": 1})
    window.refresh_numbers()
    assert record.text().endswith("frames   3 faults")
    assert record.property("tone") == "recording"
    operator.click(record)
    assert session.calls[-1] == ("stop_recording",)
    session.recording = replace(
        session.recording, state=RecordingState.FINISHED, finish_reason=FinishReason.COMPLETED, verdict="complete"
    )
    window.refresh_numbers()
    assert record.text() == "Record"
    assert record.property("tone") == ""
    operator.key("e")
    assert session.calls[-1] == ("export_last_recording",)


def test_typing_a_name_presses_no_shortcut(window, session, operator):
    window.activateWindow()
    name = window.page.controls.recording_name
    operator.fill(name, "")
    operator.click(name, until=name.hasFocus)
    operator.type("rs te")
    assert name.text() == "rs te"
    assert session.calls == []
    operator.key("Return")
    assert not name.hasFocus()


def test_a_recording_without_a_name_is_not_recorded(window, session, operator):
    operator.fill(window.page.controls.recording_name, "  ")
    operator.click(window.page.controls.record)
    assert session.calls == []
    assert "no name" in window.banner.text


def test_a_snapshot_says_where_it_went(window, session, operator):
    operator.key("s")
    assert window.banner.text == f"Snapshot saved: {Path('archive/snapshot-0001')}"


def test_the_strip_shows_every_number_with_its_unit(window, session):
    session.status = replace(
        session.status, camera_fps=29.97, inference_fps=14.5, latency_ms_p50=38.4, latency_ms_p99=61.2,
        inference_ms_p50=12.34, dropped_display=3, dropped_inference=15, dropped_record=1, reference_correlation=0.35,
    )  # fmt: skip
    window.refresh_numbers()
    strip = window.page.status_strip
    assert strip.camera.text == "Camera 30.0 fps"
    assert strip.duration.text == "Inference 12.3 ms"
    assert strip.latency.text == "Latency, software path 38 ms p50 61 ms p99"
    assert strip.dropped.text == "Dropped frames 3 display 15 inference 1 recording"
    assert strip.engine.full_text == "OpenVINO bf16: fastest of 3 measured on this machine"
    assert strip.model.full_text == "referenced-unet 3fa9c21e"
    assert strip.bad_frames.full_text == "none"
    session.status = replace(session.status, frames_marked={FrameMark.DARK: 1200, FrameMark.DECORRELATED: 1})
    window.refresh_numbers()
    assert strip.bad_frames.full_text == f"{count(1200)} dark, 1 fibre has moved"
    assert [correlation_colour(c, 0.5) for c in (0.77, 0.55, 0.49)] == [DARK.good, DARK.warning, DARK.alarm]
    assert [correlation_colour(c, 0.8) for c in (0.91, 0.85, 0.79)] == [DARK.good, DARK.warning, DARK.alarm]


def test_a_fibre_that_has_moved_alarms_and_is_retuned(window, session, operator):
    drift = window.page.status_strip.drift
    window.refresh_numbers()
    assert not drift.retune.isEnabled()
    session.status = replace(session.status, state=LiveState.RUNNING, can_retune=True, reference_correlation=0.72)
    window.refresh_numbers()
    assert drift.retune.isEnabled()
    assert drift.number.text == "Reference correlation 0.72 good"
    assert drift.retune.property("tone") == ""
    session.status = replace(session.status, reference_correlation=0.31)
    window.refresh_numbers()
    assert drift.number.text == "The fibre has moved 0.31 low"
    assert drift.retune.property("tone") == "alarm"
    operator.click(drift.retune)
    operator.key("t")
    assert session.calls == [("retune",), ("retune",)]
    session.status = replace(session.status, state=LiveState.RETUNING)
    window.refresh_numbers()
    assert drift.retune.text() == "Re-tuning\N{HORIZONTAL ELLIPSIS}"
    assert not drift.retune.isEnabled()
    session.failure = DeviceLostError("there is nothing to re-tune: start the live view first")
    operator.key("t")
    assert "nothing to re-tune" in window.banner.text


def test_closing_shows_what_is_finished_first(window, session, qtbot, operator):
    session.may_close.clear()
    session.job_statuses = (JobStatus(name="Export liver", state=JobState.RUNNING, done=1, total=2),)
    operator.key("alt+F4", until=lambda: window.empty_page.text.text() == "Export liver")
    assert window.isVisible()
    session.job_statuses = ()
    window.refresh_numbers()
    assert "Files are finished first" in window.empty_page.text.text()
    assert not session.closed.is_set()
    session.may_close.set()
    assert window.host.join(5.0)
    qtbot.waitUntil(lambda: window.host.state is HostState.EMPTY)
    window.refresh_numbers()
    assert session.closed.is_set()
    assert not window.isVisible()


def test_closing_during_an_acquisition_asks_first(window, session, operator):
    session.acquisition = AcquisitionStatus(
        state=AcquisitionState.CAPTURING, path=Path("d"), pairs_requested=500, pairs_acknowledged=125
    )
    answer = refuses(operator)
    operator.key("alt+F4", until=lambda: bool(answer.questions))
    answer.stop()
    assert "125 of 500 pairs" in answer.questions[0]
    assert window.page is not None
    assert not session.closed.is_set()


@pytest.mark.parametrize("key", ["space", "t"])
def test_a_recording_is_ended_by_nothing_that_only_happens_to_be_pressed(window, session, key, operator):
    session.status = replace(session.status, state=LiveState.RUNNING, can_retune=True)
    session.recording = RecordingStatus(state=RecordingState.RECORDING, path=Path("r"), frames_recorded=1234, seconds=61.5)
    answer = refuses(operator)
    operator.key(key, until=lambda: bool(answer.questions))
    answer.stop()
    assert "1:01, 1\N{NARROW NO-BREAK SPACE}234 frames are stored" in answer.questions[0]
    assert session.calls == []
    answer = agrees(operator)
    operator.key(key, until=lambda: bool(answer.questions))
    answer.stop()
    assert len(answer.questions) == 1
    assert session.calls[0] == ("stop_recording",)


@pytest.mark.parametrize(
    "command",
    [
        lambda window, operator, asked: window.instruments.use_model("m"),
        lambda window, operator, asked: operator.choose_in_menus(
            window.menuBar(), window.commands[Command.SIMULATED], until=asked
        ),
        lambda window, operator, asked: window.instruments.free_devices("test the devices", lambda: None),
        lambda window, operator, asked: operator.key("alt+F4", until=asked),
    ],
    ids=["model", "simulated", "test of the devices", "close"],
)
def test_what_would_end_a_recording_asks_and_changes_nothing_when_refused(window, session, command, operator):
    session.status = replace(session.status, state=LiveState.RUNNING)
    session.recording = RecordingStatus(state=RecordingState.RECORDING, path=Path("r"), frames_recorded=12, seconds=1.5)
    answer = refuses(operator)
    command(window, operator, lambda: bool(answer.questions))
    answer.stop()
    assert len(answer.questions) == 1
    assert session.calls == []
    assert window.page is not None
    assert window.host.state is HostState.OPEN


def test_it_is_said_how_a_recording_ended_and_what_can_be_done(window, session, qtbot, operator):
    result = window.page.result
    assert not result.isVisible()
    session.recording = RecordingStatus(
        state=RecordingState.FINISHED,
        path=Path("archive/liver"),
        frames_recorded=873,
        frames_not_reconstructed=76,
        seconds=60.0,
        finish_reason=FinishReason.COMPLETED,
        verdict="complete",
        ended_by=RecordingEnd.OPERATOR,
    )
    window.refresh_numbers()
    assert result.text.full_text == "60.0 s, 873 frames, 76 not reconstructed. Complete, ended by the operator: liver"
    operator.key("e")
    assert session.calls == [("export_last_recording",)]
    operator.click(result.export)
    assert window.exports.panel is not None
    assert window.exports.panel.isVisible()
    qtbot.waitUntil(lambda: "No archive at" in window.exports.panel.archive_problem.text())
    window.exports.panel.close()
    session.failure = SpeckleScopeError("a recording with this name exists")
    operator.key("r")
    assert result.isVisible()
    assert result.export.isEnabled()
    operator.click(result.dismiss)
    window.refresh_numbers()
    assert not result.isVisible()


def test_a_refusal_goes_away_with_the_next_command_that_works(window, session, operator):
    session.failure = SpeckleScopeError("the disk is full")
    operator.key("s")
    assert "the disk is full" in window.banner.text
    session.failure = None
    operator.key("s")
    assert "the disk is full" not in window.banner.text
    assert "the disk is full" in [entry.message.text for entry in window.banner.log]
    assert window.drawer.messages.rowCount() == 2


def test_space_presses_the_button_that_has_the_focus(window, session, operator):
    window.activateWindow()
    window.page.controls.snapshot.setFocus()
    operator.key("space")
    assert session.calls == [("snapshot",)]


def test_every_command_has_a_key_of_its_own_and_stands_in_a_menu(window):
    keys = [key for key, _ in window.commands.key_list()]
    assert len(keys) == len(set(keys))
    shown = {action for menu in window.menuBar().actions() for action in menu.menu().actions()}
    assert all(window.commands[command] in shown for command in Command)


def test_a_window_fits_a_small_screen(window):
    assert window.minimumSizeHint().width() <= 1280
    assert window.minimumSizeHint().height() <= 720


class Endless(ScriptedSession):
    def poll_view(self):
        if self.status.running and not self.views:
            self.add(make_view(index=self.polls))
        return super().poll_view()


def test_a_picture_of_the_window_can_be_taken_without_a_screen(qapp, tmp_path):
    session = Endless()
    path = main.render_offscreen(session, tmp_path / "window.png", views=3, timeout_s=30)
    picture = QImage(str(path))
    assert (picture.width(), picture.height()) == (1600, 950)
    speckle = [picture.pixelColor(x, 350).value() for x in range(100, 400)]
    assert max(speckle) > 3 * min(speckle) + 50
    assert session.calls == [("start_live",)]
    assert not session.closed.is_set()


def test_a_live_view_without_frames_is_an_error_offscreen(qapp, session, tmp_path):
    with pytest.raises(SpeckleScopeError, match="0 of 1 views"):
        main.render_offscreen(session, tmp_path / "window.png", views=1, timeout_s=0.1)
    assert not (tmp_path / "window.png").exists()


def test_an_unexpected_error_is_shown_and_the_window_lives(window, session, monkeypatch):
    import sys

    with main.errors_in_banner(window):
        sys.excepthook(ZeroDivisionError, ZeroDivisionError("division by zero"), None)
    assert "ZeroDivisionError: division by zero" in window.banner.text
    assert window.isVisible()


def test_a_command_of_the_menu_shows_the_page_build(window, operator):
    operator.choose_in_menus(window.menuBar(), window.commands[Command.ACQUIRE])
    assert window.pages.current_page is not None
    assert window.pages.current_page.title == "Build"
    assert window.rail.actions()[BUILD].isChecked()
