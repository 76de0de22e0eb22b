"""What the operator wants to see of the list: words, kind, date, star; and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from app.library.entry import Entry, EntryEnd, EntryKind


class KindFilter(Enum):
    """Which kinds are shown; the value is how it is called in the window."""

    ALL = "All kinds"
    RECORDINGS = "Recordings"
    DATASETS = "Datasets"
    SNAPSHOTS = "Snapshots"
    UNFINISHED = "Unfinished"
    CUT_OFF = "Cut off"


class DateFilter(Enum):
    """Which dates are shown; the value is how it is called in the window."""

    ANY = "Any date"
    TODAY = "Today"
    WEEK = "Last 7 days"
    MONTH = "Last 30 days"
    YEAR = "Last 365 days"


_KINDS: Mapping[KindFilter, Callable[[Entry], bool]] = {
    KindFilter.ALL: lambda entry: True,
    KindFilter.RECORDINGS: lambda entry: entry.kind is EntryKind.RECORDING,
    KindFilter.DATASETS: lambda entry: entry.kind is EntryKind.DATASET,
    KindFilter.SNAPSHOTS: lambda entry: entry.kind is EntryKind.SNAPSHOT,
    KindFilter.UNFINISHED: lambda entry: entry.is_unfinished,
    KindFilter.CUT_OFF: lambda entry: entry.end is EntryEnd.CUT_OFF,
}
#: How many days before today are shown.
_DAYS: Mapping[DateFilter, int] = {DateFilter.TODAY: 0, DateFilter.WEEK: 7, DateFilter.MONTH: 30, DateFilter.YEAR: 365}


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What is shown of the list.

    Parameters
    ----------
    query : str
        Words that an entry has; see :mod:`app.library.search`.
    kind : KindFilter
        Which kinds.
    date : DateFilter
        Which dates.
    starred : bool
        Whether only those with a star.
    """

    query: str = ""
    kind: KindFilter = KindFilter.ALL
    date: DateFilter = DateFilter.ANY
    starred: bool = False

    def fitting(self, entries: Iterable[Entry], now: datetime | None = None) -> tuple[Entry, ...]:
        """Return the entries that fit everything except the words."""
        is_kind, first = _KINDS[self.kind], self._first(now or datetime.now().astimezone())
        return tuple(
            entry
            for entry in entries
            if is_kind(entry)
            and (entry.notes.star or not self.starred)
            and (first is None or (entry.date is not None and entry.date >= first))
        )

    def _first(self, now: datetime) -> datetime | None:
        days = _DAYS.get(self.date)
        return None if days is None else now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)
