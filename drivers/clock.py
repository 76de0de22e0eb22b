"""Clocks for devices: the computer's clock, or a virtual one on which waiting takes no time."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic time in ns and a way to wait for it."""

    def now_ns(self) -> int:
        """Return the time in ns."""

    def wait_until(self, t_ns: int) -> None:
        """Return when ``now_ns() >= t_ns``; immediately if that time has passed."""


class RealClock:
    """The computer's monotonic clock, which also gives frames their time stamps."""

    def now_ns(self) -> int:
        """Monotonic time in nanoseconds."""
        return time.monotonic_ns()

    def wait_until(self, t_ns: int) -> None:
        """Sleep until ``t_ns``."""
        while (left_ns := t_ns - time.monotonic_ns()) > 0:
            time.sleep(left_ns * 1e-9)


class VirtualClock:
    """A clock that advances only when a caller waits: simulated hours pass in seconds, and every run is identical."""

    def __init__(self, start_ns: int = 1_000_000_000) -> None:
        self._now_ns = start_ns
        self._lock = threading.Lock()

    def now_ns(self) -> int:
        """Virtual time in nanoseconds."""
        return self._now_ns

    def wait_until(self, t_ns: int) -> None:
        """Advance the clock to ``t_ns``."""
        with self._lock:
            self._now_ns = max(self._now_ns, t_ns)
