"""Whether a calibration can be relied on: the verdict, its reason, and the measured value in a few words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np

from app.calibrations.kinds import FACTS, Calibration, Part
from app.calibrations.target import CalibrationTarget, present_response
from calibration.stored import Stored
from drivers.base import SpeckleScopeError

#: A settling time is right to within this factor, see :class:`calibration.devices.timing.TimingFit`.
_SETTLE_FACTOR: Final = 1.6
#: Largest difference of the assumed and the measured phase response, RMS in radians.
_RESPONSE_RMS_RAD: Final = 0.05
#: An exposure above the measured one by this factor saturates.
_EXPOSURE_FACTOR: Final = 1.15
#: Largest difference from 1 of the actual phase divided by the requested phase.
_SCALE_ERROR: Final = 0.05


class CalibrationState(StrEnum):
    """What can be said about a calibration, by one word for people."""

    NEVER = "never measured"
    GOOD = "good"
    #: It was measured, but not well enough.
    DOUBTFUL = "doubtful"
    #: It is old, or the instrument has changed since.
    STALE = "stale"
    #: The settings say something else.
    CONTRADICTS = "contradicts the settings"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class CalibrationVerdict:
    """A verdict.

    Parameters
    ----------
    state : CalibrationState
        The verdict.
    reason : str
        Why, and what to do; one sentence without a full stop.
    """

    state: CalibrationState
    reason: str = ""


def judge(what: Calibration, stored: Stored | None, target: CalibrationTarget) -> CalibrationVerdict:
    """Return the verdict on a calibration.

    Parameters
    ----------
    what : Calibration
        Its kind.
    stored : Stored, optional
        The calibration; None where there is none.
    target : CalibrationTarget
        The instrument as it is now.
    """
    if stored is None:
        return CalibrationVerdict(CalibrationState.NEVER, "not measured with this instrument yet")
    changed = _changed(what, stored, target)
    if changed:
        return CalibrationVerdict(CalibrationState.STALE, f"{changed}; measure again")
    days = FACTS[what].holds_days
    if stored.age_days > days:
        return CalibrationVerdict(CalibrationState.STALE, f"older than {days:.0f} days; measure again")
    try:
        doubt, contradiction = _DOUBTS[what](stored.values), _CONTRADICTIONS[what](stored, target)
    except (KeyError, TypeError, ValueError) as error:
        text = f"a number is missing or has a wrong type ({' '.join(str(error).split())}); measure again"
        return CalibrationVerdict(CalibrationState.UNREADABLE, text)
    if contradiction:
        return CalibrationVerdict(CalibrationState.CONTRADICTS, contradiction)
    if doubt:
        return CalibrationVerdict(CalibrationState.DOUBTFUL, doubt)
    return CalibrationVerdict(CalibrationState.GOOD, _WHY_GOOD[what])


def value_text(what: Calibration, stored: Stored) -> str:
    """Return the measured value with its unit; empty where the numbers are not there."""
    try:
        return _VALUES[what](stored.values)
    except (KeyError, TypeError, ValueError):
        return ""


def age_text(days: float) -> str:
    """Return an age in words."""
    if days < 0:
        return "in the future: check the clock of this computer"
    minutes = days * 24 * 60
    for limit, size, unit in ((60, 1, "minute"), (48 * 60, 60, "hour"), (float("inf"), 24 * 60, "day")):
        if minutes < limit:
            count = int(minutes // size)
            if count == 0:
                break
            return f"{count} {unit}{'s' if count != 1 else ''} ago"
    return "just now"


def _changed(what: Calibration, stored: Stored, target: CalibrationTarget) -> str:
    """Return which part of the instrument is another one than at the measurement; empty when none is."""
    for part in Part:
        if part not in FACTS[what].parts:
            continue
        before = str(stored.values.get("fibre", "")) if part is Part.FIBRE else stored.devices.get(part.value, "")
        now = target.fibre if part is Part.FIBRE else target.devices.get(part.value, "")
        if before != now:
            name = {Part.SLM: "SLM", Part.CAMERA: "camera", Part.FIBRE: "fibre"}[part]
            return f"measured with {name} '{before}', the instrument has '{now}'"
    return ""


# ---- the measured value in a few words


def _timing_value(values: Mapping[str, Any]) -> str:
    return f"{_settled_ms(values):.0f} ms until a pattern has settled"


def _camera_value(values: Mapping[str, Any]) -> str:
    exposure_ms, gain = 1e3 * float(values["exposure_s"]), float(values["e_per_count"])
    return f"{exposure_ms:.3g} ms fill 80 %, {gain:.3g} e\N{SUPERSCRIPT MINUS} per count"


def _registration_value(values: Mapping[str, Any]) -> str:
    return f"Magnification {float(values['scale']):.3f}, rotation {float(values['rotation_deg']):.2f}\N{DEGREE SIGN}"


def _settled_ms(values: Mapping[str, Any]) -> float:
    return 1e3 * (float(values["latency_s"]) + float(values["settle_s"]))


_VALUES: Final[Mapping[Calibration, Callable[[Mapping[str, Any]], str]]] = {
    Calibration.TIMING: _timing_value,
    Calibration.LUT: lambda values: f"{float(values['slm_range_rad']):.2f} rad at white",
    Calibration.CAMERA: _camera_value,
    Calibration.REGISTRATION: _registration_value,
    Calibration.FIBRE: lambda values: f"{float(values['phase_scale']):.2f} times the requested phase",
    Calibration.RESPONSE: lambda values: f"{100 * float(values['quality']):.0f} % of the highest possible correlation",
}

# ---- whether the measurement itself is good: the limits of docs/calibration.md


def _limit(name: str, key: str, most: float, unit: str = "") -> Callable[[Mapping[str, Any]], str]:
    def check(values: Mapping[str, Any]) -> str:
        value = float(values[key])
        return f"{name} is {value:.3g}{unit}, at most {most:g}{unit} is good; measure again" if not value <= most else ""

    return check


def _least(name: str, key: str, least: float) -> Callable[[Mapping[str, Any]], str]:
    def check(values: Mapping[str, Any]) -> str:
        value = float(values[key])
        return f"{name} is {value:.3g}, at least {least:g} is good; measure again" if not value >= least else ""

    return check


_DOUBTS: Final[Mapping[Calibration, Callable[[Mapping[str, Any]], str]]] = {
    Calibration.TIMING: _limit("the part of the frames that do not fit the step", "residual_fraction", 0.05),
    Calibration.LUT: _limit("the residual of the fit", "residual_rad", 0.02, " rad"),
    Calibration.CAMERA: _limit("the deviation from a straight line", "linearity_percent", 1.0, " %"),
    Calibration.REGISTRATION: _limit("the uncertainty", "uncertainty_px", 0.3, " px"),
    Calibration.FIBRE: _least("the correlation of measurement and fit", "correlation", 0.5),
    Calibration.RESPONSE: _least("the correlation divided by the highest possible", "quality", 0.98),
}
_WHY_GOOD: Final[Mapping[Calibration, str]] = {
    Calibration.TIMING: "the settings wait long enough",
    Calibration.LUT: "the settings agree with the measured response",
    Calibration.CAMERA: "the camera is linear, and the exposure does not saturate",
    Calibration.REGISTRATION: "measured on these devices and this fibre",
    Calibration.FIBRE: "the model fits, and the SLM makes the phase that is asked for",
    Calibration.RESPONSE: "the response predicts what it has not seen",
}

# ---- whether the settings say something else


def _timing_contradiction(stored: Stored, target: CalibrationTarget) -> str:
    display = target.display
    if display is None:
        return ""
    latency_s, settle_s = float(stored.values["latency_s"]), float(stored.values["settle_s"])
    late = latency_s > display.latency_s + 0.5 * display.refresh_s
    slow = settle_s / _SETTLE_FACTOR > display.settle_s
    if not late and not slow:
        return ""
    name, measured_s, declared_s = (
        ("settling time", settle_s, display.settle_s) if slow else ("latency", latency_s, display.latency_s)
    )
    return (
        f"{name}: {1e3 * measured_s:.0f} ms measured, {1e3 * declared_s:.0f} ms declared, "
        "so frames can show the pattern before; apply it"
    )


def _lut_contradiction(stored: Stored, target: CalibrationTarget) -> str:
    try:
        assumed_rad = present_response(target.config)
    except SpeckleScopeError as error:
        return f"the look-up table of the settings cannot be used: {error}"
    measured_rad = np.asarray(stored.arrays["phases_rad"], np.float64)
    difference_rad = (assumed_rad - assumed_rad[0]) - (measured_rad - measured_rad[0])
    rms_rad = float(np.sqrt(np.mean((difference_rad - difference_rad.mean()) ** 2)))
    if rms_rad <= _RESPONSE_RMS_RAD:
        return ""
    return f"the settings assume another response, {rms_rad:.2f} rad away on average; apply it"


def _camera_contradiction(stored: Stored, target: CalibrationTarget) -> str:
    measured_s = float(stored.values["exposure_s"])
    if target.exposure_s <= _EXPOSURE_FACTOR * measured_s:
        return ""
    return (
        f"exposure: {1e3 * measured_s:.3g} ms fill 80 % of the range, {1e3 * target.exposure_s:.3g} ms are set; "
        "apply it, or expose shorter"
    )


def _fibre_contradiction(stored: Stored, target: CalibrationTarget) -> str:
    scale = float(stored.values["phase_scale"])
    if abs(scale - 1) <= _SCALE_ERROR:
        return ""
    title = FACTS[Calibration.LUT].title
    return f"the SLM makes {scale:.2f} times the phase that is asked for; measure '{title}', and apply it"


def _no_contradiction(stored: Stored, target: CalibrationTarget) -> str:
    return ""


_CONTRADICTIONS: Final[Mapping[Calibration, Callable[[Stored, CalibrationTarget], str]]] = {
    Calibration.TIMING: _timing_contradiction,
    Calibration.LUT: _lut_contradiction,
    Calibration.CAMERA: _camera_contradiction,
    Calibration.REGISTRATION: _no_contradiction,
    Calibration.FIBRE: _fibre_contradiction,
    Calibration.RESPONSE: _no_contradiction,
}
