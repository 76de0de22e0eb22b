"""Find, in a few shots, the exposure at which the brightest pixels reach a given fraction of full scale."""

from __future__ import annotations

import numpy as np

from acquisition.capture.pair_capture import Rig
from calibration.stored import CalibrationError
from drivers.base import Frame, TriggerMode

#: Relative deviation from the target level at which the search stops.
_TOLERANCE = 0.08
MOST_SHOTS = 16
#: The brightest pixels are this percentile of all pixels, in percent; their target level is this fraction of full scale.
PERCENTILE, FILL = 99.9, 0.8
#: Factors on the exposure when the level is no guide: the frame is nearly saturated, or nearly dark.
_SHORTER, _LONGER = 0.25, 8.0


def capture(rig: Rig, exposure_s: float, count: int) -> list[Frame]:
    """Return ``count`` frames at an exposure in seconds; the pattern on the SLM does not change.

    The camera is disarmed afterwards.

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


def level_of(frame: Frame, percentile: float = PERCENTILE) -> float:
    """Return the level of the brightest pixels as a fraction of full scale: a percentile of all pixels."""
    return float(np.percentile(frame.pixels, percentile)) / frame.full_scale


def next_exposure(level: float, exposure_s: float, range_s: tuple[float, float], fill: float = FILL) -> float | None:
    """Return the exposure to try next, in seconds; None when the level of the last frame is right.

    Parameters
    ----------
    level : float
        Level of the brightest pixels at ``exposure_s``, as a fraction of full scale.
    exposure_s : float
        The exposure of the last frame, in seconds.
    range_s : (float, float)
        Shortest and longest exposure of the camera, in seconds.
    fill : float
        Target level as a fraction of full scale.

    Raises
    ------
    CalibrationError
        There is too little or too much light for the camera's range of exposures.
    """
    shortest_s, longest_s = range_s
    if abs(level / fill - 1) <= _TOLERANCE:
        return None
    if level < fill and exposure_s >= longest_s:
        raise CalibrationError(
            f"the light is too dark: the brightest pixels reach {100 * level:.1f} % of full scale at the longest exposure, "
            f"{longest_s:g} s, {100 * fill:.0f} % are needed; increase the light or the gain"
        )
    if level > fill and exposure_s <= shortest_s:
        raise CalibrationError(
            f"the light is too bright: the brightest pixels reach {100 * level:.1f} % of full scale at the shortest "
            f"exposure, {shortest_s:g} s, {100 * fill:.0f} % are needed; attenuate the light"
        )
    factor = _SHORTER if level >= 0.99 else min(fill / max(level, 1e-6), _LONGER)
    return min(max(exposure_s * factor, shortest_s), longest_s)


def unsteady(level: float, fill: float = FILL) -> str:
    """Return what to say when so many shots have not led to the target level."""
    return (
        f"the brightest pixels are at {100 * level:.0f} % of full scale after {MOST_SHOTS} shots, {100 * fill:.0f} % are "
        "needed; check that the light does not flicker"
    )


def find_exposure(rig: Rig, fill: float = FILL, percentile: float = PERCENTILE) -> float:
    """Set and return the exposure at which a percentile of the pixels lies at a fraction of full scale.

    Parameters
    ----------
    rig : Rig
        Used by this thread only. Its SLM keeps its pattern, its camera keeps the new exposure.
    fill : float
        Target level as a fraction of full scale, 0.05 .. 0.95.
    percentile : float
        Which percentile of all pixels reaches the target level, in percent.

    Returns
    -------
    float
        The exposure in seconds.

    Raises
    ------
    ValueError
        ``fill`` lies outside 0.05 .. 0.95.
    CalibrationError
        There is too little or too much light for the camera's range of exposures, or the light flickers.
    DeviceError
        The camera failed.
    """
    if not 0.05 <= fill <= 0.95:
        raise ValueError(f"fill must lie in 0.05 .. 0.95, got {fill}")
    shortest_s, longest_s = rig.camera.capabilities.exposure_range_s
    exposure_s = min(max(rig.camera.exposure_s, shortest_s), longest_s)
    level = 0.0
    for _ in range(MOST_SHOTS):
        level = level_of(capture(rig, exposure_s, 1)[0], percentile)
        better_s = next_exposure(level, exposure_s, (shortest_s, longest_s), fill)
        if better_s is None:
            return rig.camera.exposure_s
        exposure_s = better_s
    raise CalibrationError(unsteady(level, fill))
