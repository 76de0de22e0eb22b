"""What can be calibrated: what each calibration is for, what it shows, and how long it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from pathlib import Path
from typing import Final

#: The light of a fibre and of a panel changes within weeks.
_MONTH_DAYS: Final = 30.0
#: A registration that is older is refused.
REGISTRATION_DAYS: Final = 30.0
#: Properties of a device that do not change from day to day.
_YEAR_DAYS: Final = 365.0


class Calibration(StrEnum):
    """What can be measured, in the order in which an instrument is calibrated."""

    TIMING = "timing"
    LUT = "lut"
    CAMERA = "camera"
    REGISTRATION = "registration"
    FIBRE = "fibre"
    RESPONSE = "response"


class Part(Enum):
    """A part of the instrument; a calibration holds while the parts that it measured are the same."""

    CAMERA = "camera"
    SLM = "slm"
    FIBRE = "fibre"


#: Grey levels that a look-up table is measured at.
DEFAULT_LEVELS: Final = 64
#: Fewer give no look-up table, and an SLM has no more.
LEAST_LEVELS, MOST_LEVELS = 16, 256


@dataclass(frozen=True, kw_only=True)
class CalibrationOrder:
    """What shall be measured.

    Parameters
    ----------
    what : Calibration
        The calibration.
    levels : int
        For the phase response of the SLM: number of grey levels.
    probe_patterns : int
        For the fibre response: number of probe patterns; 0 uses the usual number.
    registration : Path, optional
        For reference and response of the fibre: folder of the registration.
    previous : Path, optional
        For the fibre response: folder of an earlier one, of which only the phases of the cores are measured again.
    """

    what: Calibration
    levels: int = DEFAULT_LEVELS
    probe_patterns: int = 0
    registration: Path | None = None
    previous: Path | None = None


@dataclass(frozen=True, kw_only=True)
class CalibrationFacts:
    """What an operator wants to know before a calibration.

    Parameters
    ----------
    title : str
        Its name.
    stored_kind : str
        Its name in ``calibration.yaml``.
    purpose : str
        What it is for, in one sentence.
    shows : str
        What the SLM shows meanwhile, in one sentence; ``{shots}`` stands for the number of frames.
    holds_days : float
        It should be measured again when it is older, in days.
    parts : frozenset of Part
        What it measures; it is stale when one of them has changed.
    """

    title: str
    stored_kind: str
    purpose: str
    shows: str
    holds_days: float
    parts: frozenset[Part]


_DEVICES: Final = frozenset({Part.CAMERA, Part.SLM})
_ALL: Final = frozenset(Part)

FACTS: Final[Mapping[Calibration, CalibrationFacts]] = {
    Calibration.TIMING: CalibrationFacts(
        title="SLM timing",
        stored_kind="timing",
        purpose="Measures how long a new pattern needs to appear and to settle, so that no frame shows the pattern before it.",
        shows="The SLM changes {shots} times between two patterns, and the camera takes a frame of each change.",
        holds_days=_YEAR_DAYS,
        parts=frozenset({Part.SLM}),
    ),
    Calibration.LUT: CalibrationFacts(
        title="SLM phase response",
        stored_kind="phase LUT",
        purpose="Measures the phase of the SLM at every grey level, so that a pattern has the phase that it should have.",
        shows="The SLM shows {shots} checkerboards, one for each grey level that is measured.",
        holds_days=_MONTH_DAYS,
        parts=frozenset({Part.SLM}),
    ),
    Calibration.CAMERA: CalibrationFacts(
        title="Camera",
        stored_kind="camera",
        purpose="Measures gain, noise, linearity and bad pixels, and finds the exposure that fills 80 % of the camera's range.",
        shows="The SLM shows the flat pattern, then scrambled ones, while the camera takes {shots} frames of many exposures.",
        holds_days=_YEAR_DAYS,
        parts=frozenset({Part.CAMERA}),
    ),
    Calibration.REGISTRATION: CalibrationFacts(
        title="Registration",
        stored_kind="registration",
        purpose="Measures where the camera sees each pixel of a pattern: magnification, rotation, shift and mirror.",
        shows="The SLM shows {shots} patterns of stripes and blocks.",
        holds_days=REGISTRATION_DAYS,
        parts=_ALL,
    ),
    Calibration.FIBRE: CalibrationFacts(
        title="Fibre reference",
        stored_kind="fibre reference",
        purpose="Measures the fibre's speckle without an object, and how the speckle changes with the phase.",
        shows="The SLM shows {shots} patterns: flat ones, random ones, and one of rising phase.",
        holds_days=_MONTH_DAYS,
        parts=_ALL,
    ),
    Calibration.RESPONSE: CalibrationFacts(
        title="Fibre response",
        stored_kind="fibre response",
        purpose="Measures phase and amplitude of every core, for the models that compute with the fibre itself.",
        shows="The SLM shows {shots} probe patterns. Then the response is fitted, which takes longer than the frames.",
        holds_days=_MONTH_DAYS,
        parts=_ALL,
    ),
}
