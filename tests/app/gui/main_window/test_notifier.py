"""The end of a long job is told once, and that of a short one is not."""

from __future__ import annotations

from dataclasses import replace

from app.gui.main_window.notifier import Notifier
from app.status import JobState, JobStatus, RecordingState, RecordingStatus


def test_the_end_of_a_long_job_is_told_once(window) -> None:
    notifier = Notifier(window)
    for state, seconds in ((JobState.RUNNING, 3.0), (JobState.FAILED, 60.0), (JobState.FAILED, 60.0)):
        notifier.watch([JobStatus(name="Export liver", state=state, seconds=seconds)])
    assert notifier.messages == ["Export liver: failed"]
    for state in (JobState.RUNNING, JobState.FINISHED):
        notifier.watch([JobStatus(name="Export lung", state=state, seconds=1.0)])
    assert notifier.messages == ["Export liver: failed"]


def test_a_recording_keeps_the_computer_awake_until_it_ends(window, session, monkeypatch) -> None:
    monkeypatch.setenv("WAKEPY_FAKE_SUCCESS", "1")
    session.recording = RecordingStatus(state=RecordingState.RECORDING, seconds=3.0)
    window.refresh_numbers()
    assert window.stay_awake.holding
    session.recording = replace(session.recording, state=RecordingState.FINISHED)
    window.refresh_numbers()
    assert not window.stay_awake.holding
