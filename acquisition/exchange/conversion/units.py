"""The units in which other programs store a phase."""

from __future__ import annotations

from enum import StrEnum


class PhaseUnit(StrEnum):
    """Unit of the values of a phase."""

    RAD = "rad"
    DEG = "deg"
    #: Percent of the phase range.
    PERCENT = "percent"
    #: Levels from 0 to the white value, which stands for the phase range.
    LEVELS = "levels"


_SPELLINGS = {
    PhaseUnit.RAD: ("rad", "rads", "radian", "radians"),
    PhaseUnit.DEG: ("deg", "degs", "degree", "degrees", "\N{DEGREE SIGN}"),
    PhaseUnit.PERCENT: ("percent", "%"),
    PhaseUnit.LEVELS: ("levels", "level", "grey level", "grey levels", "gray level", "gray levels"),
}


def phase_unit(text: str) -> PhaseUnit | None:
    """Return the unit that a file states in any usual spelling, or None if it is none of a phase."""
    name = text.strip().lower()
    return next((unit for unit, names in _SPELLINGS.items() if name in names), None)
