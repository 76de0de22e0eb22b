"""A recording holds what its frames were reconstructed against, so that somebody else can reconstruct them again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.reader import Archive
from app.instrument.config import InstrumentConfig, checked
from app.live.recording import LiveRecording, RecordingSettings
from app.live.reference_log import ReferenceLog
from app.live.session import Session
from app.status import LiveView
from calibration.reference_state import ReferenceState
from drivers.base import Frame
from reconstruction.engines.choose import open_engine
from reconstruction.live.pairs_method import PairsMethod
from reconstruction.models.model import load_model
from tests.helpers.small_instrument import until


def record(session: Session, frames: int = 3) -> Archive:
    session.start_recording("cells")
    until(lambda: session.recording_status().frames_recorded >= frames)
    session.stop_recording()
    until(lambda: not session.recording_status().active)
    path = session.recording_status().path
    assert path is not None
    return Archive.open(path)


def start(session: Session) -> None:
    session.start_live()
    until(lambda: (view := session.poll_view()) is not None and view.reconstruction is not None)


def retune(session: Session) -> None:
    session.retune()
    until(lambda: session.poll_view() is not None and not session.live_status().retuning)
    until(lambda: session.poll_view() is not None and "pairs" in session.live_status().model_name)


def test_the_phase_of_a_recording_follows_again_from_its_stored_reference(config: InstrumentConfig) -> None:
    with Session.open(config) as session:
        start(session)
        archive = record(session)
    (entry,) = archive.references()
    rows = archive.rows()
    assert entry.first_frame == rows[0].frame_index
    state = ReferenceState.read(entry)
    assert state.speckle is not None
    assert state.pairs is None
    assert state.response is None
    model = load_model(config.model)
    engine = open_engine(model, "torch")
    done = [row.index for row in rows if row.model_id]
    assert done
    for index in done[:3]:
        phase = np.where(model.mask, engine.run(archive.read("speckle", index), state.speckle), np.float32(0))
        assert np.allclose(phase, archive.read("phase", index), atol=1e-4)


def test_a_replay_on_the_same_model_shows_the_recorded_phase_again(config: InstrumentConfig) -> None:
    with Session.open(config) as session:
        start(session)
        archive = record(session)
    replay = {"camera": "replay", "slm": "none", "replay": {"path": str(archive.path), "period_s": 0.02}}
    kept = {"model": config.model, "live": {"engine": "torch"}, "archive": str(config.archive)}
    done = {row.index for row in archive.rows() if row.model_id}
    seen: dict[int, LiveView] = {}
    with Session.open(checked({**replay, **kept}, "test")) as session:
        assert session.model is not None  # by the fibre that the recording names
        assert session.field_um == pytest.approx(archive.spec("speckle").shape[1] * config.frame_pixel_um)
        session.watch(lambda view: seen.update({view.frame.recorded_index or 0: view}))
        session.start_live()
        until(lambda: session.poll_view() is None and done <= seen.keys())
    for index in done:
        reconstruction = seen[index].reconstruction
        assert reconstruction is not None
        assert np.allclose(reconstruction.phase_rad, archive.read("phase", index), atol=1e-4)


def test_a_recording_after_a_retune_holds_its_pairs_and_the_newest_reference(config: InstrumentConfig) -> None:
    with Session.open(config) as session:
        start(session)
        first = record(session)
        retune(session)
        second = record(session)
    before, after = (ReferenceState.read(archive.references()[0]) for archive in (first, second))
    assert before.pairs is None
    assert after.pairs is not None
    assert before.speckle is not None
    assert after.speckle is not None
    assert not np.array_equal(before.speckle, after.speckle)
    assert np.array_equal(after.speckle, after.pairs.reference)
    model = load_model(config.model)
    method = PairsMethod(after.pairs, model.grid_px)
    row = next(row for row in second.rows() if row.model_id)
    assert method.id == row.model_id
    phase = np.where(method.mask, method.run(second.read("speckle", row.index), after.speckle), np.float32(0))
    assert np.allclose(phase, second.read("phase", row.index), atol=1e-4)


def test_a_recording_that_begins_before_the_reference_is_measured_gets_it(config: InstrumentConfig) -> None:
    with Session.open(config) as session:
        start(session)
        earlier = record(session)
        session.stop_live()
        until(lambda: not session.live_status().running)
        session.start_live()
        archive = record(session)
    (entry,) = archive.references()
    assert entry.first_frame == archive.rows()[0].frame_index
    old, new = (ReferenceState.read(one.references()[0]).speckle for one in (earlier, archive))
    assert old is not None
    assert new is not None
    assert not np.array_equal(old, new)


def test_who_follows_hears_what_is_in_force_and_every_change() -> None:
    log = ReferenceLog()
    heard: list[ReferenceState] = []
    log.set_reference(np.full((2, 2), 1, np.float32))
    log.follow(heard.append)
    log.set_reference(np.full((2, 2), 2, np.float32))
    log.follow(None)
    log.set_reference(np.full((2, 2), 3, np.float32))
    assert [state.speckle.mean() for state in heard if state.speckle is not None] == [1, 2]


def test_a_reference_that_changes_while_recording_holds_from_the_next_frame_on(tmp_path: Path) -> None:
    recording = LiveRecording(tmp_path, "cells", {}, 2, RecordingSettings(64))
    for number in range(9):
        if number in (0, 5):
            recording.put_reference(ReferenceState(speckle=np.full((4, 4), number, np.float32)))
        recording.put_frame(Frame(np.full((4, 4), number, np.uint8), 20 + number, number * 10**7, 0.005))
    recording.finish()
    assert recording.stage.join(20)
    path = recording.status().path
    assert path is not None
    entries = Archive.open(path).references()
    assert [(entry.first_frame, float(entry.array("speckle")[0, 0])) for entry in entries] == [(20, 0.0), (25, 5.0)]
