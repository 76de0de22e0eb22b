"""The parts of a session, each without a session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.kinds import RecordingEnd
from acquisition.capture.pair_capture import Rig
from app.instrument.config import InstrumentConfig
from app.instrument.opening import open_instrument
from app.live.camera_control import CameraControl
from app.live.capture import CaptureSettings
from app.live.inference import InferenceSettings, InferenceStats
from app.live.parts.acquisition_control import AcquisitionControl
from app.live.parts.device_queue import DeviceQueue
from app.live.parts.errors import SessionError
from app.live.parts.live_control import LiveControl
from app.live.parts.newest_results import NewestResults
from app.live.parts.processing import Processing
from app.live.parts.recording_control import RecordedInstrument, RecordingControl
from app.live.parts.stages import Stages
from app.live.recordings.options import RecordingOptions
from app.live.recordings.pre_trigger import PreTriggerRing
from app.live.reference_log import ReferenceLog
from app.status import LiveState, LiveView, Message
from drivers.base import DeviceError, Frame
from drivers.camera_settings import SettingName
from reconstruction.base import Reconstruction
from tests.helpers.small_instrument import FRAME_PX, GRID_PX, until


def frame(index: int) -> Frame:
    return Frame(np.full((FRAME_PX, FRAME_PX), index, np.uint8), index, index * 10_000_000, 0.01)


@pytest.fixture
def messages() -> list[Message]:
    return []


@pytest.fixture
def stages(messages: list[Message]) -> Stages:
    return Stages(messages.append)


@pytest.fixture
def rig(config: InstrumentConfig) -> Iterator[Rig]:
    rig = open_instrument(config)[0]
    yield rig
    rig.close()


@pytest.fixture
def camera(rig: Rig, messages: list[Message]) -> CameraControl:
    return CameraControl(rig.camera, messages.append)


@pytest.fixture
def recordings(config: InstrumentConfig, rig: Rig, camera: CameraControl, stages: Stages) -> RecordingControl:
    instrument = RecordedInstrument(config=config, rig=rig, fibre="a fibre", camera=camera)
    return RecordingControl(instrument, stages, ReferenceLog())


def test_a_recording_has_what_comes_between_start_and_stop(recordings: RecordingControl, stages: Stages) -> None:
    recordings.ring.put_frame(frame(0))
    recordings.start("x", RecordingOptions(), InferenceStats(), GRID_PX)
    for index in (1, 2):
        recordings.ring.put_frame(frame(index))
    with pytest.raises(SessionError, match="a recording is already running"):
        recordings.start("y", RecordingOptions(), InferenceStats(), GRID_PX)
    with pytest.raises(SessionError, match="stop the recording first, before a break"):
        recordings.check_may_end("a break", agreed=False)
    recordings.stop(RecordingEnd.OPERATOR, None)
    recordings.ring.put_frame(frame(3))
    stages.join(10)
    recordings.let_go()
    assert recordings.status().frames_recorded == 2
    with pytest.raises(SessionError, match="no recording to mark"):
        recordings.add_marker("late")


def test_no_recording_starts_while_a_setting_of_the_camera_waits(recordings: RecordingControl, camera: CameraControl) -> None:
    camera.request(SettingName.GAIN, 3.0)
    with pytest.raises(SessionError, match="a setting of the camera is being changed"):
        recordings.start("x", RecordingOptions(), InferenceStats(), GRID_PX)
    assert recordings.status().path is None


def test_inference_that_failed_is_replaced_and_those_who_watch_see_the_next_views(
    stages: Stages, messages: list[Message]
) -> None:
    processing = Processing(PreTriggerRing(), stages, messages.append)
    results = NewestResults(processing)
    views: list[LiveView] = []
    processing.views.subscribe(views.append)

    def lost(frame: Frame) -> Reconstruction | None:
        raise DeviceError("the engine lost its device")

    failing = processing.start(InferenceSettings(model=None, engine="torch", recorded=lost))
    assert failing.ready.wait(10)
    failing.offer(frame(0))
    failing.join(10)
    assert results.poll_view() is None
    assert results.poll_overlay() is None
    stages.notice()
    assert [message.text for message in messages] == ["the engine lost its device"]

    working = processing.start(InferenceSettings(model=None, engine="torch"))
    assert working is not failing
    assert processing.start(InferenceSettings(model=None, engine="torch")) is working
    assert working.ready.wait(10)
    working.offer(frame(1))
    until(lambda: results.poll_view() is not None)
    assert [view.frame.index for view in views] == [1]
    processing.join(10)


def test_a_snapshot_needs_a_picture_that_was_polled(stages: Stages, tmp_path: Path) -> None:
    results = NewestResults(Processing(PreTriggerRing(), stages, lambda message: None))
    results.put_frame(frame(4))
    with pytest.raises(SessionError, match="there is no picture yet"):
        results.snapshot(tmp_path)
    assert results.poll_frame() is not None
    assert results.snapshot(tmp_path).is_dir()


def test_the_live_view_stops_while_it_begins_and_starts_again(
    rig: Rig, camera: CameraControl, stages: Stages, messages: list[Message]
) -> None:
    live, frames = LiveControl(rig, camera, DeviceQueue(stages), messages.append), list[Frame]()
    with pytest.raises(SessionError, match="start the live view first"):
        live.new_reference()
    settings = CaptureSettings(scene=None, reference_shots=2, phase_range_rad=2.0)
    for _ in range(3):
        live.start(settings, lambda capture: capture.frames.subscribe(frames.append))
        assert live.running
        live.stop()
        assert not live.running
    live.start(settings, lambda capture: capture.frames.subscribe(frames.append))
    until(lambda: bool(frames))
    assert live.stats().state is LiveState.RUNNING
    live.stop()
    stages.join(10)
    assert messages == []


def test_a_reference_that_was_asked_for_comes_before_a_recording(
    rig: Rig, camera: CameraControl, stages: Stages, messages: list[Message]
) -> None:
    live, frames = LiveControl(rig, camera, DeviceQueue(stages), messages.append), list[Frame]()
    settings = CaptureSettings(scene=None, reference_shots=2, phase_range_rad=2.0)
    live.start(settings, lambda capture: capture.frames.subscribe(frames.append))
    until(lambda: bool(frames))
    live.check_can_record()
    live.new_reference()
    with pytest.raises(SessionError, match="a new reference is being measured; record when that is done"):
        live.check_can_record()
    until(lambda: any("new reference" in message.text for message in messages))
    live.check_can_record()
    live.stop()
    stages.join(10)


def test_what_is_let_go_can_be_asked_and_stopped(stages: Stages) -> None:
    acquisition = AcquisitionControl(DeviceQueue(stages))
    acquisition.let_go()
    acquisition.stop()
    acquisition.pause(paused=True)
    assert not acquisition.active
    assert acquisition.report is None
