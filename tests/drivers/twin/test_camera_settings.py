"""The settings of the simulated camera act on its frames as those of a real one: brightness, noise, shape and rate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.base import DeviceError, TriggerMode
from drivers.camera_settings import Roi, SettingName, change_setting, find, settings_of
from drivers.clock import VirtualClock
from drivers.twin.camera import FaultConfig, SimulatedCamera, SimulatedCameraConfig
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.sensor import SensorConfig
from drivers.twin.slm import SimulatedSlm

PX = 64
STEADY = FibreOptics(OpticsConfig(image_px=PX, field_radius_um=14.0, phase_noise_rad=0.0))
#: So many electrons that shot noise is below one count.
QUIET = SensorConfig(read_noise_e=0.0, full_well_e=1.05e10, electrons_per_s=0.4e11)


def camera(sensor: SensorConfig = QUIET, faults: FaultConfig | None = None) -> SimulatedCamera:
    clock = VirtualClock()
    config = SimulatedCameraConfig(bit_depth=12, sensor=sensor)
    return SimulatedCamera(SimulatedSlm((PX, PX), clock=clock), STEADY, config, faults, clock)


def pixels(subject: SimulatedCamera) -> NDArray[np.float64]:
    subject.arm(TriggerMode.FREE_RUN)
    frame = subject.read(20.0)
    subject.disarm()
    return frame.pixels.astype(np.float64)


def test_a_region_is_cut_out_of_the_whole_frame() -> None:
    subject = camera()
    whole = pixels(subject)
    change_setting(subject, SettingName.ROI, Roi(x=20, y=8, width=24, height=40))
    assert np.abs(pixels(subject) - whole[8:48, 20:44]).max() <= 1


def test_a_binned_pixel_is_the_sum_of_its_pixels() -> None:
    subject = camera(replace(QUIET, electrons_per_s=0.05e11))
    whole = pixels(subject)
    change_setting(subject, SettingName.BINNING, 4)
    sums = whole.reshape(16, 4, 16, 4).sum((1, 3))
    assert np.abs(pixels(subject) - sums).max() <= 16  # every count was rounded


def test_a_binning_reads_the_whole_sensor() -> None:
    subject = camera()
    change_setting(subject, SettingName.ROI, Roi(width=16, height=16))
    change_setting(subject, SettingName.BINNING, 2)
    assert find(settings_of(subject), SettingName.ROI).value == Roi(width=32, height=32)
    with pytest.raises(DeviceError, match="roi = 64 x 64 px at"):
        change_setting(subject, SettingName.ROI, Roi(width=64, height=64))


def test_read_noise_of_a_binned_pixel_is_that_of_its_pixels_together() -> None:
    dark = SensorConfig(electrons_per_s=0.001, read_noise_e=40.0)
    subject = camera(dark)
    count_e = dark.full_well_e / 4095
    plain_e = np.sqrt(2 * np.mean(pixels(subject) ** 2)) * count_e  # half of the noise lies below 0
    change_setting(subject, SettingName.BINNING, 2)
    binned_e = np.sqrt(2 * np.mean(pixels(subject) ** 2)) * count_e
    assert plain_e == pytest.approx(40, rel=0.1)
    assert binned_e == pytest.approx(80, rel=0.15)


def test_gain_makes_light_and_noise_brighter_alike() -> None:
    subject = camera(SensorConfig(electrons_per_s=1e4, read_noise_e=3.0))
    plain = pixels(subject)
    change_setting(subject, SettingName.GAIN, 20.0)
    bright = pixels(subject)
    assert bright.mean() == pytest.approx(10 * plain.mean(), rel=0.05)
    subject.arm(TriggerMode.FREE_RUN)
    noise = np.std([subject.read(1.0).pixels[30, 30] for _ in range(200)])
    electrons = bright[28:33, 28:33].mean() / 10 * 10_500 / 4095
    assert noise == pytest.approx(10 * np.sqrt(electrons + 9) * 4095 / 10_500, rel=0.5)


def test_gain_saturates_at_full_scale() -> None:
    subject = camera()
    change_setting(subject, SettingName.GAIN, 24.0)
    assert pixels(subject).max() == 4095


def test_the_frame_rate_is_that_of_free_run_and_bounded_by_the_exposure() -> None:
    subject = camera()
    change_setting(subject, SettingName.FRAME_RATE_HZ, 20.0)
    subject.arm(TriggerMode.FREE_RUN)
    ends_s = [subject.read(1.0).t_ns * 1e-9 for _ in range(4)]
    assert np.diff(ends_s) == pytest.approx(0.05)
    change_setting(subject, SettingName.EXPOSURE_S, 0.1)
    assert find(settings_of(subject), SettingName.FRAME_RATE_HZ).value == pytest.approx(1 / 0.104)
    change_setting(subject, SettingName.EXPOSURE_S, 0.01)
    assert find(settings_of(subject), SettingName.FRAME_RATE_HZ).value == pytest.approx(20)


def test_a_triggered_frame_does_not_wait_for_the_frame_rate() -> None:
    subject = camera()
    change_setting(subject, SettingName.FRAME_RATE_HZ, 0.1)
    subject.arm(TriggerMode.SOFTWARE)
    for _ in range(3):
        subject.trigger()
        assert subject.read(0.02).exposure_s == 0.01


def test_a_duplicate_after_a_new_region_has_the_shape_of_the_region() -> None:
    subject = camera(faults=FaultConfig(duplicated_at=(1,)))
    pixels(subject)
    change_setting(subject, SettingName.ROI, Roi(width=32, height=16))
    assert pixels(subject).shape == (16, 32)
