"""The search for the exposure, frame by frame: frames from before a change do not count, and a refusal ends it in words."""

from __future__ import annotations

import numpy as np
import pytest

from app.live.auto_exposure import AutoExposure
from drivers.base import DeviceError, DeviceLostError, Frame, TriggerMode
from drivers.camera_settings import SettingName, SettingValue
from drivers.clock import VirtualClock
from drivers.testing.small_twin import IMAGE_PX, small_fibre
from drivers.twin.camera import SimulatedCamera, SimulatedCameraConfig
from drivers.twin.slm import SimulatedSlm


class Refusing(SimulatedCamera):
    """A camera whose driver refuses a new exposure, or has lost it."""

    error: DeviceError = DeviceError("exposure_s = 0.02 s is not possible: the camera keeps its own")

    def change_setting(self, name: SettingName, value: SettingValue) -> None:
        raise self.error


def dark_camera(kind: type[SimulatedCamera] = SimulatedCamera) -> tuple[SimulatedCamera, VirtualClock]:
    clock = VirtualClock()
    slm = SimulatedSlm((IMAGE_PX, IMAGE_PX), clock=clock)
    camera = kind(slm, small_fibre(), SimulatedCameraConfig(exposure_s=0.0005), clock=clock)
    camera.arm(TriggerMode.FREE_RUN)
    return camera, clock


def test_it_reaches_its_level_in_a_few_frames() -> None:
    camera, clock = dark_camera()
    search = AutoExposure(camera, clock.now_ns())
    frames = 0
    while not search.result:
        search.saw(camera.read(2.0), clock.now_ns())
        frames += 1
    assert search.succeeded
    assert frames < 12
    frame = camera.read(2.0)
    assert np.percentile(frame.pixels, 99.9) / frame.full_scale == pytest.approx(0.8, abs=0.12)
    assert search.result.startswith(f"{camera.exposure_s:.4g} s: the brightest pixels reach ")


def test_frames_from_before_a_change_are_passed_over() -> None:
    camera, clock = dark_camera()
    old = camera.read(1.0)
    search = AutoExposure(camera, clock.now_ns())
    for _ in range(20):
        search.saw(old, clock.now_ns())
    assert (camera.exposure_s, search.result) == (0.0005, "")
    first = camera.read(1.0)
    search.saw(first, clock.now_ns())
    assert camera.exposure_s == pytest.approx(0.004)
    white = Frame(np.full(first.shape, 255, np.uint8), 9, first.t_ns, first.exposure_s)
    search.saw(white, clock.now_ns())
    assert camera.exposure_s == pytest.approx(0.004)


def test_a_refusal_of_the_camera_ends_the_search_and_a_lost_camera_is_reported() -> None:
    camera, clock = dark_camera(Refusing)
    search = AutoExposure(camera, clock.now_ns())
    search.saw(camera.read(1.0), clock.now_ns())
    assert search.result == "exposure_s = 0.02 s is not possible: the camera keeps its own"
    assert not search.succeeded
    assert isinstance(camera, Refusing)
    camera.error = DeviceLostError("unplugged")
    again = AutoExposure(camera, clock.now_ns())
    with pytest.raises(DeviceLostError):
        again.saw(camera.read(1.0), clock.now_ns())
