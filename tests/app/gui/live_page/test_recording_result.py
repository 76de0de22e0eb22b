"""The line that says how a recording ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PyQt6.QtCore import QPoint

from acquisition.archive.kinds import EventKind, FinishReason, RecordingEnd
from app.gui.live_page.recording_result import result_text
from app.status import FAULT_TEXTS, RecordingState, RecordingStatus

ENDED = RecordingStatus(
    state=RecordingState.FINISHED,
    path=Path("archive/liver"),
    frames_recorded=873,
    seconds=60.0,
    finish_reason=FinishReason.COMPLETED,
    verdict="complete",
    ended_by=RecordingEnd.SET_LENGTH,
)


def test_faults_are_said_in_words_and_not_as_names_of_classes() -> None:
    faults = {EventKind.DEVICE_TIMEOUT.value: 1, EventKind.FRAME_SATURATED.value: 20}
    text = result_text(
        replace(ENDED, faults=faults, verdict="complete, with 21 faults: 1 DeviceTimeoutError, 20 FrameSaturated")
    )
    assert text == (
        "60.0 s, 873 frames. Complete, but not without faults (time-outs of the camera: 1, saturated frames: 20), "
        "reached its set length: liver"
    )
    assert set(FAULT_TEXTS) == {kind for kind in EventKind if kind.is_fault}


def test_why_a_recording_stopped_comes_before_its_numbers() -> None:
    failed = replace(
        ENDED, finish_reason=FinishReason.DISK_FAILED, ended_by=RecordingEnd.ERROR, verdict="stopped at frame 873: full"
    )
    assert result_text(failed) == "Stopped at frame 873: full, ended by an error. 60.0 s, 873 frames: liver"


def test_the_end_of_a_recording_moves_nothing_under_the_mouse(window, session) -> None:
    pane, controls = window.page.pictures.panes[0], window.page.controls
    before = [widget.mapTo(window, QPoint(0, 0)) for widget in (controls.record, pane)], pane.size()
    session.recording = ENDED
    window.refresh_numbers()
    window.page.layout().activate()
    assert window.page.result.isVisible()
    assert ([widget.mapTo(window, QPoint(0, 0)) for widget in (controls.record, pane)], pane.size()) == before
