"""The archive that a search is measured on is one of real recordings, and a search in it is fast."""

from __future__ import annotations

from pathlib import Path

from acquisition.archive.reader import Archive
from app.benchmarks.live.library_search import QUICK_ENTRIES, make_archive, measure_search
from app.library.library import Library


def test_the_recordings_are_real_and_differ(tmp_path: Path) -> None:
    make_archive(tmp_path / "archive", 30)
    entries = Library(tmp_path / "archive", tmp_path / "cache.json").scan()
    assert len({entry.name for entry in entries}) == 30
    assert {entry.kind.value for entry in entries} == {"recording", "dataset"}
    assert not any(entry.problem for entry in entries)
    assert any(entry.notes.star for entry in entries)
    assert Archive.open(entries[7].path).verify().ok


def test_the_numbers_are_measured(tmp_path: Path) -> None:
    numbers = measure_search(lambda stage, done, total, note="": None, tmp_path, quick=True)
    assert numbers["search_entries"] == QUICK_ENTRIES
    typical_ms, worst_ms = numbers["search_ms_p50"], numbers["search_ms_p99"]
    assert isinstance(typical_ms, float)
    assert isinstance(worst_ms, float)
    assert 0 < typical_ms <= worst_ms < 100
