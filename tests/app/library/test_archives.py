"""Several archives are watched at once; one that is pulled out says so, and comes back by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.library import archives as module
from app.library.archives import Archives, ArchiveState
from app.library.entry import LibraryError
from app.library.notes import change_notes
from tests.helpers.archives.library_archive import recording, snapshot
from tests.helpers.small_instrument import until


@pytest.fixture
def archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archives]:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.05)
    watched = Archives(tmp_path / "cache")
    yield watched
    watched.stop()
    assert watched.join(10)


def names(archives: Archives, query: str = "") -> list[str]:
    return [entry.name for entry in archives.search(query)]


def test_entries_of_all_archives_are_listed_together_newest_first(archives: Archives, tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    recording(first, "one")
    snapshot(second)
    recording(second, "two")
    archives.use([first, second])
    archives.start()
    until(lambda: all(status.state is ArchiveState.READY for status in archives.statuses()))
    entries = archives.entries
    assert {entry.name for entry in entries} == {"one", "two", "7"}
    assert [entry.date for entry in entries] == sorted((entry.date for entry in entries), reverse=True)
    assert names(archives, "two") == ["two"]
    assert archives.root_of(entries[0].path) in (first, second)
    with pytest.raises(LibraryError, match="none of the archives"):
        archives.root_of(tmp_path)


def test_what_comes_and_goes_is_told_without_being_asked_for(archives: Archives, tmp_path: Path) -> None:
    recording(tmp_path / "a", "one")
    archives.use([tmp_path / "a"])
    archives.start()
    until(lambda: names(archives) == ["one"])
    seen = archives.changes
    recording(tmp_path / "a", "two")
    until(lambda: archives.changes > seen)
    until(lambda: sorted(names(archives)) == ["one", "two"])


def test_a_disk_that_is_pulled_out_says_so_and_comes_back(archives: Archives, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    recording(stick, "one")
    recording(tmp_path / "own", "two")
    archives.use([tmp_path / "own", stick])
    archives.start()
    until(lambda: sorted(names(archives)) == ["one", "two"])
    stick.rename(tmp_path / "pulled-out")
    until(lambda: archives.statuses()[1].state is ArchiveState.GONE)
    status = archives.statuses()[1]
    assert str(stick) in status.problem
    assert "check its disk" in status.problem
    assert status.entries == 1
    assert names(archives) == ["two"]
    (tmp_path / "pulled-out").rename(stick)
    until(lambda: sorted(names(archives)) == ["one", "two"])
    assert archives.statuses()[1].problem == ""


def test_an_archive_in_which_nothing_was_stored_yet_is_no_fault(archives: Archives, tmp_path: Path) -> None:
    archives.use([tmp_path / "new"])
    archives.start()
    until(lambda: archives.statuses()[0].state is ArchiveState.ABSENT)
    recording(tmp_path / "new", "first")
    until(lambda: names(archives) == ["first"])


def test_single_entries_are_looked_at_again_at_once(
    archives: Archives, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 60)
    path = recording(tmp_path / "a", "one")
    archives.use([tmp_path / "a"])
    archives.start()
    until(lambda: archives.statuses()[0].state is ArchiveState.READY)
    change_notes(path, star=True)
    archives.look(path)
    until(lambda: archives.entries[0].notes.star)


def test_the_list_of_the_last_look_is_there_at_once(archives: Archives, tmp_path: Path) -> None:
    recording(tmp_path / "a", "one")
    archives.use([tmp_path / "a"])
    archives.start()
    until(lambda: archives.statuses()[0].state is ArchiveState.READY)
    archives.stop()
    assert archives.join(10)
    again = Archives(tmp_path / "cache")
    again.use([tmp_path / "a"])
    again.start()
    until(lambda: names(again) == ["one"])
    again.stop()
    assert again.join(10)


def test_an_archive_inside_another_one_and_one_named_twice_are_listed_once(archives: Archives, tmp_path: Path) -> None:
    recording(tmp_path / "a" / "inner", "one")
    archives.use([tmp_path / "a", tmp_path / "a" / "inner", tmp_path / "a"])
    assert archives.roots == (tmp_path / "a",)
    archives.start()
    until(lambda: names(archives) == ["one"])


def test_an_archive_that_is_stopped_and_started_goes_on(archives: Archives, tmp_path: Path) -> None:
    recording(tmp_path / "a", "one")
    archives.use([tmp_path / "a"])
    for _ in range(5):
        archives.start()
        archives.stop()
    archives.start()
    until(lambda: names(archives) == ["one"])
    recording(tmp_path / "a", "two")
    until(lambda: len(names(archives)) == 2)


def test_an_archive_that_is_removed_from_the_list_is_not_listed(archives: Archives, tmp_path: Path) -> None:
    for name in ("a", "b"):
        recording(tmp_path / name, name)
    archives.use([tmp_path / "a", tmp_path / "b"])
    archives.start()
    until(lambda: len(names(archives)) == 2)
    seen = archives.changes
    archives.use([tmp_path / "a"])
    assert archives.changes > seen
    assert names(archives) == ["a"]
