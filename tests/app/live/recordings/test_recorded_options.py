"""A session records what its options say: seconds of before, every n-th frame, markers, notes and tags."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.kinds import EventKind
from acquisition.archive.reader import Archive
from acquisition.archive.recording_faults import marker, markers, recording_facts
from acquisition.archive.rows import StorageError
from acquisition.exchange.export_base import metadata_json
from app.instrument.config import InstrumentConfig
from app.live.recording import LiveRecording, RecordingSettings
from app.live.recordings.options import Credits, RecordingOptions
from app.live.session import Session, SessionError
from app.status import LiveState, RecordingLength, RecordingStatus
from drivers.base import Frame
from tests.helpers.small_instrument import until

FRAME_NS = 10_000_000


def running(session: Session) -> Session:
    session.start_live()
    until(lambda: session.live_status().state is LiveState.RUNNING)
    return session


def ended(session: Session) -> tuple[RecordingStatus, Archive]:
    until(lambda: not session.recording_status().active)
    status = session.recording_status()
    assert status.path is not None
    return status, Archive.open(status.path)


def test_a_recording_begins_with_the_seconds_before_it(session: Session) -> None:
    session.set_pre_trigger(0.3)
    running(session)
    until(lambda: session.pre_trigger_s >= 0.25)
    session.start_recording("x", RecordingOptions(before_s=0.3, length=RecordingLength(seconds=0.2)))
    status, archive = ended(session)
    rows = archive.rows()
    indexes = [row.frame_index for row in rows]
    assert indexes == list(range(indexes[0], indexes[0] + len(indexes)))
    assert (rows[-1].t_ns - rows[0].t_ns) * 1e-9 == pytest.approx(0.5, abs=0.15)
    assert archive.metadata["seconds_before"] == 0.3
    assert status.verdict == "complete"


def test_seconds_that_are_not_in_memory_are_refused(session: Session) -> None:
    running(session)
    with pytest.raises(SessionError, match="the last 2 s are not in memory, 0 s are kept"):
        session.start_recording("x", RecordingOptions(before_s=2.0))
    assert not session.recording_status().active


def test_every_third_frame_with_notes_and_tags_in_another_folder(session: Session, tmp_path: Path) -> None:
    running(session)
    options = RecordingOptions(
        every_nth=3, length=RecordingLength(frames=4), folder=tmp_path / "elsewhere", notes="left knee", tags=("knee", "2026")
    )
    session.start_recording("x", options)
    status, archive = ended(session)
    assert [row.frame_index - archive.row(0).frame_index for row in archive.rows()] == [0, 3, 6, 9]
    assert (status.verdict, archive.status["frames_skipped"]) == ("complete", "0")
    assert archive.path.parent == tmp_path / "elsewhere"
    assert (archive.metadata["notes"], archive.metadata["tags"]) == ("left knee", ["knee", "2026"])
    assert (archive.metadata["every_nth_frame"], archive.metadata["set_frames"]) == (3, 4)


def test_who_measures_what_is_stored_and_exported_and_replaces_the_instrument_file(config: InstrumentConfig) -> None:
    stated = config.model_copy(update={"operator": "B. Krol", "licence": "CC0-1.0"})
    credits = Credits(operator="A. Nowak", sample="mouse 7")
    with Session.open(stated) as session:
        running(session)
        session.start_recording("x", RecordingOptions(length=RecordingLength(frames=2), credits=credits))
        exported = json.loads(metadata_json(ended(session)[1]))
    assert (exported["operator"], exported["sample"], exported["licence"]) == ("A. Nowak", "mouse 7", "CC0-1.0")


def test_markers_are_stored_with_time_and_frame_and_are_no_faults(session: Session) -> None:
    with pytest.raises(SessionError, match="no recording to mark"):
        session.add_marker("early")
    running(session)
    session.start_recording("x")
    until(lambda: session.recording_status().frames_recorded > 2)
    session.add_marker("touched, frame 3)")
    session.add_marker("touched, frame 3)")
    session.stop_recording()
    status, archive = ended(session)
    first, second = markers(archive)
    assert first.text == second.text == "touched, frame 3)"
    assert archive.row(0).frame_index < first.frame_index <= archive.rows()[-1].frame_index
    assert first.utc.startswith("20")
    assert (status.verdict, status.faults) == ("complete", {})
    listed = recording_facts(archive)["markers"]
    assert isinstance(listed, list)
    assert listed[0] == {"utc": first.utc, "frame": first.frame_index, "text": first.text}
    assert [event.kind for event in archive.events()].count(EventKind.MARKER) == 2


@pytest.mark.parametrize("text", ["", "  ", "two\nlines", "x" * 201, "\ud800"])
def test_a_marker_is_one_line_of_text(text: str) -> None:
    with pytest.raises(StorageError, match="1 to 200 letters"):
        marker(text, 0)


def test_a_frame_of_a_time_lapse_is_on_disk_before_the_next_one_comes(tmp_path: Path) -> None:
    recording = LiveRecording(tmp_path, "lapse", {}, 4, RecordingSettings(10**6, RecordingOptions(every_s=1200.0)))
    for index in range(400):  # four seconds; no reconstruction comes
        recording.put_frame(Frame(np.full((8, 8), index % 256, np.uint8), index, index * FRAME_NS, 0.005))
    until(lambda: recording.status().frames_recorded == 1)
    recording.put_frame(Frame(np.zeros((8, 8), np.uint8), 400, 1200 * 10**9, 0.005))
    recording.finish()
    assert recording.stage.join(20)
    status = recording.status()
    assert (status.frames_recorded, status.verdict) == (2, "complete")


def test_the_frames_of_a_time_lapse_are_those_with_a_reconstruction(session: Session) -> None:
    running(session)
    until(lambda: session.poll_view() is not None)
    session.start_recording("x", RecordingOptions(every_s=0.3, length=RecordingLength(frames=4)))
    status, archive = ended(session)
    assert (status.frames_recorded, status.frames_not_reconstructed) == (4, 0)
    times_s = np.array([row.t_ns for row in archive.rows()]) * 1e-9
    assert (np.diff(times_s) > 0.1).all()
