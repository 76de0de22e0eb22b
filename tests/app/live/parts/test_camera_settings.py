"""Camera settings in a session: they take effect, are refused with a reason, and are stored with what is recorded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from acquisition.archive.kinds import EventKind
from acquisition.archive.recording_faults import event_frames
from acquisition.archive.writer import Archive
from app.instrument.config import InstrumentConfig
from app.instrument.opening import open_instrument
from app.live.camera_control import CameraControl
from app.live.session import Session, SessionError
from app.status import LiveState, LiveView, RecordingState
from drivers.base import DeviceError, Frame
from drivers.camera_settings import Roi, SettingName, SettingValue, find
from drivers.twin.camera import SimulatedCamera, SimulatedCameraConfig
from drivers.twin.sensor import SensorConfig
from tests.helpers.small_instrument import FRAME_PX, GRID_PX, until

REGION = Roi(x=32, y=16, width=64, height=48)


class Watched:
    """A session whose views and messages are kept."""

    def __init__(self, config: InstrumentConfig, *, slm: bool = True) -> None:
        rig, fibre, model, _ = open_instrument(config)
        assert isinstance(rig.camera, SimulatedCamera)
        self.camera = rig.camera
        self.session = session = Session(config, rig if slm else replace(rig, slm=None), fibre, model, None)
        self.views: list[LiveView] = []
        self.texts: list[str] = []
        session.watch(self.views.append)

    def said(self, *parts: str) -> str:
        """Wait for a message that has all these parts; return it."""

        def came() -> list[str]:
            self.texts += [message.text for message in self.session.pop_messages()]
            return [text for text in self.texts if all(part in text for part in parts)]

        until(came)
        return came()[-1]

    def view(self, *, shape: tuple[int, int]) -> LiveView:
        """Wait for the next view of frames of this shape."""
        seen = len(self.views)
        until(lambda: any(view.frame.shape == shape for view in self.views[seen:]))
        return next(view for view in self.views[seen:] if view.frame.shape == shape)

    def frame(self) -> Frame:
        seen = len(self.views)
        until(lambda: len(self.views) > seen)
        return self.views[-1].frame

    def value(self, name: SettingName) -> SettingValue:
        return find(self.session.camera_settings(), name).value


@pytest.fixture
def watched(config: InstrumentConfig) -> Iterator[Watched]:
    watched = Watched(config)
    with watched.session:
        yield watched


@pytest.fixture
def live(watched: Watched) -> Watched:
    watched.session.start_live()
    watched.view(shape=(FRAME_PX, FRAME_PX))
    return watched


def test_a_setting_takes_effect_within_half_a_second_and_says_so(live: Watched) -> None:
    live.session.set_camera(SettingName.EXPOSURE_S, 0.02)
    asked_s = time.monotonic()
    until(lambda: live.views[-1].frame.exposure_s == 0.02)
    assert time.monotonic() - asked_s < 0.5
    assert live.said("exposure is 0.02 s (was 0.01 s)")
    assert live.value(SettingName.EXPOSURE_S) == 0.02


def test_a_value_out_of_range_is_refused_at_once_and_changes_nothing(live: Watched) -> None:
    before = live.session.camera_settings()
    with pytest.raises(DeviceError, match="gain = 99 dB is not possible: this camera takes 0 to 24 dB"):
        live.session.set_camera(SettingName.GAIN, 99.0)
    live.frame()
    assert live.session.camera_settings() == before


def test_what_the_camera_refuses_later_is_a_message_and_the_live_view_goes_on(live: Watched) -> None:
    live.session.set_camera(SettingName.BINNING, 4)
    live.session.set_camera(SettingName.ROI, REGION)  # it fits now, but not with the binning that waits
    assert live.said("not changed: roi = 64 x 48 px at (32, 16) is not possible", "within 32 x 32 px")
    assert live.view(shape=(FRAME_PX // 4, FRAME_PX // 4)).reconstruction is None


def test_only_the_newest_of_several_waiting_values_is_set(watched: Watched) -> None:
    control = CameraControl(watched.camera, lambda message: watched.texts.append(message.text))
    for gain in (1.0, 2.0, 3.0):
        control.request(SettingName.GAIN, gain)
    assert control.pending
    control.follow_unarmed()
    assert watched.texts == ["gain is 3 dB (was 0 dB)"]
    assert not control.pending


def test_a_new_region_arms_again_measures_a_reference_and_says_what_does_not_fit(live: Watched) -> None:
    age_s = live.session.live_status().reference_age_s
    live.session.set_camera(SettingName.ROI, REGION)
    view = live.view(shape=(48, 64))
    assert view.reconstruction is None
    assert live.said("nothing is reconstructed", f"takes frames of {FRAME_PX} x {FRAME_PX} px")
    assert live.said("new reference: the mean of 2 frames")
    status = live.session.live_status()
    assert age_s is not None
    assert status.reference_age_s is not None
    assert status.reference_age_s < 30
    assert status.running

    live.session.set_camera(SettingName.ROI, Roi(width=FRAME_PX, height=FRAME_PX))
    assert live.said("fits frames of 128 x 128 px")
    until(lambda: live.views[-1].reconstruction is not None)
    assert live.views[-1].reconstruction.phase_rad.shape == (GRID_PX, GRID_PX)


def test_binning_makes_a_pixel_larger_in_metadata_and_on_screen(live: Watched) -> None:
    field_um, pixel_um = live.session.field_um, live.session.config.frame_pixel_um
    live.session.set_camera(SettingName.BINNING, 2)
    live.view(shape=(FRAME_PX // 2, FRAME_PX // 2))
    assert live.session.field_um == pytest.approx(field_um)
    metadata = recorded(live).metadata
    assert metadata["pixel_um"] == pytest.approx(2 * pixel_um)
    assert metadata["camera_settings"]["binning"] == 2


def recorded(live: Watched, *changes: tuple[SettingName, SettingValue]) -> Archive:
    """Record, make the changes meanwhile, and return the recording."""
    session = live.session
    session.start_recording("settings")
    until(lambda: session.recording_status().frames_recorded > 2)
    for name, value in changes:
        session.set_camera(name, value)
        live.said(f"{name.label} is ")
    newest = live.frame().index
    until(lambda: live.views[-1].frame.index > newest + 2)
    session.stop_recording()
    until(lambda: session.recording_status().state is RecordingState.FINISHED)
    path = session.recording_status().path
    assert path is not None
    return Archive.open(path)


def test_a_recording_stores_its_settings_and_every_change_as_an_event(live: Watched) -> None:
    archive = recorded(live, (SettingName.GAIN, 6.0), (SettingName.EXPOSURE_S, 0.005))
    stored = archive.metadata["camera_settings"]
    assert (stored["exposure_s"], stored["gain"], stored["gain_unit"]) == (0.01, 0.0, "dB")
    events = [event for event in archive.events() if event.kind is EventKind.CAMERA_SETTING]
    assert [event.text.partition(" (")[0] for event in events] == ["gain is 6 dB", "exposure is 0.005 s"]
    exposures = {row.frame_index: row.exposure_s for row in archive.rows()}
    (changed_at,) = event_frames(events[1])
    assert {exposures[index] for index in exposures if index < changed_at} == {0.01}
    assert exposures[max(exposures)] == 0.005
    assert archive.status["verdict"] == "complete"


def test_a_slower_frame_rate_is_no_fault_of_the_camera(live: Watched) -> None:
    archive = recorded(live, (SettingName.FRAME_RATE_HZ, 4.0))
    ends_s = [row.t_ns * 1e-9 for row in archive.rows()]
    assert ends_s[-1] - ends_s[-2] == pytest.approx(0.25, abs=0.1)
    assert archive.status["verdict"] == "complete"


@pytest.mark.parametrize(("name", "value"), [(SettingName.ROI, REGION), (SettingName.BINNING, 2)])
def test_what_changes_the_shape_is_refused_while_recording_and_the_recording_grows_on(
    live: Watched, name: SettingName, value: SettingValue
) -> None:
    session = live.session
    session.start_recording("shape")
    until(lambda: session.recording_status().frames_recorded > 0)
    with pytest.raises(SessionError, match=f"its frames have one shape; stop it before changing the {name.label}"):
        session.set_camera(name, value)
    with pytest.raises(SessionError, match="stop it before a new reference"):
        session.new_reference()
    count = session.recording_status().frames_recorded
    until(lambda: session.recording_status().frames_recorded > count)
    assert live.frame().shape == (FRAME_PX, FRAME_PX)


def test_a_setting_is_changed_without_the_live_view_too(watched: Watched) -> None:
    watched.session.set_camera(SettingName.ROI, REGION)
    assert watched.said("region is 64 x 48 px at (32, 16)")
    watched.session.start_live()
    assert watched.view(shape=(48, 64)).frame.shape == (48, 64)


def test_settings_that_an_acquisition_has_changed_are_shown_afterwards(watched: Watched) -> None:
    watched.session.start_acquisition("pairs", 2, "cells")
    with pytest.raises(SessionError, match="an acquisition is running"):
        watched.session.set_camera(SettingName.GAIN, 3.0)
    watched.camera.set_exposure(0.012)  # stands for a plan that has its own exposure
    until(lambda: not watched.session.acquisition_status().active)
    until(lambda: watched.value(SettingName.EXPOSURE_S) == watched.camera.exposure_s)
    path = watched.session.acquisition_status().path
    assert path is not None
    assert Archive.open(path).metadata["camera_settings"]["binning"] == 1


def exposed_by(config: InstrumentConfig, camera: SimulatedCameraConfig) -> InstrumentConfig:
    return config.model_copy(update={"twin": config.twin.model_copy(update={"camera": camera})})


@pytest.mark.parametrize("start_s", [0.0002, 0.3])
def test_auto_exposure_brings_the_brightest_pixels_to_80_percent(config: InstrumentConfig, start_s: float) -> None:
    live = Watched(exposed_by(config, SimulatedCameraConfig(exposure_s=start_s)))
    with live.session as session:
        session.start_live()
        session.auto_exposure()
        text = live.said("auto exposure: ", "of full scale (")
        exposure_s = live.camera.exposure_s
        until(lambda: live.views and live.views[-1].frame.exposure_s == exposure_s)
        assert f"{exposure_s:.4g} s" in text
        assert np.percentile(live.views[-1].frame.pixels, 99.9) / 255 == pytest.approx(0.8, abs=0.12)
        assert live.value(SettingName.EXPOSURE_S) == exposure_s
        assert not session.live_status().auto_exposing


def test_auto_exposure_says_why_it_cannot_reach_its_level(config: InstrumentConfig) -> None:
    live = Watched(exposed_by(config, SimulatedCameraConfig(sensor=SensorConfig(electrons_per_s=300.0), exposure_s=0.3)))
    with live.session as session:
        session.start_live()
        session.auto_exposure()
        assert live.said("auto exposure: the light is too dark", "at the longest exposure, 1 s")
        assert live.camera.exposure_s == 1.0


def test_without_a_live_view_there_is_nothing_to_expose_or_to_refer_to(session: Session) -> None:
    for command in (session.auto_exposure, session.new_reference):
        with pytest.raises(SessionError, match="start the live view first"):
            command()
    assert session.live_status().reference_age_s is None


@pytest.mark.parametrize("slm", [True, False], ids=["with SLM", "without SLM"])
def test_a_new_reference_is_measured_at_any_time(config: InstrumentConfig, *, slm: bool) -> None:
    watched = Watched(config, slm=slm)
    with watched.session as session:
        session.start_live()
        until(lambda: (session.live_status().reference_age_s or 0) > 0.2)
        session.new_reference()
        watched.said("new reference: the mean of 2 frames")
        age_s = session.live_status().reference_age_s
        assert age_s is not None
        assert age_s < 0.2
        until(lambda: session.live_status().state is LiveState.RUNNING)
        session.stop_live()
        until(lambda: session.live_status().reference_age_s is None)


def test_settings_survive_a_lost_camera_and_a_change_meanwhile_follows(live: Watched) -> None:
    live.session.set_camera(SettingName.GAIN, 4.0)
    live.said("gain is 4 dB")
    live.camera.unplug()
    live.session.set_camera(SettingName.GAIN, 5.0)
    assert live.said("gain is 5 dB (was 4 dB)")
    assert live.session.live_status().state is LiveState.RUNNING
