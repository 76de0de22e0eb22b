"""Exposure and gain of a UVC camera: which values the kernel says it takes, and how OpenCV writes them.

Only Linux states the ranges. On other systems, and where the camera has no such control, these settings are not declared.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import cv2

from drivers.base import DeviceError
from drivers.camera_settings import NumberRange, SettingName

#: The kernel's number of a control, the property of OpenCV that writes it, and its unit in that of the setting.
_CONTROLS: Mapping[SettingName, tuple[int, int, float]] = {
    SettingName.EXPOSURE_S: (0x009A0902, cv2.CAP_PROP_EXPOSURE, 1e-4),  # V4L2_CID_EXPOSURE_ABSOLUTE counts 100 us
    SettingName.GAIN: (0x00980913, cv2.CAP_PROP_GAIN, 1.0),  # V4L2_CID_GAIN
}
#: ``struct v4l2_queryctrl``: number, type, name, minimum, maximum, step, default, flags, reserved.
_QUERY = struct.Struct("II32siiiiI8x")
_VIDIOC_QUERYCTRL = 0xC0445624
#: V4L2_CTRL_FLAG_DISABLED and V4L2_CTRL_FLAG_READ_ONLY.
_UNUSABLE = 0x0001 | 0x0004
#: V4L2_EXPOSURE_MANUAL.
_MANUAL = 1.0


class Properties(Protocol):
    """The part of ``cv2.VideoCapture`` that holds properties."""

    def get(self, prop: int, /) -> float:
        """Return a property; 0 or -1 where the camera does not have it."""

    def set(self, prop: int, value: float, /) -> bool:
        """Request a property; return whether it was accepted."""


def ranges_of(device: Path | None) -> dict[SettingName, NumberRange]:
    """Return the settings of a device file that can be written, with their ranges; none where nothing is known."""
    if device is None or sys.platform != "linux":
        return {}
    try:
        handle = os.open(device, os.O_RDWR | os.O_NONBLOCK)
    except OSError:
        return {}  # opening the camera says why
    try:
        known = {name: _query(handle, number, unit) for name, (number, _, unit) in _CONTROLS.items()}
    finally:
        os.close(handle)
    return {name: limits for name, limits in known.items() if limits is not None}


def write(capture: Properties, name: SettingName, value: float) -> float:
    """Write exposure or gain, and return the value that the camera then reports, in the unit of the setting.

    Raises
    ------
    DeviceError
        The camera has kept another value; it has its former one again.
    """
    _, prop, unit = _CONTROLS[name]
    if name is SettingName.EXPOSURE_S:
        capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _MANUAL)
    before, wanted = capture.get(prop), round(value / unit)
    capture.set(prop, wanted)
    reported = capture.get(prop)
    if reported != wanted:
        capture.set(prop, before)
        raise DeviceError(f"{name} = {value:g} is not possible: the camera reports {reported * unit:g} afterwards")
    return round(reported * unit, 9)


def _query(handle: int, number: int, unit: float) -> NumberRange | None:
    """Ask the kernel for the range of a control."""
    import fcntl  # only Linux and macOS have it

    query = bytearray(_QUERY.pack(number, 0, b"", 0, 0, 0, 0, 0))
    try:
        fcntl.ioctl(handle, _VIDIOC_QUERYCTRL, query)
    except OSError:
        return None  # the camera has no such control, or this is no camera
    _, _, _, low, high, step, _, flags = _QUERY.unpack(query)
    return range_from(low, high, step, unit) if not flags & _UNUSABLE and low < high else None


def range_from(low: int, high: int, step: int, unit: float) -> NumberRange:
    """Return the range of a control in the unit of its setting."""
    return NumberRange(low * unit, high * unit, max(1, step) * unit)
