"""Basler cameras through pylon's real API: Basler's emulator with its test images, and fed with simulated frames."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from acquisition.capture.pair_capture import PairCapture, Rig
from acquisition.patterns.sources import open_source
from drivers.base import DeviceError, DeviceLostError, DeviceTimeoutError, Frame, FrameFailedError, TriggerMode
from drivers.basler import camera as basler
from drivers.basler import emulator
from drivers.basler.config import BaslerConfig
from drivers.clock import RealClock
from drivers.testing.small_twin import IMAGE_PX, small_fibre
from drivers.twin.camera import FaultConfig, SimulatedCamera, SimulatedCameraConfig
from drivers.twin.slm import SimulatedSlm


def table(faults: FaultConfig | None = None) -> tuple[Any, SimulatedSlm]:
    slm = SimulatedSlm((IMAGE_PX, IMAGE_PX))
    sensor = SimulatedCamera(slm, small_fibre(), SimulatedCameraConfig(exposure_s=0.003, readout_s=0.001), faults)
    return emulator.TwinFedBasler(sensor), slm


@pytest.fixture
def camera() -> Iterator[Any]:
    with emulator.EmulatedBasler(BaslerConfig(width=40, height=24, offset_x=8, exposure_s=0.002)) as camera:
        yield camera


@pytest.mark.parametrize("bit_depth", [8, 10, 12, 16])
def test_counts_are_right_justified(bit_depth: int) -> None:
    with emulator.EmulatedBasler(BaslerConfig(width=1024, height=64, bit_depth=bit_depth)) as camera:
        camera.arm(TriggerMode.SOFTWARE)
        camera.trigger()
        frame = camera.read(1.0)
    assert frame.bit_depth == bit_depth
    assert 0.9 * frame.full_scale < int(frame.pixels.max()) <= frame.full_scale


def test_the_region_is_the_one_asked_for(camera: Any) -> None:
    assert camera.capabilities.shape == (24, 40)
    camera.arm(TriggerMode.SOFTWARE)
    camera.trigger()
    assert camera.read(1.0).shape == (24, 40)


def test_a_failed_buffer_is_declared_counted_and_not_delivered(camera: Any) -> None:
    camera.arm(TriggerMode.SOFTWARE)
    for number in range(10):
        fails = number % 3 == 1
        if fails:
            camera.fail_next()
        camera.trigger()
        if fails:
            with pytest.raises(FrameFailedError, match="incompletely grabbed"):
                camera.read(1.0)
        else:
            camera.read(1.0)
    assert (camera.counters.triggers, camera.counters.frames, camera.counters.failed) == (10, 7, 3)


def test_settings_survive_being_unplugged(camera: Any) -> None:
    camera.set_exposure(0.004)
    camera.unplug()
    with pytest.raises(DeviceLostError, match="reconnect"):
        camera.arm(TriggerMode.SOFTWARE)
    camera.reconnect()
    assert camera.exposure_s == pytest.approx(0.004)
    camera.arm(TriggerMode.SOFTWARE)
    camera.trigger()
    assert camera.read(1.0).shape == (24, 40)


def test_a_missing_camera_is_named_together_with_those_found() -> None:
    with pytest.raises(DeviceError, match="no Basler camera with serial 'nope', found"):
        basler.BaslerCamera(BaslerConfig(serial="nope"))


def test_a_setting_that_the_camera_refuses_is_an_error_with_the_reason() -> None:
    with pytest.raises(DeviceError, match="could not open"):
        emulator.EmulatedBasler(BaslerConfig(width=100_000))
    with pytest.raises(ValueError, match="9"):
        BaslerConfig(bit_depth=9)


def test_the_frames_of_the_twin_arrive_pixel_by_pixel() -> None:
    camera, slm = table()
    fed_pixels: list[np.ndarray] = []
    read = camera.sensor.read

    def reading(timeout_s: float) -> Frame:
        frame: Frame = read(timeout_s)
        fed_pixels.append(frame.pixels)
        return frame

    camera.sensor.read = reading
    with camera:
        capture = PairCapture(Rig(camera, slm, RealClock()))
        shown = list(open_source("leaves", (IMAGE_PX, IMAGE_PX), count=12))
        frames = [capture.capture(pattern) for pattern in shown]
        assert [camera.sensor.lit[frame.index] for frame in frames] == [(pattern.id,) for pattern in shown]
    assert capture.retaken == 0
    for frame, pixels in zip(frames, fed_pixels[-12:], strict=True):
        assert np.array_equal(frame.pixels, pixels)
    assert all(not np.array_equal(a.pixels, b.pixels) for a, b in pairwise(frames))


def test_faults_of_the_twin_pass_through_pylon_and_the_pairs_are_captured_again() -> None:
    faults = FaultConfig(dropped_rate=0.05, failed_rate=0.15, duplicated_rate=0.1, disconnect_at=(9,), seed=2)
    camera, slm = table(faults)
    faults_seen: list[str] = []
    with camera:
        capture = PairCapture(Rig(camera, slm, RealClock()), on_fault=lambda kind, text: faults_seen.append(kind), retakes=20)
        for pattern in open_source("leaves", (IMAGE_PX, IMAGE_PX), count=20):
            frame = capture.capture(pattern)
            assert camera.sensor.lit[frame.index] == (pattern.id,)
    assert len(faults_seen) >= sum(camera.sensor.injected.values()) > 4
    assert {"FrameFailedError", "DeviceLostError"} <= set(faults_seen)


def test_the_line_is_set_as_configured_and_read_back() -> None:
    config = BaslerConfig(
        width=40,
        height=24,
        trigger_line="Line2",
        trigger_activation="FallingEdge",
        trigger_delay_s=0.008,
        output_line="Line3",
        output_source="ExposureActive",
    )
    with emulator.EmulatedBasler(config) as camera:
        assert camera.capabilities.trigger_delay_s == 0.008
        camera.arm(TriggerMode.HARDWARE)
        trigger = [camera.feature(f"Trigger{name}") for name in ("Mode", "Source", "Activation", "Delay")]
        assert trigger == ["On", "Line2", "FallingEdge", 8_000]
        line = [camera.feature(f"Line{name}") for name in ("Selector", "Mode", "Source")]
        assert line == ["Line3", "Output", "ExposureActive"]
        camera.arm(TriggerMode.SOFTWARE)
        assert [camera.feature(f"Trigger{name}") for name in ("Source", "Delay")] == ["Software", 0]


@pytest.mark.parametrize(
    "settings", [{"trigger_delay_s": -1.0}, {"trigger_burst": 0}, {"trigger_activation": "AnyEdge"}, {"buffers": 0}], ids=str
)
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="got"):
        BaslerConfig(**settings)


def test_a_line_or_burst_that_the_camera_lacks_is_refused_with_its_reason() -> None:
    for config in (BaslerConfig(trigger_line="Line9"), BaslerConfig(trigger_burst=3)):
        with (
            emulator.EmulatedBasler(config) as camera,
            pytest.raises(DeviceError, match=f"{emulator.SERIAL} could not arm"),
        ):
            camera.arm(TriggerMode.HARDWARE)


def test_free_run_through_pylon_keeps_its_deadline() -> None:
    camera, _ = table()
    with camera:
        camera.set_exposure(0.2)
        camera.arm(TriggerMode.FREE_RUN)
        with pytest.raises(DeviceTimeoutError):
            camera.read(0.05)
        assert camera.read(1.0).index == 0
