"""What is remembered of an archive comes back as it was; two processes that remember at once do not disturb each other."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.library import cache
from app.library.entry import Entry, EntryEnd, EntryKind
from app.library.library import Library
from app.library.notes import Notes
from tests.helpers.archives.library_archive import recording

TEXT = st.text(max_size=20)
NUMBER = st.integers(0, 2**53)
NOTES = st.builds(Notes, text=TEXT, tags=st.lists(TEXT, max_size=3).map(tuple), star=st.booleans())
SIGNATURE = st.lists(st.tuples(TEXT, NUMBER, NUMBER), min_size=1, max_size=3).map(tuple)


def entry(root: Path) -> st.SearchStrategy[Entry]:
    return st.builds(
        Entry,
        path=st.just(root / "a"),
        kind=st.sampled_from(EntryKind),
        name=TEXT,
        date=st.none()
        | st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(datetime.astimezone),
        end=st.sampled_from(EntryEnd),
        ended=TEXT,
        seconds=st.none() | st.floats(0, 1e9),
        frames=NUMBER,
        frames_without_phase=st.none() | NUMBER,
        pairs=NUMBER,
        size_bytes=NUMBER,
        instrument=TEXT,
        fibre=TEXT,
        simulated=st.none() | st.booleans(),
        model=TEXT,
        model_id=TEXT,
        notes=NOTES,
        problem=TEXT,
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.data())
def test_every_entry_comes_back_as_it_was(tmp_path: Path, data: st.DataObject) -> None:
    known = {"a": (data.draw(SIGNATURE), data.draw(entry(tmp_path)))}
    cache.save(tmp_path / "cache.json", tmp_path, known)
    assert cache.load(tmp_path / "cache.json", tmp_path) == known


def test_several_looks_at_once_give_the_same_list(tmp_path: Path) -> None:
    root, file = tmp_path / "archive", tmp_path / "cache.json"
    paths = {recording(root, name) for name in ("one", "two", "three")}
    libraries = [Library(root, file) for _ in range(4)]
    threads = [threading.Thread(target=library.scan) for library in libraries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all({entry.path for entry in library.entries} == paths for library in libraries)
    assert [path.name for path in tmp_path.iterdir()].count("cache.json") <= 1
    assert not list(tmp_path.glob(".*"))
