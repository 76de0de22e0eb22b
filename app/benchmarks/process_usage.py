"""What this process uses of memory, open files and threads, and how fast that grows."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import stats

_PROCESS = Path("/proc/self")


@dataclass(frozen=True, kw_only=True)
class ProcessUsage:
    """What this process uses now.

    Parameters
    ----------
    resident_mb : float
        Resident memory in megabytes; NaN on systems that do not report it.
    handles : int
        Open files, sockets and pipes; 0 on systems that do not report it.
    threads : int
        Threads of the process, also those of libraries; only Python's on systems that do not report it.
    at_s : float
        When it was measured, by :func:`time.monotonic`.
    """

    resident_mb: float
    handles: int
    threads: int
    at_s: float = field(default_factory=time.monotonic)

    @classmethod
    def now(cls, *, collect: bool = False) -> ProcessUsage:
        """Measure it; with ``collect`` after unreachable objects were freed."""
        if collect:
            gc.collect()
        return cls(resident_mb=resident_mb(), handles=_entries("fd"), threads=_entries("task") or threading.active_count())


def resident_mb() -> float:
    """Return the resident memory of this process in MB; NaN on systems that do not report it."""
    try:
        pages = int((_PROCESS / "statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return float("nan")
    return pages * 4096 / 1e6


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Return the median slope between all pairs of points (Theil-Sen), which outliers do not move; 0 where there is none."""
    if len(x) < 2 or not np.isfinite(y).all() or len(set(x)) < 2:
        return 0.0
    return float(stats.theilslopes(y, x).slope)


def growth(counts: Sequence[int]) -> int:
    """Return the median of the last third of counts minus that of the first third; 0 without counts."""
    part = max(1, len(counts) // 3)
    return round(float(np.median(counts[-part:]) - np.median(counts[:part]))) if counts else 0


def _entries(folder: str) -> int:
    try:
        return sum(1 for _ in (_PROCESS / folder).iterdir())
    except OSError:
        return 0
