"""Operator, sample and licence on the record panel: stored with a recording, and remembered, but in no preset."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.gui.live_page.page_state import layout_of, preset_of, restore
from app.gui.main_window import window_state
from app.live.recordings.options import Credits
from app.status import RecordingState, RecordingStatus


@pytest.fixture
def panel(window):
    window.page.toggle_panel("record")
    panel = window.page.recorder
    panel.operator.setText(" A. Nowak ")
    panel.sample.setText("mouse 7")
    return panel


def test_they_reach_the_recording_and_stay_for_the_next_one(panel, window, session, tmp_path: Path) -> None:
    session.archive = tmp_path
    window.page.controls.recording_name.setText("liver")
    for _ in range(2):
        window.page.toggle_recording()
        assert session.options.credits == Credits(operator="A. Nowak", sample="mouse 7")


def test_what_a_running_recording_has_stored_cannot_be_changed(panel, window, session) -> None:
    fields = (panel.operator, panel.sample, panel.licence, panel.notes, panel.tags)
    session.recording = RecordingStatus(state=RecordingState.RECORDING, frames_recorded=5)
    window.refresh_numbers()
    assert not any(field.isEnabled() for field in fields)
    session.recording = RecordingStatus(state=RecordingState.FINISHED)
    window.refresh_numbers()
    assert all(field.isEnabled() for field in fields)


def test_they_come_back_at_the_next_start(panel, window, store) -> None:
    window_state.remember_page(window.page, store)
    panel.operator.clear()
    panel.sample.clear()
    window_state.restore_page(window.page, store)
    assert panel.credits() == {"operator": "A. Nowak", "sample": "mouse 7", "licence": ""}


def test_a_preset_of_somebody_else_changes_no_operator(panel, window) -> None:
    preset = preset_of(window.page)
    panel.operator.setText("B. Krol")
    assert restore(window.page, preset) == []
    assert panel.credits()["operator"] == "B. Krol"


@pytest.mark.parametrize("stored", [3, {"operator": 3}, {"operator": "x" * 1000}])
def test_a_damaged_entry_does_no_harm(panel, window, stored: object) -> None:
    assert restore(window.page, {**layout_of(window.page), "credits": stored}) == []
    assert len(panel.credits()["operator"]) <= 200
