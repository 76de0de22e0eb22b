"""Basler cameras through pylon's real API: Basler's emulator with its test images, and fed with simulated frames."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from pypylon import pylon

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


@pytest.fixture(scope="module", autouse=True)
def emulator_is_listed() -> None:
    """Whichever test lists the devices first: pylon looks for its emulator only then."""
    os.environ.setdefault("PYLON_CAMEMU", "1")


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


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"width": 100_000}, "width = 100000 is not possible: Width of this camera goes from 1 to 4096"),
        ({"height": 5000}, "height = 5000 is not possible"),
        ({"width": 4000, "offset_x": 200}, "offset_x = 200 is not possible: OffsetX of this camera goes from 0 to 96"),
        ({"exposure_s": 11.0}, "exposure_s = 11.0 is not possible: ExposureTime of this camera goes from 1e-06 to 10"),
        ({"gain_db": -3.0}, "gain_db = -3.0 is not possible"),
        ({"output_line": "Line2", "output_source": "Moon"}, "output_source = Moon is not possible: .* is one of"),
    ],
)
def test_a_setting_that_the_camera_refuses_is_named_with_what_it_takes(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(DeviceError, match=message) as caught:
        basler.BaslerCamera(BaslerConfig(serial=emulator.SERIAL, **setting))
    assert "another program" not in str(caught.value)
    assert emulator.SERIAL in str(caught.value)


def test_an_impossible_bit_depth_is_refused_before_a_camera_is_opened() -> None:
    with pytest.raises(ValueError, match="9"):
        BaslerConfig(bit_depth=9)


@pytest.mark.parametrize(
    ("name", "left", "neutral"),
    [
        ("ExposureAuto", "Once", "Off"),
        ("GainAuto", "Continuous", "Off"),
        ("BinningHorizontal", "2", "1"),
        ("BinningVertical", "4", "1"),
        ("Gamma", "0.5", "1.0"),
        ("DigitalShift", "2", "0"),
        ("ReverseX", "1", "False"),
        ("ExposureMode", "TriggerWidth", "Timed"),
        ("AcquisitionMode", "SingleFrame", "Continuous"),
    ],
)
def test_what_another_program_left_on_is_switched_off(
    name: str, left: str, neutral: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_device = pylon.InstantCamera.Open

    def open_as_left(device: Any) -> None:
        open_device(device)
        device.GetNodeMap().GetNode(name).FromString(left)

    monkeypatch.setattr(pylon.InstantCamera, "Open", open_as_left)
    with emulator.EmulatedBasler(BaslerConfig(exposure_s=0.002)) as camera:
        camera.arm(TriggerMode.SOFTWARE)
        for _ in range(2):
            camera.trigger()
            camera.read(1.0)
        assert str(camera.feature(name)) == neutral
        assert camera.capabilities.shape == (4096, 4096)


def test_a_camera_of_the_first_gige_generation_is_set_by_its_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = {"ExposureTime", "Gain", "AcquisitionFrameRate", "SensorReadoutTime", "AcquisitionBurstFrameCount"}
    get = pylon.InstantCamera.__getattr__

    def without_newer_names(device: Any, name: str) -> Any:
        return get(device, "None" + name if name in newer else name)

    monkeypatch.setattr(pylon.InstantCamera, "__getattr__", without_newer_names)
    with basler.BaslerCamera(BaslerConfig(serial=emulator.SERIAL, width=64, height=64, exposure_s=0.02)) as camera:
        assert camera.exposure_s == 0.02
        assert camera.capabilities.exposure_range_s == pytest.approx((1e-4, 3.0))
        camera.set_exposure(0.25)
        assert camera.exposure_s == 0.25
        camera.arm(TriggerMode.FREE_RUN)
        assert camera.read(2.0).exposure_s == 0.25
    with pytest.raises(DeviceError, match=r"gain_db = 6.0 .* in steps without a unit \(GainRaw, 192 to 1023\)"):
        basler.BaslerCamera(BaslerConfig(serial=emulator.SERIAL, gain_db=6.0))


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
            pytest.raises(
                DeviceError,
                match=f"{emulator.SERIAL}.*(trigger_line = Line9|trigger_burst = 3) is not possible|no AcquisitionBurst",
            ),
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
