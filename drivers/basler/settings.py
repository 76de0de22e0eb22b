"""The settings of an open Basler camera that an operator may change, under the names of every generation of cameras.

The exposure is not among them: the driver keeps it itself. See :mod:`drivers.camera_settings`.
"""

from __future__ import annotations

from typing import Any

from drivers.basler.features import GAIN, feature, value, write
from drivers.camera_settings import CameraSetting, Choices, NumberRange, Roi, RoiRange, SettingName, SettingValue, number

_RATE = ("AcquisitionFrameRate", "AcquisitionFrameRateAbs")
_RATE_LIMITED = ("AcquisitionFrameRateEnable",)
_RESULTING_RATE = ("ResultingFrameRate", "BslResultingAcquisitionFrameRate", "ResultingFrameRateAbs")
_BINNINGS = ("BinningHorizontal", "BinningVertical")


def declared(camera: Any, rate_hz: float | None, *, has_binning: bool) -> list[CameraSetting]:
    """Return the settings that the camera has.

    Parameters
    ----------
    camera : pylon.InstantCamera
        An open camera.
    rate_hz : float or None
        The frame rate that was set; None while the camera runs as fast as it can.
    has_binning : bool
        Whether the binning may change: a user set that the operator has stored keeps its own.
    """
    binning = _binning(camera) if has_binning else None
    possible = (_gain(camera), _rate(camera, rate_hz), _roi(camera), binning)
    return [setting for setting in possible if setting is not None]


def change(camera: Any, name: SettingName, wanted: SettingValue) -> None:
    """Write gain, region or binning, whose value fits; raises DeviceError when the camera refuses it all the same."""
    if isinstance(wanted, Roi):
        _write_region(camera, wanted)
    elif name is SettingName.GAIN:
        names = GAIN if feature(camera, *GAIN) is not None else ("GainRaw",)
        write(camera, name, names, wanted if names is GAIN else round(wanted))
    elif name is SettingName.BINNING:
        for axis in _BINNINGS:
            write(camera, name, (axis,), round(wanted))
        _write_region(camera, _whole(camera))


def limit_rate(camera: Any, rate_hz: float | None) -> None:
    """Let the camera run at no more than so many frames per second; None is as fast as it can."""
    if feature(camera, *_RATE_LIMITED) is not None:
        write(camera, SettingName.FRAME_RATE_HZ, _RATE_LIMITED, rate_hz is not None)
    if rate_hz is not None:
        write(camera, SettingName.FRAME_RATE_HZ, _RATE, number(rate_hz))


def _gain(camera: Any) -> CameraSetting | None:
    node = feature(camera, *GAIN)
    if node is not None:
        limits, unit = NumberRange(node.Min, node.Max), "dB"
    else:
        node, unit = feature(camera, "GainRaw"), "steps of the device"
        if node is None:
            return None
        limits = NumberRange(node.Min, node.Max, node.Inc)
    return CameraSetting(name=SettingName.GAIN, value=node.Value, limits=limits, unit=unit)


def _rate(camera: Any, rate_hz: float | None) -> CameraSetting | None:
    node = feature(camera, *_RATE)
    if node is None:
        return None
    limits = NumberRange(node.Min, node.Max)
    resulting = value(camera, *_RESULTING_RATE)
    fastest_hz = resulting if isinstance(resulting, float) else node.Max
    now_hz = min(max(fastest_hz, limits.low), limits.high) if rate_hz is None else rate_hz
    return CameraSetting(name=SettingName.FRAME_RATE_HZ, value=now_hz, limits=limits, unit="Hz")


def _roi(camera: Any) -> CameraSetting:
    width, height = camera.Width, camera.Height
    whole = _whole(camera)
    region = Roi(x=camera.OffsetX.Value, y=camera.OffsetY.Value, width=width.Value, height=height.Value)
    limits = RoiRange(
        width=NumberRange(width.Min, whole.width, width.Inc),
        height=NumberRange(height.Min, whole.height, height.Inc),
        x_step=camera.OffsetX.Inc,
        y_step=camera.OffsetY.Inc,
    )
    return CameraSetting(name=SettingName.ROI, value=region, limits=limits, unit="px", live=False)


def _binning(camera: Any) -> CameraSetting | None:
    nodes = [feature(camera, axis) for axis in _BINNINGS]
    if any(node is None for node in nodes):
        return None
    choices = Choices(tuple(range(1, min(node.Max for node in nodes) + 1)))
    return CameraSetting(name=SettingName.BINNING, value=nodes[0].Value, limits=choices, live=False)


def _whole(camera: Any) -> Roi:
    """Return the largest region with the present binning."""
    # Many cameras leave out of ``Width.Max`` what lies before the present offset.
    width, height = value(camera, "WidthMax"), value(camera, "HeightMax")
    return Roi(
        width=width if isinstance(width, int) else camera.Width.Max + camera.OffsetX.Value,
        height=height if isinstance(height, int) else camera.Height.Max + camera.OffsetY.Value,
    )


def _write_region(camera: Any, roi: Roi) -> None:
    # Offsets become 0 first: a wide region does not fit beside an old offset.
    for axis, wanted in (("OffsetX", 0), ("OffsetY", 0), ("Width", roi.width), ("Height", roi.height)):
        write(camera, SettingName.ROI, (axis,), wanted)
    write(camera, SettingName.ROI, ("OffsetX",), roi.x)
    write(camera, SettingName.ROI, ("OffsetY",), roi.y)
