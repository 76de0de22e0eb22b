"""The record panel: names from a pattern, lengths, chosen frames, seconds before, notes and markers."""

from __future__ import annotations

from pathlib import Path

import pytest
from PyQt6.QtWidgets import QScrollArea

from app.gui.live_page.record_panel import Frames, Length
from app.status import RecordingLength, RecordingState, RecordingStatus


@pytest.fixture
def panel(window, session, tmp_path, operator):
    session.archive = tmp_path
    window.page.controls.recording_name.setText("liver")
    operator.key("F2")
    return window.page.recorder


def test_the_next_name_follows_the_pattern_and_what_is_there(panel, window, session, tmp_path, operator) -> None:
    (tmp_path / "20261129-120000_recording_liver-001_ab12cd34").mkdir()
    operator.fill(panel.pattern, "{name}-{counter:03}")
    window.refresh_numbers()
    assert panel.next_name.full_text == "liver-002"
    assert panel.room.text() == "100 GB free, 2 h 5 min left"
    operator.click(window.page.controls.record)
    assert session.calls == [("start_recording", "liver-002")]
    operator.fill(panel.pattern, "{nmae}")
    operator.click(window.page.controls.record)
    assert len(session.calls) == 1
    assert "'{nmae}'" in window.banner.text


def test_length_frames_and_words_reach_the_recording(panel, window, session, operator) -> None:
    operator.choose(panel.length, panel.length.findData(Length.SECONDS))
    operator.fill(panel.amount, "30")
    operator.choose(panel.frames, panel.frames.findData(Frames.NTH))
    operator.fill(panel.every, "5")
    panel.notes.setPlainText("first slide")
    operator.fill(panel.tags, "liver, control ,")
    operator.fill(panel.folder, "elsewhere")
    operator.click(window.page.controls.record)
    options = session.options
    assert options.length == RecordingLength(seconds=30.0)
    assert (options.every_nth, options.every_s) == (5, None)
    assert (options.notes, options.tags, options.folder) == ("first slide", ("liver", "control"), Path("elsewhere"))


def test_a_time_out_of_range_is_refused_and_not_cut(panel, window, session, operator) -> None:
    operator.click(panel.before)
    operator.key("ctrl+a")
    operator.type("90")
    operator.key("Return")
    assert session.calls == []
    assert panel.before.value() == 0.0
    assert window.banner.text == "Error: The time before cannot be 90 s: 0 to 60 s is possible"


def test_seconds_before_are_kept_from_now_on(panel, session, operator) -> None:
    operator.fill(panel.before, "3")
    assert session.calls == [("set_pre_trigger", 3.0)]
    assert panel.options().before_s == 3.0


def test_a_key_marks_the_moment_only_while_it_is_recorded(panel, window, session, operator) -> None:
    panel.marker.setText("acid added")
    operator.key("m")
    assert session.calls == []
    session.recording = RecordingStatus(state=RecordingState.RECORDING, frames_recorded=5)
    window.refresh_numbers()
    operator.key("m")
    assert session.calls == [("add_marker", "acid added")]
    assert panel.marker.text() == ""
    assert not panel.pattern.isEnabled()


def test_panels_are_shown_in_front_and_hidden(panel, window, operator) -> None:
    assert panel.isVisible()
    operator.key("F3")
    assert window.page.camera.isVisible()
    operator.key("F3")
    assert not window.page.camera.isVisible()


def test_no_choice_makes_the_panel_wider_than_its_place(panel, window) -> None:
    place = next(area for area in window.page.findChildren(QScrollArea) if area.widget() is panel)
    for length in range(panel.length.count()):
        for frames in range(panel.frames.count()):
            panel.length.setCurrentIndex(length)
            panel.frames.setCurrentIndex(frames)
            assert panel.minimumSizeHint().width() <= place.viewport().width(), (length, frames)


def test_nothing_can_be_chosen_that_no_recording_takes(panel) -> None:
    panel.frames.setCurrentIndex(panel.frames.findData(Frames.TIMED))
    panel.every.setValue(0.2)
    assert panel.options().every_s == 0.2
    panel.frames.setCurrentIndex(panel.frames.findData(Frames.NTH))
    panel.every.setValue(0)
    assert panel.options().every_nth == 1
    panel.length.setCurrentIndex(panel.length.findData(Length.SECONDS))
    panel.amount.setValue(0.5)
    assert panel.options().length == RecordingLength(seconds=0.5)
    panel.length.setCurrentIndex(panel.length.findData(Length.FRAMES))
    assert panel.options().length == RecordingLength(frames=1)


def test_words_that_would_not_be_stored_cannot_be_typed_while_it_records(panel) -> None:
    panel.show_recording(RecordingStatus(state=RecordingState.RECORDING))
    assert not any(field.isEnabled() for field in (panel.before, panel.notes, panel.tags, panel.operator, panel.sample))
    assert panel.marker.isEnabled()
    panel.show_recording(RecordingStatus())
    assert panel.notes.isEnabled()
