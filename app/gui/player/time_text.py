"""How times of a recording are written: with as many digits as they need."""

from __future__ import annotations

import math
from datetime import datetime

from app.gui.widgets.formatting import UNKNOWN

#: Steps between the times below the slider, in seconds, from one second on.
_STEPS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400)


def time_text(seconds: float, digits: int = 3) -> str:
    """Write a time as 3.250 s, 2:03.250 or 1:02:03.250."""
    if not math.isfinite(seconds):
        return UNKNOWN
    whole, part = divmod(round(seconds * 10**digits), 10**digits)
    fraction = f".{part:0{digits}d}" if digits else ""
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{rest:02d}{fraction}"
    return f"{minutes}:{rest:02d}{fraction}" if minutes else f"{rest}{fraction} s"


def clock_text(utc: str) -> str:
    """Write a moment that is stored as ISO 8601 as the time of day on this computer's clock; empty where it is unknown."""
    try:
        moment = datetime.fromisoformat(utc).astimezone()
    except (ValueError, OverflowError):
        return ""
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}"


def tick_step_s(duration_s: float, most: int) -> float:
    """Return the round step between at most so many times below the slider; 0 where there is no duration."""
    if duration_s <= 0:
        return 0.0
    shortest_s = duration_s / most
    if shortest_s < 1:
        decade = 10.0 ** math.floor(math.log10(shortest_s))
        return next(step * decade for step in (1.0, 2.0, 5.0, 10.0) if step * decade >= shortest_s * (1 - 1e-9))
    return float(next((step for step in _STEPS_S if step >= shortest_s), _STEPS_S[-1] * math.ceil(shortest_s / _STEPS_S[-1])))


def tick_text(time_s: float, step_s: float) -> str:
    """Write a time below the slider, with the digits that the step needs."""
    digits = max(0, -math.floor(math.log10(step_s) + 1e-9)) if 0 < step_s < 1 else 0
    return time_text(time_s, digits)
