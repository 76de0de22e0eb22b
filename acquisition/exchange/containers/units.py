"""Lengths and times of other people's files: their numbers are texts, their units have many spellings."""

from __future__ import annotations

import math
from fractions import Fraction

_MICRO = str.maketrans({"\u00b5": "u", "\u03bc": "u"})  # the micro sign, and the Greek letter that looks like it
_LENGTHS_UM = {
    Fraction(1, 10**6): ("pm", "picometer"),
    Fraction(1, 10**4): ("Å", "angstrom"),
    Fraction(1, 10**3): ("nm", "nanometer"),
    Fraction(1): ("um", "micron", "micrometer"),
    Fraction(10**3): ("mm", "millimeter"),
    Fraction(10**4): ("cm", "centimeter"),
    Fraction(25400): ("in", "inch"),
    Fraction(10**6): ("m", "meter"),
}
_TIMES_NS = {
    Fraction(1): ("ns", "nanosecond"),
    Fraction(10**3): ("us", "microsecond"),
    Fraction(10**6): ("ms", "millisecond"),
    Fraction(10**9): ("s", "sec", "second"),
    Fraction(60 * 10**9): ("min", "minute"),
    Fraction(3600 * 10**9): ("h", "hr", "hour"),
    Fraction(86400 * 10**9): ("d", "day"),
}
#: Times of files fit into 64 bits as nanoseconds.
_MOST_NS = 2.0**63


def length_um(value: object, unit: str) -> float | None:
    """Return a length in micrometres, or None if it is not above 0 or its unit is unknown."""
    factor = _factor(unit, _LENGTHS_UM)
    number = _exact(value)
    if factor is None or number is None or number <= 0:
        return None
    return float(number * factor)


def time_ns(value: object, unit: str) -> int | None:
    """Return a time in nanoseconds, rounded to the nearest, or None if it does not fit or its unit is unknown."""
    factor = _factor(unit, _TIMES_NS)
    number = _exact(value)
    if factor is None or number is None or abs(number * factor) >= _MOST_NS:
        return None
    return round(number * factor)


def regular_times_ns(step: object, unit: str, count: int) -> list[int] | None:
    """Return the times of images at a constant interval from 0 on, or None if it is not above 0 or they do not fit."""
    factor = _factor(unit, _TIMES_NS)
    number = _exact(step)
    if factor is None or number is None or number <= 0 or number * factor * count >= _MOST_NS:
        return None
    return [round(number * factor * index) for index in range(count)]


def time_s(value: object, unit: str) -> float | None:
    """Return a time in seconds, or None if it is not finite or its unit is unknown."""
    factor = _factor(unit, _TIMES_NS)
    number = _exact(value)
    return None if factor is None or number is None else float(number * factor / 10**9)


def _factor(unit: str, units: dict[Fraction, tuple[str, ...]]) -> Fraction | None:
    name = unit.strip().replace(r"\u00B5", "u").translate(_MICRO)
    spelled = name.lower().replace("metre", "meter").rstrip(".")
    for factor, names in units.items():
        if name in names or (len(spelled) > 2 and spelled.removesuffix("s") in names):
            return factor
    return None


def _exact(value: object) -> Fraction | None:
    """Return a number without rounding, or None if it is not finite; a text may have an exponent of any size."""
    number = float(str(value))
    if not math.isfinite(number) or abs(number) >= _MOST_NS:
        return None
    return Fraction(str(value).strip()) if number and abs(number) > 1 / _MOST_NS else Fraction(0)
