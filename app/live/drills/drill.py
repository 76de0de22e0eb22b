"""One drill: a fault begins, lasts, and is undone, whatever happens meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from app.live.drills.kinds import DrillKind

_STEP_S = 0.1


class Fault(Protocol):
    """What a drill does to the simulated instrument; both methods are called in the thread of the drill."""

    def begin(self) -> None:
        """Begin the fault."""

    def end(self) -> None:
        """Undo everything that the fault has changed; also called when it has not begun."""


class Drill:
    """A fault that ends by itself.

    Parameters
    ----------
    kind : DrillKind
        Which drill.
    fault : Fault
        What is done.
    """

    def __init__(self, kind: DrillKind, fault: Fault) -> None:
        self.kind = kind
        self._fault = fault

    def run(self, progress: Callable[[int, int], None], stop: threading.Event) -> None:
        """Let the fault begin, wait until its time is over or ``stop`` is set, and undo it; the work of a job.

        Parameters
        ----------
        progress : callable
            Called with the seconds that are over, and those that there are.
        stop : threading.Event
            Ends the drill early.
        """
        lasts_s = self.kind.value.lasts_s
        begun_s = time.monotonic()
        try:
            self._fault.begin()
            while (over_s := time.monotonic() - begun_s) < lasts_s:
                progress(int(over_s), round(lasts_s))
                if stop.wait(_STEP_S):
                    return
            progress(round(lasts_s), round(lasts_s))
        finally:
            self._fault.end()
