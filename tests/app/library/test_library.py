"""An archive is listed as it is on the disk; what did not change is not read again, and a bad cache is as none."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from acquisition.archive.reader import JOURNAL
from app.library import library as library_module
from app.library.cache import cache_file
from app.library.entry import EntryEnd, EntryKind, LibraryError
from app.library.library import Library
from app.library.notes import change_notes
from tests.conftest import ROOT
from tests.helpers.archives.library_archive import cut_off, dataset, end, recording, snapshot, writing_process

OLD = ROOT / "tests/fixtures/version-0.1.0"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    (tmp_path / "archive").mkdir()
    return Library(tmp_path / "archive", tmp_path / "cache.json")


def age(root: Path) -> None:
    """Let everything be an hour old, so that it counts as settled."""
    for path in [root, *root.rglob("*")]:
        stat = path.stat()
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns - 3600 * 10**9))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the folders that are read."""
    read, names = library_module.read_entry, []

    def counted(folder: Path) -> object:
        names.append(folder.name)
        return read(folder)

    monkeypatch.setattr(library_module, "read_entry", counted)
    return names


def test_recordings_datasets_and_snapshots_are_listed_with_their_facts_newest_first(library: Library) -> None:
    paths = [recording(library.root, "cells in glue"), dataset(library.root / "2026", "pairs"), snapshot(library.root)]
    entries = {entry.path: entry for entry in library.scan()}
    assert set(entries) == set(paths)
    film, pairs, picture = (entries[path] for path in paths)
    assert (film.kind, film.name, film.frames, film.frames_without_phase) == (EntryKind.RECORDING, "cells in glue", 3, 1)
    assert (film.seconds, film.end, film.ended) == (2.0, EntryEnd.COMPLETE, "complete")
    assert (film.instrument, film.model, film.model_id, film.simulated) == ("bench 2", "bench-july", "0123456789ab", False)
    assert film.size_bytes == sum(file.stat().st_size for file in film.path.rglob("*") if file.is_file())
    assert (pairs.kind, pairs.pairs, pairs.frames) == (EntryKind.DATASET, 2, 0)
    assert (picture.kind, picture.name, picture.frames_without_phase) == (EntryKind.SNAPSHOT, "7", 1)
    assert not any(entry.is_unfinished or entry.problem for entry in entries.values())
    dates = [entry.date for entry in library.entries]
    assert dates == sorted(dates, reverse=True)


def test_what_did_not_change_is_not_read_again_also_by_the_next_window(library: Library, reads: list[str]) -> None:
    first, second = recording(library.root, "one"), recording(library.root, "two")
    age(library.root)
    known = library.scan()
    reads.clear()
    assert library.scan() == known
    other = Library(library.root, library.root.parent / "cache.json")
    assert other.load() == known
    assert other.scan() == known
    assert reads == []
    change_notes(second, star=True)
    assert [entry.notes.star for entry in sorted(other.scan(), key=lambda entry: entry.name)] == [False, True]
    shutil.rmtree(first)
    assert [entry.path for entry in other.scan()] == [second]
    assert set(reads) == {second.name}


def test_what_has_just_changed_is_read_again(library: Library, reads: list[str]) -> None:
    path = recording(library.root)
    library.scan()
    library.scan()
    assert reads == [path.name] * 2


@pytest.mark.parametrize("damage", ["cut short", "another version", "another archive", "no JSON", "a folder"])
def test_a_cache_that_cannot_be_used_is_as_none(library: Library, damage: str) -> None:
    recording(library.root)
    age(library.root)
    known = library.scan()
    file = library.root.parent / "cache.json"
    content = file.read_bytes()
    if damage == "a folder":
        file.unlink()
        file.mkdir()
    else:
        spoiled = {
            "cut short": content[:-9],
            "another version": b"0" + content[1:],
            "no JSON": b"\xff\x00",
            "another archive": content,
        }
        file.write_bytes(spoiled[damage])
    root = library.root
    if damage == "another archive":
        root = root.rename(root.with_name("moved"))
    other = Library(root, file)
    assert other.load() == ()
    assert [entry.name for entry in other.scan()] == [entry.name for entry in known]


def test_without_the_cache_folder_everything_works(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    path = recording(tmp_path / "archive")
    library = Library(tmp_path / "archive", tmp_path / "cache" / "inside" / "c.json")
    assert [entry.path for entry in library.scan()] == [path]


def test_each_archive_has_its_own_cache_outside_of_it(tmp_path: Path) -> None:
    assert cache_file(tmp_path / "a") != cache_file(tmp_path / "b")
    assert not cache_file(tmp_path).is_relative_to(tmp_path)


def test_a_damaged_recording_is_listed_with_its_problem(library: Library) -> None:
    path = recording(library.root, "hurt")
    (path / JOURNAL).write_bytes(b"no journal")
    [entry] = library.scan()
    assert (entry.kind, entry.name, entry.end) == (EntryKind.UNREADABLE, "hurt", EntryEnd.UNKNOWN)
    assert "not a journal" in entry.problem


def test_recordings_of_version_0_1_0_are_listed(library: Library) -> None:
    shutil.copytree(OLD / "take", library.root / "take")
    shutil.copytree(OLD / "dataset", library.root / "dataset")
    kinds = {entry.path.name: (entry.kind, entry.simulated) for entry in library.scan()}
    assert kinds == {"take": (EntryKind.RECORDING, True), "dataset": (EntryKind.DATASET, True)}


def test_a_recording_that_runs_and_then_loses_its_program_changes_without_a_change_of_its_files(library: Library) -> None:
    process, path = writing_process(library.root)
    try:
        age(library.root)
        [running] = library.scan()
        assert (running.path, running.end, running.frames) == (path, EntryEnd.WRITING, 4)
    finally:
        end(process)
    [lost] = library.scan()
    assert (lost.end, lost.is_unfinished) == (EntryEnd.CUT_OFF, True)


def test_a_dataset_that_was_stopped_is_unfinished_and_a_stopped_process_is_seen(library: Library) -> None:
    dataset(library.root, complete=False)
    cut_off(library.root)
    assert {(entry.end, entry.is_unfinished) for entry in library.scan()} == {
        (EntryEnd.STOPPED, True),
        (EntryEnd.CUT_OFF, True),
    }


def test_a_look_that_is_stopped_keeps_what_was_known(library: Library) -> None:
    paths = {recording(library.root, name) for name in ("one", "two")}
    age(library.root)
    library.scan()
    stop = threading.Event()
    assert {entry.path for entry in library.scan(lambda done, total: stop.set(), stop)} == paths
    fresh = Library(library.root, library.root.parent / "other.json")
    stop.clear()
    assert len(fresh.scan(lambda done, total: stop.set(), stop)) == 1


def test_an_archive_that_was_pulled_out_is_refused_and_its_list_stays(library: Library) -> None:
    recording(library.root)
    known = library.scan()
    library.root.rename(library.root.with_name("gone"))
    with pytest.raises(LibraryError, match="cannot be read: No such file or directory; check its disk"):
        library.scan()
    assert library.entries == known


def test_hidden_folders_and_folders_of_other_things_are_no_entries(library: Library) -> None:
    path = recording(library.root)
    shutil.copytree(path, library.root / ".hidden" / path.name)
    (library.root / "empty").mkdir()
    (path / "export").mkdir()
    assert [entry.path for entry in library.scan()] == [path]


def test_single_folders_are_looked_at_again(library: Library) -> None:
    path, other = recording(library.root, "one"), recording(library.root, "two")
    library.scan()
    change_notes(path, tags=["liver"])
    assert {entry.path: entry.notes.tags for entry in library.refresh(path)} == {path: ("liver",), other: ()}
    shutil.rmtree(other)
    assert [entry.path for entry in library.refresh(other)] == [path]
