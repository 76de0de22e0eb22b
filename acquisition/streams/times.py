"""How long each step of a stage takes: a distribution of the recent times, and its percentiles."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class TimeStats:
    """Percentiles of times in seconds; NaN where nothing was measured.

    Parameters
    ----------
    count : int
        How many times they are of.
    p50_s, p95_s, p99_s : float
        So many percent of the times are shorter.
    """

    count: int = 0
    p50_s: float = math.nan
    p95_s: float = math.nan
    p99_s: float = math.nan

    def to_dict(self) -> dict[str, float]:
        """Return the percentiles in milliseconds, for JSON."""
        return {"count": self.count, "p50_ms": self.p50_s * 1e3, "p95_ms": self.p95_s * 1e3, "p99_ms": self.p99_s * 1e3}


#: Where nothing was measured.
NO_TIMES = TimeStats()


class TimeHistogram:
    """The recent times of one step; one thread adds, and several may read.

    Parameters
    ----------
    window : int
        How many times are kept.
    """

    def __init__(self, window: int = 2048) -> None:
        self._times_s: deque[float] = deque(maxlen=window)

    def add(self, seconds: float) -> None:
        """Add one time in seconds."""
        self._times_s.append(seconds)

    def stats(self) -> TimeStats:
        """Return the percentiles of the recent times."""
        times_s = list(self._times_s)
        if not times_s:
            return NO_TIMES
        p50_s, p95_s, p99_s = (float(value) for value in np.percentile(times_s, (50, 95, 99)))
        return TimeStats(count=len(times_s), p50_s=p50_s, p95_s=p95_s, p99_s=p99_s)
