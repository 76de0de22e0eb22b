"""Entries are found by plain words, in any order, as somebody types them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.library.entry import Entry, EntryEnd, EntryKind
from app.library.notes import Notes
from app.library.search import Search, SearchText, folded

ENTRY = Entry(
    path=Path("/archive/20260305-141500_recording_Leber-links_0a1b2c3d"),
    kind=EntryKind.RECORDING,
    name="Leber links, Müller",
    date=datetime(2026, 3, 5, 12, 15, tzinfo=UTC),
    end=EntryEnd.CUT_OFF,
    instrument="bench 2",
    fibre="twin 1 (c22e01f7)",
    simulated=True,
    model="bench-july",
    model_id="0123456789ab",
    notes=Notes(text="first try\nof the second fibre", tags=("bad light", "Paper"), star=True),
)
PLAIN = Entry(path=Path("/archive/other"), kind=EntryKind.DATASET, name="other", end=EntryEnd.COMPLETE)


def fits(query: str, entry: Entry = ENTRY) -> bool:
    return Search(query, date(2026, 3, 5)).fits(entry, SearchText.of(entry))


@pytest.mark.parametrize(
    "query",
    [
        "",
        "  ",
        "leber",
        "LINKS leber",
        "muller",
        "Müller",
        "mull",
        "second try",
        '"second fibre"',
        "#paper",
        "#bad",
        "bad light",
        "2026-03",
        "2026-03-05",
        "05.03.2026",
        "march",
        "thursday",
        "today",
        "bench-july",
        "0123456789ab",
        "recording",
        "starred",
        "star links",
        "simulated",
        "unfinished",
        '"cut off"',
        "c22e01f7",
        "leber -rechts",
        "-untagged",
        "-",
        '"leber',
    ],
)
def test_it_is_found(query: str) -> None:
    assert fits(query)


@pytest.mark.parametrize(
    "query",
    [
        "rechts",
        "leber rechts",
        "-leber",
        '"try of"x',
        "#light",
        "yesterday",
        "dataset",
        "-starred",
        "untagged",
        '"today"',
        "2025",
    ],
)
def test_it_is_not_found(query: str) -> None:
    assert not fits(query)


@pytest.mark.parametrize(("query", "matches"), [("untagged", True), ("starred", False), ("today", False), ("complete", True)])
def test_an_entry_without_facts_is_searched_too(query: str, matches: bool) -> None:  # noqa: FBT001
    assert fits(query, PLAIN) is matches


@given(st.text(), st.data())
def test_every_part_of_a_name_finds_it_and_no_text_fails(name: str, data: st.DataObject) -> None:
    entry = Entry(path=Path("p"), kind=EntryKind.SNAPSHOT, name=name, end=EntryEnd.COMPLETE)
    known = folded(name).replace('"', "")
    first = data.draw(st.integers(0, len(known)))
    part = known[first : data.draw(st.integers(first, len(known)))]
    if '"' not in name:
        assert fits(f'"{part}"', entry)
    fits(name, entry)
