"""The benchmark's camera: numbers in the pixels, exposures by the clock, and frames that are overwritten are told."""

from __future__ import annotations

import time
from typing import SupportsIndex

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.benchmarks.live.clocked_camera import ClockedCamera
from app.benchmarks.live.counter_code import bit_centres, read_number, write_number
from drivers.base import DeviceError, DeviceLostError, Frame, FrameFailedError, TriggerMode
from drivers.camera_settings import AdjustableCamera, Roi, SettingName, find


def number_in(frame: Frame) -> int | None:
    x, y = np.moveaxis(bit_centres().astype(int), -1, 0)
    return read_number(frame.pixels[y, x] / 255)


def next_frame(camera: ClockedCamera) -> Frame:
    """Read until a frame comes: on a busy computer the oldest ones are overwritten again and again."""
    while True:
        try:
            return camera.read(1.0)
        except FrameFailedError:
            continue


@given(st.integers(0, 2**32 - 1))
def test_a_number_comes_back_and_a_damaged_one_does_not(number: int) -> None:
    pixels = np.zeros((64, 96), np.uint8)
    write_number(pixels, number)
    x, y = np.moveaxis(bit_centres().astype(int), -1, 0)
    brightness = pixels[y, x] / 255
    assert read_number(brightness) == number
    brightness[2, 3] = 1 - brightness[2, 3]
    assert read_number(brightness) is None


def test_every_frame_has_its_number_and_none_is_missing_unnoticed() -> None:
    with ClockedCamera([np.zeros((64, 96), np.uint8)], 500) as camera:
        camera.arm(TriggerMode.FREE_RUN)
        seen: list[int] = []
        while len(seen) < 40:
            frame = next_frame(camera)
            assert number_in(frame) == frame.index
            seen.append(frame.index)
        assert seen == sorted(set(seen))
        assert camera.counters.frames + camera.counters.failed == seen[-1] + 1


def test_a_reader_that_is_late_is_told_how_many_frames_were_overwritten() -> None:
    with ClockedCamera([np.zeros((64, 96), np.uint8)], 1000) as camera:
        camera.arm(TriggerMode.FREE_RUN)
        deadline_s = time.monotonic() + 10
        while camera.exposures < 40 and time.monotonic() < deadline_s:
            pass
        with pytest.raises(FrameFailedError, match="frames were overwritten"):
            camera.read(1.0)
        assert next_frame(camera).index == camera.counters.failed


class _StopsOnce(list[NDArray[np.uint8]]):
    """Pictures whose 20th access comes 0.2 s late, as it does when the process is stopped."""

    def __init__(self) -> None:
        super().__init__([np.zeros((64, 96), np.uint8)])
        self.accesses = 0

    def __getitem__(self, index: SupportsIndex) -> NDArray[np.uint8]:  # type: ignore[override]  # never a slice
        self.accesses += 1
        resumes_s = time.monotonic() + (0.2 if self.accesses == 20 else 0.0)
        while time.monotonic() < resumes_s:
            pass
        return super().__getitem__(index)


def test_exposures_while_the_process_was_stopped_are_counted_and_only_the_newest_have_pictures() -> None:
    pictures = _StopsOnce()
    with ClockedCamera(pictures, 1000) as camera:
        camera.arm(TriggerMode.FREE_RUN)
        deadline_s = time.monotonic() + 10
        while camera.exposures < 250 and time.monotonic() < deadline_s:
            pass
        assert camera.exposures >= 250
        assert pictures.accesses < 150
        with pytest.raises(FrameFailedError, match="frames were overwritten"):
            camera.read(1.0)
        assert number_in(next_frame(camera)) == camera.counters.failed


def test_a_camera_that_is_lost_comes_back() -> None:
    with ClockedCamera([np.zeros((64, 96), np.uint8)], 500) as camera:
        camera.arm(TriggerMode.FREE_RUN)
        camera.lose()
        with pytest.raises(DeviceLostError):
            camera.read(1.0)
        with pytest.raises(DeviceLostError):
            camera.reconnect()
        camera.return_()
        camera.reconnect()
        camera.arm(TriggerMode.FREE_RUN)
        assert camera.read(1.0).index == 0


def test_exposure_and_rate_change_while_it_runs_and_the_region_does_not() -> None:
    region = Roi(x=8, y=4, width=80, height=80)
    with ClockedCamera([np.zeros((128, 128), np.uint8)], 100) as camera:
        assert isinstance(camera, AdjustableCamera)
        camera.arm(TriggerMode.FREE_RUN)
        camera.change_setting(SettingName.EXPOSURE_S, 0.004)
        camera.change_setting(SettingName.FRAME_RATE_HZ, 200.0)
        with pytest.raises(DeviceError, match="cannot change while the camera is armed"):
            camera.change_setting(SettingName.ROI, region)
        camera.disarm()
        camera.change_setting(SettingName.ROI, region)
        camera.arm(TriggerMode.FREE_RUN)
        frame = camera.read(1.0)
        assert (frame.exposure_s, frame.shape, number_in(frame)) == (0.004, (80, 80), 0)
        assert find(camera.settings(), SettingName.FRAME_RATE_HZ).value == pytest.approx(200)
        assert camera.newest_read == 0
        assert camera.times_ns()[0] == frame.t_ns
