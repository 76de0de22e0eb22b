"""What a loop-back measurement has found, as numbers, words and CSV."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from acquisition.streams.times import TimeHistogram, TimeStats
from app.measuring.csv_text import csv_text

#: Flashes of a measurement, where nothing else is said, and at most.
DEFAULT_FLASHES, MAX_FLASHES = 50, 1000


class LoopBackState(StrEnum):
    """What a loop-back measurement is doing.

    ::

        IDLE --> LEARNING --> FLASHING --> FINISHED
                    |             |
                    +-------------+--> STOPPED   the operator, or the live view has ended
                    +-------------+--> REFUSED   the flash cannot be told from the still pattern

    A new measurement begins again with LEARNING.
    """

    IDLE = "idle"
    #: Still pattern and flash are shown for a while, to learn what they look like.
    LEARNING = "learning"
    FLASHING = "flashing"
    FINISHED = "finished"
    STOPPED = "stopped"
    REFUSED = "refused"

    @property
    def active(self) -> bool:
        """Whether it uses the SLM."""
        return self in (LoopBackState.LEARNING, LoopBackState.FLASHING)


class Moment(StrEnum):
    """What is timed, from the command to the SLM on."""

    #: The end of the first exposure that shows the flash.
    EXPOSURE = "end of exposure"
    #: The computer has this frame.
    FRAME = "frame"
    #: The first reconstruction that shows the flash is there.
    RECONSTRUCTION = "reconstruction"
    #: Such a reconstruction is painted; only with a window that shows the phase.
    PAINT = "paint"


@dataclass(frozen=True, kw_only=True)
class Flash:
    """One flash.

    Parameters
    ----------
    commanded_ns : int
        When the SLM was commanded, on the computer's monotonic clock.
    frame_index : int or None
        The first frame whose speckle shows it; None where none does.
    after_s : mapping of Moment to float
        Seconds from the command to the moments that were seen.
    """

    commanded_ns: int
    frame_index: int | None
    after_s: Mapping[Moment, float]

    @property
    def timed(self) -> bool:
        """Whether both the speckle and the reconstruction show it."""
        return Moment.FRAME in self.after_s and Moment.RECONSTRUCTION in self.after_s


@dataclass(frozen=True, kw_only=True)
class LoopBackStatus:
    """What a loop-back measurement has found so far.

    Parameters
    ----------
    state : LoopBackState
        What it is doing.
    requested : int
        How many flashes were asked for.
    flashes : tuple of Flash
        The flashes so far, also those that were not found.
    problem : str
        Why it was refused.
    """

    state: LoopBackState = LoopBackState.IDLE
    requested: int = 0
    flashes: tuple[Flash, ...] = ()
    problem: str = ""

    @property
    def timed(self) -> int:
        """How many flashes were found."""
        return sum(flash.timed for flash in self.flashes)

    @property
    def missed(self) -> int:
        """How many flashes were not found; they have no times."""
        return len(self.flashes) - self.timed

    @property
    def painted(self) -> bool:
        """Whether the paint of a flash was seen."""
        return any(Moment.PAINT in flash.after_s for flash in self.flashes)

    def with_flash(self, flash: Flash) -> LoopBackStatus:
        """Return the same with one more flash."""
        return replace(self, flashes=(*self.flashes, flash))

    def times(self) -> dict[Moment, TimeStats]:
        """Return the percentiles of every moment, over the flashes that were found."""
        return {moment: self._stats(moment) for moment in Moment}

    def _stats(self, moment: Moment) -> TimeStats:
        histogram = TimeHistogram(MAX_FLASHES)
        for flash in self.flashes:
            if flash.timed and moment in flash.after_s:
                histogram.add(flash.after_s[moment])
        return histogram.stats()

    @property
    def last_moment(self) -> Moment:
        """The last moment that is known: the paint, or without a window the reconstruction."""
        return Moment.PAINT if self.painted else Moment.RECONSTRUCTION

    @property
    def label(self) -> str:
        """What is measured, and what it includes."""
        if self.last_moment is Moment.PAINT:
            name, parts = "SLM to screen", ", engine and paint, but not the monitor"
        else:
            name, parts = "SLM to reconstruction", " and engine, but neither paint nor monitor"
        flashes = f"measured by {self.timed} flashes, {self.missed} not found"
        return f"{name}, {flashes}; includes the SLM's refresh and settling, exposure, camera{parts}; software time stamps"

    @property
    def text(self) -> str:
        """The result in one sentence: ``SLM to screen: p50 61 ms, p95 ..., p99 ...; measured by ...``."""
        if self.state is LoopBackState.REFUSED:
            return f"loop-back is not measured: {self.problem}"
        if not self.timed:
            return f"loop-back: none of {len(self.flashes)} flashes was found"
        stats = self.times()[self.last_moment]
        name, rest = self.label.split(", ", 1)
        return f"{name}: p50 {_ms(stats.p50_s)}, p95 {_ms(stats.p95_s)}, p99 {_ms(stats.p99_s)}; {rest}"

    def to_dict(self) -> dict[str, object]:
        """Return plain types, for JSON."""
        times = {moment.name.lower(): stats.to_dict() for moment, stats in self.times().items()}
        counts = {"flashes": len(self.flashes), "timed": self.timed, "missed": self.missed}
        return {**counts, "after_command": times, "label": self.label}


def loop_back_csv(status: LoopBackStatus) -> str:
    """Return one row for each flash as CSV text: milliseconds from the command; cells of what was not found are empty."""
    names = ["flash", "found", "frame", *(f"{moment.name.lower()}_ms" for moment in Moment)]
    rows = [
        [number, "yes" if flash.timed else "no", flash.frame_index, *(_cell(flash, moment) for moment in Moment)]
        for number, flash in enumerate(status.flashes, start=1)
    ]
    return csv_text(names, rows, [status.label, "times in milliseconds from the command to the SLM"])


def _cell(flash: Flash, moment: Moment) -> float:
    return round(flash.after_s.get(moment, math.nan) * 1e3, 3)


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"
