"""The exposure that fills the camera's scale, in a few shots."""

from __future__ import annotations

import numpy as np

from acquisition.capture.pair_capture import Rig
from calibration.stored import CalibrationError
from drivers.base import Frame, TriggerMode

#: The level has come near enough to its target.
_TOLERANCE = 0.08
_MOST_SHOTS = 16
#: Steps where the level says nothing: all but saturated, or all but dark.
_SHORTER, _LONGER = 0.25, 8.0


def capture(rig: Rig, exposure_s: float, count: int) -> list[Frame]:
    """Return frames at an exposure of whatever the camera sees; it is disarmed afterwards.

    Raises
    ------
    DeviceError
        The camera failed.
    """
    camera = rig.camera
    camera.set_exposure(exposure_s)
    camera.arm(TriggerMode.SOFTWARE)
    try:
        frames = []
        for _ in range(count):
            camera.trigger()
            frames.append(camera.read(camera.exposure_s + camera.capabilities.readout_s + 0.25))
    finally:
        camera.disarm()
    return frames


def find_exposure(rig: Rig, fill: float = 0.8, percentile: float = 99.9) -> float:
    """Return the exposure at which a percentile of the pixels lies at a fraction of full scale; the camera is left with it.

    Parameters
    ----------
    rig : Rig
        Used by this thread; its SLM keeps what it shows.
    fill : float
        Wanted level, between 0.05 and 0.95 of full scale.
    percentile : float
        Of all pixels, in percent.

    Returns
    -------
    float
        In seconds.

    Raises
    ------
    CalibrationError
        The light is too dark or too bright for the camera's range of exposures, or it flickers.
    DeviceError
        The camera failed.
    """
    if not 0.05 <= fill <= 0.95:
        raise ValueError(f"fill must lie in 0.05 .. 0.95, got {fill}")
    shortest_s, longest_s = rig.camera.capabilities.exposure_range_s
    exposure_s = min(max(rig.camera.exposure_s, shortest_s), longest_s)
    level = 0.0
    for _ in range(_MOST_SHOTS):
        frame = capture(rig, exposure_s, 1)[0]
        level = float(np.percentile(frame.pixels, percentile)) / frame.full_scale
        if abs(level / fill - 1) <= _TOLERANCE:
            return rig.camera.exposure_s
        if level < fill and exposure_s >= longest_s:
            raise CalibrationError(
                f"the light is too dark: the brightest pixels reach {100 * level:.1f} % of full scale at the longest, "
                f"{longest_s:g} s, {100 * fill:.0f} % are wanted; give more light or gain"
            )
        if level > fill and exposure_s <= shortest_s:
            raise CalibrationError(
                f"the light is too bright: the brightest pixels reach {100 * level:.1f} % of full scale at the shortest, "
                f"{shortest_s:g} s, {100 * fill:.0f} % are wanted; attenuate it"
            )
        factor = _SHORTER if level >= 0.99 else min(fill / max(level, 1e-6), _LONGER)
        exposure_s = min(max(exposure_s * factor, shortest_s), longest_s)
    raise CalibrationError(
        f"the level was {100 * level:.0f} % of full scale after {_MOST_SHOTS} shots, {100 * fill:.0f} % are wanted; "
        "check that the light does not flicker"
    )
