"""A heartbeat of 10 ms: its longest pause says how long the window could not answer."""

from __future__ import annotations

import time

from PyQt6.QtCore import QObject, Qt, QTimer

PERIOD_S = 0.01


class Heartbeat(QObject):
    """Beats in the thread of the window."""

    def __init__(self) -> None:
        super().__init__()
        #: End and length of every pause that was longer than twice the period, in seconds of :func:`time.monotonic`.
        self.pauses: list[tuple[float, float]] = []
        self._last_s = time.monotonic()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._timer.start(round(PERIOD_S * 1e3))

    def _beat(self) -> None:
        now_s = time.monotonic()
        if now_s - self._last_s > 2 * PERIOD_S:
            self.pauses.append((now_s, now_s - self._last_s))
        self._last_s = now_s

    def clear(self) -> None:
        """Forget what was measured, for instance while the window opened."""
        self.pauses.clear()
        self._last_s = time.monotonic()
