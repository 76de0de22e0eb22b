"""Read and write features of a Basler camera: under the names of every generation, within the camera's own limits.

GigE cameras of the first generation call features by other names, such as ``ExposureTimeAbs``.
"""

from __future__ import annotations

import logging
from typing import Any

from pypylon import genicam, pylon

from drivers.base import DeviceError

EXPOSURE = ("ExposureTime", "ExposureTimeAbs")
GAIN = ("Gain", "GainAbs")
TRIGGER_DELAY = ("TriggerDelay", "TriggerDelayAbs")
READOUT = ("SensorReadoutTime", "ReadoutTimeAbs")
BURST_COUNT = ("AcquisitionBurstFrameCount", "AcquisitionFrameCount")
#: Selector of the trigger that starts several frames.
BURST_TRIGGERS = ("FrameBurstStart", "AcquisitionStart")

#: What another program may have left on, and the value that paired and live frames need: a frame's exposure is then the one
#: that is written beside it, and each trigger gives one frame.
_TIMING = {
    "ExposureAuto": "Off",
    "GainAuto": "Off",
    "BlackLevelAuto": "Off",
    "ExposureMode": "Timed",
    "AcquisitionMode": "Continuous",
    "SequencerMode": "Off",
    "SequenceEnable": False,
    "AcquisitionFrameRateEnable": False,
}
#: What changes pixels: each pixel of the sensor is one pixel of the frame, in its place, and its value is proportional to the
#: light. A region that another program has centred cannot be moved.
_PIXELS = {
    "BinningHorizontal": 1,
    "BinningVertical": 1,
    "DecimationHorizontal": 1,
    "DecimationVertical": 1,
    "GammaEnable": False,
    "Gamma": 1.0,
    "LUTEnable": False,
    "DigitalShift": 0,
    "BslBrightness": 0.0,
    "BslContrast": 0.0,
    "ReverseX": False,
    "ReverseY": False,
    "CenterX": False,
    "CenterY": False,
    "TestPattern": "Off",
    "TestImageSelector": "Off",
}
_LOG = logging.getLogger(__name__)


def feature(camera: Any, *names: str) -> Any:
    """Return the first of these features that the camera has, or None."""
    for name in names:
        node = getattr(camera, name, None)
        if node is not None and type(node).__name__ != "PlaceholderParameter" and genicam.IsImplemented(node):
            return node
    return None


def value(camera: Any, *names: str) -> object:
    """Return the value of the first of these features that the camera has and that can be read, or None."""
    for name in names:
        node = feature(camera, name)
        if node is not None and genicam.IsReadable(node):
            return node.Value
    return None


def write(camera: Any, key: str, names: tuple[str, ...], wanted: Any, *, scale: float = 1.0) -> Any:
    """Write a feature, and return the value that the camera then reports, in the unit of ``key``.

    Parameters
    ----------
    camera : pylon.InstantCamera
        An open camera.
    key : str
        Key of the instrument file, for messages.
    names : tuple of str
        Names of the feature, the newest first.
    wanted : number, text or bool
        The value, in the unit of ``key``.
    scale : float
        The camera's unit in the unit of ``key``: 1e6 for microseconds and seconds.

    Raises
    ------
    DeviceError
        The camera has no such feature, or the value is none that it takes; the message has both, and what it takes.
    """
    node = feature(camera, *names)
    if node is None:
        raise DeviceError(f"this camera has no {' or '.join(names)}; leave {key} out of the instrument file")
    if reason := _refusal(node, wanted, scale):
        raise DeviceError(f"{key} = {wanted} is not possible: {node.Node.Name} of this camera {reason}; change {key}")
    try:
        node.Value = wanted if scale == 1.0 else wanted * scale
        return node.Value if scale == 1.0 else node.Value / scale
    except genicam.GenericException as error:
        first_line = str(error).strip().splitlines()[0].split(" : ")[0]
        raise DeviceError(f"{key} = {wanted} is not possible: {first_line}; change {key}") from error


def make_neutral(camera: Any, *, keep_pixels: bool) -> None:
    """Switch off what another program has left on.

    Parameters
    ----------
    camera : pylon.InstantCamera
        An open camera.
    keep_pixels : bool
        Whether binning, gamma and the like stay as they are, because the operator has chosen a user set with them.
    """
    emulated = camera.GetDeviceInfo().GetDeviceClass() == "BaslerCamEmu"  # without its test image, the emulator is black
    for name, neutral in (_TIMING if keep_pixels else _TIMING | _PIXELS).items():
        node = feature(camera, name)
        if node is None or not genicam.IsWritable(node) or (emulated and name == "TestImageSelector"):
            continue
        if (left := node.Value) != neutral:
            write(camera, name, (name,), neutral)
            _LOG.info("%s of the camera was %s; it is %s now", name, left, neutral)


def _refusal(node: Any, wanted: Any, scale: float) -> str:
    """Return why a feature cannot take a value, or an empty text."""
    symbols = getattr(node, "Symbolics", None)
    if symbols is not None:
        return "" if wanted in symbols else f"is one of {', '.join(symbols)}"
    low, high = getattr(node, "Min", None), getattr(node, "Max", None)
    if low is None or high is None or isinstance(wanted, bool):
        return ""
    if not low <= wanted * scale <= high:
        return f"goes from {low / scale:g} to {high / scale:g} with its present settings"
    step = node.Inc if isinstance(node, pylon.IntegerParameter) else 1
    if step > 1 and (wanted - low) % step:
        below = wanted - (wanted - low) % step
        return f"goes in steps of {step}, so {below} or {below + step} fit"
    return ""
