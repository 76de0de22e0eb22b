"""The parts of the reliability benchmark, and how much work each may do."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

#: Flat numbers of one part. A list holds short texts that say what failed, for people.
Numbers = Mapping[str, int | float | list[str]]


class Part(StrEnum):
    """The parts; the module of each has the same name and a function ``measure(budget, report)``."""

    KILLS = "kills"
    DISKS = "disks"
    POWER = "power"
    FAULTS = "faults"
    FLIPS = "flips"
    TRUTH = "truth"
    FRAMES = "frames"
    FUZZ = "fuzz"
    HOSTILE = "hostile"
    SIGNALS = "signals"
    WRITERS = "writers"
    SESSIONS = "sessions"


#: Seconds that each part may take with ``--quick``; together well under three minutes.
QUICK_S: Mapping[Part, float] = {
    Part.KILLS: 18.0,
    Part.DISKS: 9.0,
    Part.POWER: 6.0,
    Part.FAULTS: 15.0,
    Part.FLIPS: 12.0,
    Part.TRUTH: 9.0,
    Part.FRAMES: 12.0,
    Part.FUZZ: 15.0,
    Part.HOSTILE: 12.0,
    Part.SIGNALS: 15.0,
    Part.WRITERS: 8.0,
    Part.SESSIONS: 10.0,
}


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much a part does.

    Parameters
    ----------
    quick : bool
        Whether the part stops when its time is up, with what it has counted by then.
    quick_s : float
        That time in seconds, from the making of this object.
    seed : int
        Of everything that the part draws by chance.
    """

    quick: bool = False
    quick_s: float = 10.0
    seed: int = 0
    _started_s: float = field(default_factory=time.monotonic)

    @property
    def left_s(self) -> float:
        """Seconds that a quick part still has; infinite otherwise."""
        return self._started_s + self.quick_s - time.monotonic() if self.quick else float("inf")

    def rounds(self, full: int) -> Iterator[int]:
        """Yield 0, 1, ... up to ``full`` rounds; a quick part ends earlier when its time is up, but never before the first."""
        for number in range(full):
            if number and self.left_s <= 0:
                return
            yield number
