"""Filters leave in the list what they say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.gui.data_page.filters import DateFilter, Filters, KindFilter
from app.library.entry import Entry, EntryEnd, EntryKind
from app.library.notes import Notes

NOW = datetime(2026, 6, 10, 9, 30, tzinfo=UTC)
ENTRY = Entry(path=Path("a"), kind=EntryKind.RECORDING, name="a", end=EntryEnd.COMPLETE, date=NOW)


def is_shown(entry: Entry, **filters: object) -> bool:
    return Filters(**filters).fitting([entry], NOW) == (entry,)


@pytest.mark.parametrize(
    ("kind", "entry", "shown"),
    [
        (KindFilter.ALL, replace(ENTRY, kind=EntryKind.UNREADABLE), True),
        (KindFilter.RECORDINGS, ENTRY, True),
        (KindFilter.RECORDINGS, replace(ENTRY, kind=EntryKind.SNAPSHOT), False),
        (KindFilter.DATASETS, replace(ENTRY, kind=EntryKind.DATASET), True),
        (KindFilter.SNAPSHOTS, replace(ENTRY, kind=EntryKind.SNAPSHOT), True),
        (KindFilter.UNFINISHED, ENTRY, False),
        (KindFilter.UNFINISHED, replace(ENTRY, kind=EntryKind.DATASET, end=EntryEnd.STOPPED), True),
        (KindFilter.CUT_OFF, replace(ENTRY, end=EntryEnd.CUT_OFF), True),
        (KindFilter.CUT_OFF, replace(ENTRY, end=EntryEnd.WRITING), False),
    ],
)
def test_kinds(*, kind: KindFilter, entry: Entry, shown: bool) -> None:
    assert is_shown(entry, kind=kind) is shown


@pytest.mark.parametrize(
    ("date", "age", "shown"),
    [
        (DateFilter.ANY, timedelta(days=9999), True),
        (DateFilter.TODAY, timedelta(hours=9), True),
        (DateFilter.TODAY, timedelta(hours=10), False),
        (DateFilter.WEEK, timedelta(days=7), True),
        (DateFilter.WEEK, timedelta(days=8), False),
        (DateFilter.MONTH, timedelta(days=30), True),
        (DateFilter.YEAR, timedelta(days=366), False),
    ],
)
def test_dates(*, date: DateFilter, age: timedelta, shown: bool) -> None:
    assert is_shown(replace(ENTRY, date=NOW - age), date=date) is shown


def test_stars_and_unknown_dates() -> None:
    assert not is_shown(ENTRY, starred=True)
    assert is_shown(replace(ENTRY, notes=Notes(star=True)), starred=True)
    assert not is_shown(replace(ENTRY, date=None), date=DateFilter.YEAR)
