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
