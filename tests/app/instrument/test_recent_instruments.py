"""The list of recent instruments: the newest first, each once; what cannot be read is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.instrument.recent_instruments import (
    InstrumentSort,
    RecentInstrument,
    as_text,
    from_text,
    with_newest,
    without,
)


def _instrument(name: str, sort: InstrumentSort = InstrumentSort.REAL) -> RecentInstrument:
    return RecentInstrument(path=Path(f"/benches/{name}.yaml"), name=name, sort=sort, used_utc="2026-11-30T02:05:00")


def test_the_newest_comes_first_and_only_once() -> None:
    recent = with_newest((), _instrument("a"))
    recent = with_newest(recent, _instrument("b", InstrumentSort.SIMULATED))
    recent = with_newest(recent, _instrument("a"))
    assert [one.name for one in recent] == ["a", "b"]
    assert [one.name for one in without(recent, recent[0].path)] == ["b"]


def test_the_list_has_an_end() -> None:
    recent: tuple[RecentInstrument, ...] = ()
    for number in range(30):
        recent = with_newest(recent, _instrument(str(number)))
    assert len(recent) == 20
    assert recent[0].name == "29"


def test_what_is_stored_is_read_again() -> None:
    recent = (_instrument("a"), _instrument("b", InstrumentSort.RECORDING))
    assert from_text(as_text(recent)) == recent


@pytest.mark.parametrize(
    "text", ["", "no JSON", "{}", "[1]", '[{"path": "x"}]', '[{"path": 1, "sort": "real"}]', '[{"path": "", "sort": "real"}]']
)
def test_what_cannot_be_read_is_left_out(text: str) -> None:
    assert from_text(text) == ()


def test_a_damaged_entry_takes_no_other_with_it() -> None:
    good = _instrument("good")
    text = f'[{{"path": "x", "sort": "unknown"}}, {as_text([good])[1:-1]}]'
    assert from_text(text) == (good,)


def test_a_file_is_there_or_missing(tmp_path: Path) -> None:
    present = tmp_path / "here.yaml"
    present.touch()
    entry = RecentInstrument(path=present, name="here", sort=InstrumentSort.REAL, used_utc="")
    assert entry.is_there
    present.unlink()
    assert not entry.is_there
