"""Calibrations that run with the devices of a session: the live view pauses and goes on, and nothing else may run beside."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.writer import Archive
from acquisition.capture.states import AcquisitionState
from acquisition.exchange.export import export
from app.calibrations.kinds import Calibration, CalibrationOrder
from app.calibrations.run import CalibrationRun, CalibrationStoppedError
from app.instrument.config import InstrumentConfig, TwinConfig, checked
from app.live.session import Session, SessionError
from app.live.slm.content import SlmContent, SlmKind
from app.status import LiveState, RecordingState
from drivers.twin.slm import SimulatedSlmConfig
from tests.helpers.calibrations.stored import save_calibration
from tests.helpers.small_instrument import OPTICS, small_instrument, until

LUT = CalibrationOrder(what=Calibration.LUT, levels=16)
TIMING = CalibrationOrder(what=Calibration.TIMING)


def fast_instrument(root: Path) -> InstrumentConfig:
    """Return the small instrument with an SLM that settles within milliseconds."""
    slm = SimulatedSlmConfig(refresh_hz=500.0, settle_s=0.004, time_constant_s=0.0008)
    return small_instrument(root).model_copy(update={"twin": TwinConfig(optics=OPTICS, slm=slm)})


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Session]:
    session = Session.open(fast_instrument(tmp_path))
    yield session
    session.close(end_recording=True)


def followed(run: CalibrationRun, stop: threading.Event | None = None) -> Path | None:
    return run.follow(lambda done, total: None, stop or threading.Event())


def test_the_live_view_pauses_for_a_calibration_and_goes_on(fast: Session) -> None:
    fast.start_live()
    until(lambda: fast.live_status().state is LiveState.RUNNING)
    exposure_s = fast.calibration_target().exposure_s
    folder = followed(fast.start_calibration(LUT))
    assert folder is not None
    assert folder.parent == fast.calibration_target().root / "lut"
    until(lambda: fast.live_status().state is LiveState.RUNNING)
    index = -1

    def new_frame() -> bool:
        nonlocal index
        frame = fast.poll_frame()
        index = frame.index if frame is not None else index
        return index > 0

    until(new_frame)
    assert fast.calibration_target().exposure_s == exposure_s


def test_the_slm_shows_what_was_chosen_before(fast: Session) -> None:
    fast.show_on_slm(SlmContent(SlmKind.TEST_CARD))
    until(lambda: fast.slm_status().content.kind is SlmKind.TEST_CARD)
    until(lambda: fast.slm_phase() is not None)
    shown = fast.slm_phase()
    assert followed(fast.start_calibration(LUT)) is not None
    assert fast.slm_phase() is shown


def test_a_calibration_and_what_needs_the_devices_refuse_each_other(fast: Session) -> None:
    fast.start_live()
    until(lambda: fast.live_status().state is LiveState.RUNNING)
    fast.start_recording("first")
    with pytest.raises(SessionError, match="a recording is running"):
        fast.start_calibration(LUT)
    assert fast.recording_status().state is RecordingState.RECORDING
    fast.stop_recording()
    until(lambda: not fast.recording_status().active)
    stop = threading.Event()
    run = fast.start_calibration(TIMING)
    for command in (
        lambda: fast.start_calibration(LUT),
        lambda: fast.start_acquisition("pairs", 4, "cells"),
        lambda: fast.start_recording("second"),
        lambda: fast.start_loop_back(1),
    ):
        with pytest.raises(SessionError, match="a calibration uses the camera and the SLM"):
            command()
    assert run.active
    stop.set()
    assert followed(run, stop) is None
    fast.start_acquisition("pairs", 4, "cells")
    with pytest.raises(SessionError, match="an acquisition is running"):
        fast.start_calibration(LUT)
    fast.stop_acquisition()
    until(lambda: fast.acquisition_status().state is AcquisitionState.FINISHED)


def test_closing_stops_a_calibration_and_stores_nothing(tmp_path: Path) -> None:
    session = Session.open(fast_instrument(tmp_path))
    run = session.start_calibration(TIMING)
    until(lambda: run.progress().done > 0)
    session.close()
    with pytest.raises(CalibrationStoppedError, match="'SLM timing' was stopped; nothing was stored"):
        followed(run)
    assert not list((tmp_path / "archive").rglob("calibration.yaml"))


def test_an_instrument_without_an_slm_is_not_calibrated(tmp_path: Path, fast: Session) -> None:
    fast.start_live()
    until(lambda: fast.live_status().state is LiveState.RUNNING)
    fast.start_recording("played")
    until(lambda: fast.recording_status().frames_recorded > 3)
    fast.stop_recording()
    until(lambda: not fast.recording_status().active)
    path = fast.recording_status().path
    assert path is not None
    with Session.open(checked({"camera": "replay", "slm": "none", "replay": {"path": str(path)}}, "test")) as replay:
        assert replay.calibration_target().display is None
        with pytest.raises(SessionError, match="has no SLM to show patterns"):
            replay.start_calibration(LUT)


def test_recordings_and_exports_name_the_calibrations_in_use(tmp_path: Path) -> None:
    config = fast_instrument(tmp_path)
    with Session.open(config) as session:
        folder = save_calibration(Calibration.TIMING, session.calibration_target())
    values = config.model_dump(mode="json") | {"calibrations": {"timing": str(folder)}}
    with Session.open(checked(values, "test")) as session:
        session.start_live()
        until(lambda: session.live_status().state is LiveState.RUNNING)
        session.start_recording("named")
        until(lambda: session.recording_status().frames_recorded > 2)
        session.stop_recording()
        until(lambda: not session.recording_status().active)
        path = session.recording_status().path
    assert path is not None
    calibrations = Archive.open(path).metadata["calibrations"]
    assert isinstance(calibrations, dict)
    named = calibrations["timing"]
    assert named["folder"] == str(folder)
    assert named["measured_utc"]
    file, *_ = export(Archive.open(path), tmp_path / "exported", ["npz"])
    with np.load(file) as exported:
        assert named["sha256"] in str(exported["metadata_json"])
