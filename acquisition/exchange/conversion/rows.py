"""The facts of each imported pair: its name and id, its time, and whether it is a reference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.rows import PairRow
from acquisition.exchange.containers.array_file import INTEGERS, NUMBERS, TEXTS, json_mapping
from drivers.base import Pattern

#: The name of the flat pattern, whose frames are the reference: that of :func:`acquisition.patterns.sources.blank`.
REFERENCE = "blank"
_NO_TIME_NS = 0
#: Names that a note shows.
_SHOWN = 5


class RowError(ValueError):
    """What is stated about the pairs contradicts the file."""


@dataclass(frozen=True, kw_only=True)
class StatedRows:
    """What is stated about the facts of each pair.

    Parameters
    ----------
    period_s : float, optional
        Time from frame to frame, for files without times.
    reference_name : str
        Name that the file gives to reference pairs; empty if it uses ours, or has no names.
    ours : bool
        Whether SpeckleScope wrote the file: then no name of a pattern is changed.
    recording : bool
        Whether it is a recording, whose phase is reconstructed and not shown.
    """

    period_s: float | None = None
    reference_name: str = ""
    ours: bool = False
    recording: bool = False


class RowFacts:
    """Makes the row of each pair from the columns of a file, and from the pair's phase.

    Parameters
    ----------
    columns : mapping of str to ndarray, shape (N,)
        Facts of the file; none for a folder.
    stated : StatedRows
        What is known about them.

    Raises
    ------
    RowError
        A period is stated, but the file has times.
    """

    def __init__(self, columns: Mapping[str, NDArray[Any]], stated: StatedRows) -> None:
        self._columns, self._stated = columns, stated
        times = columns.get("t_ns")
        self._timed = times is not None and bool(np.any(times != _NO_TIME_NS))
        if stated.period_s is not None and self._timed:
            raise RowError("it states a time for every frame: leave --period-s out")
        self._names = [str(name) for name in columns["pattern_name"]] if "pattern_name" in columns else []
        self._named = any(self._names)
        self._references: set[int] = set()
        self._names_seen: set[str] = set()
        self._flat_but_named: dict[int, str] = {}

    def row(self, index: int, phase: NDArray[np.float32], **file_facts: Any) -> PairRow:
        """Return the row of one pair.

        Parameters
        ----------
        index : int
            Number of the pair.
        phase : ndarray of float32, shape (h, w)
            In radians.
        file_facts : dict
            Facts that are no columns, such as ``extra``, or ``pattern_name`` for a phase that is not flat.
        """
        facts: dict[str, Any] = {"frame_index": index, "t_ns": self._time_ns(index), "exposure_s": 0.0}
        facts |= {name: int(self._columns[name][index]) for name in INTEGERS if name in self._columns and self._keeps(name)}
        facts |= {name: float(self._columns[name][index]) for name in NUMBERS if name in self._columns}
        facts |= {name: str(self._columns[name][index]) for name in TEXTS if name in self._columns}
        if math.isnan(facts.get("latency_s", 0.0)):
            del facts["latency_s"]
        if "extra_json" in self._columns:
            facts["extra"] = json_mapping(self._columns["extra_json"][index])
        facts |= file_facts
        if np.isfinite(phase).all() and not self._stated.recording:
            facts["pattern_name"] = self._name(index, facts.get("pattern_name", ""), flat=float(np.ptp(phase)) == 0)
            facts["pattern_id"] = facts.get("pattern_id") or Pattern(phase).id  # datasets are split into parts by it
        if facts.get("pattern_name") == REFERENCE:
            self._references.add(index)
        return PairRow(**facts)

    def _keeps(self, name: str) -> bool:
        return name != "t_ns" or self._stated.period_s is None

    def _time_ns(self, index: int) -> int:
        return round(index * (self._stated.period_s or 0.0) * 1e9)

    def _name(self, index: int, name: str, *, flat: bool) -> str:
        self._names_seen |= {name} - {""}
        if name and name == self._stated.reference_name:
            return REFERENCE
        if not flat or (self._stated.ours and self._named):
            return name
        if not self._named or not name:
            return REFERENCE
        if name != REFERENCE:
            self._flat_but_named[index] = name
        return name

    def notes(self) -> list[str]:
        """Return what the operator should know."""
        stated = self._stated.reference_name
        if stated and stated not in self._names_seen:
            some = ", ".join(repr(name) for name in sorted(self._names_seen)[:_SHOWN])
            return [f"no pair has the name {stated!r} that --reference-name states; there are {some or 'no names'}"]
        if not self._flat_but_named:
            return []
        index, name = next(iter(self._flat_but_named.items()))
        return [
            f"{len(self._flat_but_named)} pairs have a flat phase, but the file names them otherwise, the first is pair "
            f"{index}, {name!r}: if these are the references, give --reference-name {name!r}"
        ]

    def facts(self) -> Mapping[str, object]:
        """Return the references and the times, for a report."""
        how = "named by the file" if self._named else "by their flat phase"
        times = "of the file" if self._timed else "none (--period-s states a period)"
        if self._stated.period_s is not None:
            times = f"every {self._stated.period_s:g} s (stated)"
        return {"references": f"{len(self._references)} ({how})", "times": times}
