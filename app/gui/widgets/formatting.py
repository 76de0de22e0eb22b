"""How numbers are written in the window: with fixed digits, so that nothing jumps, and a dash for an unknown value."""

from __future__ import annotations

import math

UNKNOWN = "\N{EN DASH}"


def number(value: float, digits: int) -> str:
    """Write ``value`` with ``digits`` decimals, or a dash when it is not finite."""
    return f"{value:.{digits}f}" if math.isfinite(value) else UNKNOWN


def count(value: int) -> str:
    """Write a count with a thin space before every three digits."""
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def duration(seconds: float | None) -> str:
    """Write a duration as m:ss, or h:mm:ss from one hour on."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return UNKNOWN
    minutes, whole_seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{whole_seconds:02d}" if hours else f"{minutes}:{whole_seconds:02d}"


def round_length(longest: float) -> float:
    """Return the largest number of the form 1, 2 or 5 times a power of ten that is not above ``longest`` (> 0)."""
    decade = 10.0 ** math.floor(math.log10(longest))
    return max(step * decade for step in (1.0, 2.0, 5.0) if step * decade <= longest * (1 + 1e-9))
