"""Settings of Basler cameras on pylon's own emulator: rates that are kept, names of the first generation, and user sets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import pytest

from drivers.base import DeviceError, TriggerMode
from drivers.basler.config import BaslerConfig
from drivers.camera_settings import Roi, SettingName, change_setting, find, settings_of

pytestmark = pytest.mark.skipif(find_spec("pypylon") is None, reason="pypylon is not installed; pip install pypylon")
if find_spec("pypylon") is not None:
    from pypylon import pylon

    from drivers.basler.camera import BaslerCamera
    from drivers.basler.emulator import SERIAL, EmulatedBasler


@pytest.fixture(autouse=True)
def emulator_is_listed() -> None:
    os.environ.setdefault("PYLON_CAMEMU", "1")


@pytest.fixture
def camera() -> Iterator[EmulatedBasler]:
    with EmulatedBasler(BaslerConfig(width=48, height=32, exposure_s=0.002)) as camera:
        yield camera


def times_s(camera: EmulatedBasler, count: int) -> list[float]:
    return [camera.read(3.0).t_ns * 1e-9 for _ in range(count)]


def test_the_frame_rate_is_that_of_free_run(camera: EmulatedBasler) -> None:
    change_setting(camera, SettingName.FRAME_RATE_HZ, 8.0)
    camera.arm(TriggerMode.FREE_RUN)
    steps_s = sorted(later - earlier for earlier, later in pairwise(times_s(camera, 4)))
    assert steps_s[1] == pytest.approx(1 / 8, rel=0.2)
    assert camera.feature("AcquisitionFrameRate") == 8.0


def test_a_triggered_camera_follows_its_triggers(camera: EmulatedBasler) -> None:
    change_setting(camera, SettingName.FRAME_RATE_HZ, 2.0)
    camera.arm(TriggerMode.SOFTWARE)
    rate_hz = camera.feature("AcquisitionFrameRate")
    assert isinstance(rate_hz, float)
    assert rate_hz > 50  # as fast as exposure and transport allow
    assert find(settings_of(camera), SettingName.FRAME_RATE_HZ).value == 2.0


def test_a_region_that_was_chosen_replaces_that_of_the_file_after_reconnecting(camera: EmulatedBasler) -> None:
    region = Roi(x=10, y=20, width=64, height=16)
    change_setting(camera, SettingName.BINNING, 2)
    change_setting(camera, SettingName.ROI, region)
    change_setting(camera, SettingName.GAIN, 6.0)
    camera.unplug()
    camera.reconnect()
    settings = settings_of(camera)
    assert find(settings, SettingName.ROI).value == region
    assert find(settings, SettingName.BINNING).value == 2
    assert find(settings, SettingName.GAIN).value == pytest.approx(6.0, abs=0.01)
    camera.arm(TriggerMode.FREE_RUN)
    assert camera.read(2.0).shape == (16, 64)


def test_a_user_set_keeps_its_own_binning() -> None:
    with BaslerCamera(BaslerConfig(serial=SERIAL, user_set="Default", width=48, height=32)) as camera:
        names = {setting.name for setting in settings_of(camera)}
        assert SettingName.BINNING not in names
        assert SettingName.ROI in names
        with pytest.raises(DeviceError, match="no setting binning"):
            change_setting(camera, SettingName.BINNING, 2)


def test_a_camera_that_counts_its_gain_in_steps_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cameras of the first generation have no gain in decibels, and other names of exposure and frame rate."""
    known = pylon.InstantCamera.__getattr__

    def without_newer_names(device: Any, name: str) -> Any:
        if name in ("Gain", "GainAbs", "AcquisitionFrameRate", "WidthMax", "HeightMax"):
            raise AttributeError(name)
        return known(device, name)

    monkeypatch.setattr(pylon.InstantCamera, "__getattr__", without_newer_names)
    with BaslerCamera(BaslerConfig(serial=SERIAL, width=48, height=32)) as camera:
        gain = find(settings_of(camera), SettingName.GAIN)
        assert gain.range_text == "192 to 1023 steps of the device"
        assert change_setting(camera, SettingName.GAIN, 300).value == 300
        assert change_setting(camera, SettingName.FRAME_RATE_HZ, 12.5).value == 12.5
        assert change_setting(camera, SettingName.ROI, Roi(width=64, height=64)).value == Roi(width=64, height=64)
