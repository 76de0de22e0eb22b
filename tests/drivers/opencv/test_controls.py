"""Exposure and gain of a UVC camera: ranges of the kernel, and values that the camera does not keep."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import pytest

from drivers.base import DeviceError
from drivers.camera_settings import NumberRange, SettingName
from drivers.opencv.controls import range_from, ranges_of, write


class Stubborn:
    """A camera that keeps its exposure below 5 ms whatever is asked for."""

    def __init__(self) -> None:
        self.properties: dict[int, float] = {cv2.CAP_PROP_EXPOSURE: 20.0, cv2.CAP_PROP_GAIN: 3.0}

    def get(self, prop: int, /) -> float:
        return self.properties.get(prop, 0.0)

    def set(self, prop: int, value: float, /) -> bool:
        self.properties[prop] = min(value, 50.0) if prop == cv2.CAP_PROP_EXPOSURE else value
        return True


def test_the_exposure_is_written_in_steps_of_100_us_and_is_manual_then() -> None:
    capture = Stubborn()
    assert write(capture, SettingName.EXPOSURE_S, 0.00312) == 0.0031
    assert capture.properties[cv2.CAP_PROP_EXPOSURE] == 31
    assert capture.properties[cv2.CAP_PROP_AUTO_EXPOSURE] == 1
    assert write(capture, SettingName.GAIN, 7.0) == 7.0


def test_a_value_that_the_camera_does_not_keep_is_refused_and_the_former_one_is_restored() -> None:
    capture = Stubborn()
    with pytest.raises(DeviceError, match=r"exposure_s = 0\.01 is not possible: the camera reports 0\.005 afterwards"):
        write(capture, SettingName.EXPOSURE_S, 0.01)
    assert capture.properties[cv2.CAP_PROP_EXPOSURE] == 20


def test_a_file_that_is_no_camera_has_no_ranges(tmp_path: Path) -> None:
    (tmp_path / "video0").write_bytes(b"")
    for device in (None, tmp_path / "video0", tmp_path / "missing", Path(os.devnull)):
        assert ranges_of(device) == {}


def test_ranges_have_the_unit_of_the_setting() -> None:
    assert range_from(3, 2047, 1, 1e-4) == NumberRange(pytest.approx(0.0003), pytest.approx(0.2047), 1e-4)
    assert range_from(0, 255, 0, 1.0) == NumberRange(0, 255, 1)
