"""Nothing is deleted outright: it lies in the trash with its former place, comes back, and only emptying deletes."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from acquisition.archive.reader import Archive
from acquisition.archive.rows import StorageError
from app.library import trash as trash_module
from app.library.entry import LibraryError
from app.library.in_use import kept_in_place
from app.library.library import Library
from app.library.notes import change_notes, read_notes
from app.library.trash import TRASH, empty_trash, move_to_trash, restore, trashed_entries
from tests.helpers.archives.library_archive import end, recording, snapshot, writing_process


def listed(root: Path) -> list[Path]:
    return sorted(entry.path for entry in Library(root, root.parent / "cache.json").scan())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def test_what_is_in_the_trash_is_not_listed_and_comes_back_whole(root: Path) -> None:
    path, other = recording(root / "2026", "cells"), snapshot(root)
    change_notes(path, text="keep")
    moved = move_to_trash(root, path)
    assert listed(root) == [other]
    [known] = trashed_entries(root)
    assert known == moved
    assert (known.former, known.path.name) == (path, path.name)
    assert known.size_bytes > 1000
    assert restore(known) == path
    assert (listed(root), trashed_entries(root)) == (sorted([path, other]), ())
    assert read_notes(path).text == "keep"
    assert Archive.open(path).verify().ok
    assert list((root / TRASH).iterdir()) == []


def test_the_newest_comes_first_and_each_knows_its_place(root: Path) -> None:
    paths = [recording(root, name) for name in ("one", "two")]
    for path in paths:
        move_to_trash(root, path)
    assert {known.former for known in trashed_entries(root)} == set(paths)


def test_a_place_that_is_taken_is_not_overwritten(root: Path) -> None:
    path = recording(root)
    moved = move_to_trash(root, path)
    path.mkdir()
    with pytest.raises(LibraryError, match="exists; rename that one first"):
        restore(moved)
    assert trashed_entries(root) == (moved,)
    path.rmdir()
    assert restore(moved) == path


def test_emptying_deletes_and_says_how_much(root: Path) -> None:
    paths, steps = [recording(root, name) for name in ("one", "two")], []
    size = sum(move_to_trash(root, path).size_bytes for path in paths)
    assert empty_trash(root, lambda done, total: steps.append((done, total))) == size
    assert steps == [(1, 2), (2, 2)]
    assert list((root / TRASH).iterdir()) == []
    assert empty_trash(root) == 0


def test_emptying_can_be_stopped_between_two(root: Path) -> None:
    for name in ("one", "two"):
        move_to_trash(root, recording(root, name))
    stop = threading.Event()
    empty_trash(root, lambda done, total: stop.set(), stop)
    [left] = trashed_entries(root)
    assert Archive.open(left.path).verify().ok


def test_what_is_written_or_read_stays(root: Path) -> None:
    process, path = writing_process(root)
    try:
        with pytest.raises(StorageError, match="is being written by process"):
            move_to_trash(root, path)
    finally:
        end(process)
    with kept_in_place(path), pytest.raises(StorageError, match="is in use"):
        move_to_trash(root, path)
    assert (listed(root), trashed_entries(root)) == ([path], ())
    moved = move_to_trash(root, path)
    with kept_in_place(moved.path):
        with pytest.raises(StorageError, match="is in use"):
            empty_trash(root)
        with pytest.raises(StorageError, match="is in use"):
            restore(moved)
    assert restore(moved) == path


def test_a_deletion_that_is_killed_leaves_nothing_that_could_be_restored(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    move_to_trash(root, recording(root))

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(trash_module.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            empty_trash(root)
    assert trashed_entries(root) == ()
    assert len(list((root / TRASH).iterdir())) == 1
    empty_trash(root)
    assert list((root / TRASH).iterdir()) == []


def test_a_move_that_is_killed_leaves_the_entry_in_one_of_both_places(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = recording(root)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(trash_module, "_sync", killed)
        with pytest.raises(KeyboardInterrupt):
            move_to_trash(root, path)
    [moved] = trashed_entries(root)
    assert restore(moved) == path


@pytest.mark.parametrize("card", ["former: ../../etc\n", "former: /etc\n", "[", "", None])
def test_a_card_that_is_damaged_or_leads_elsewhere_is_not_believed(root: Path, card: str | None) -> None:
    path = recording(root)
    moved = move_to_trash(root, path)
    file = moved.path.parent / "trashed.yaml"
    file.unlink()
    if card is not None:
        file.write_text(card)
    [known] = trashed_entries(root)
    assert known.former == path
    assert restore(known) == path


def test_what_was_restored_by_another_window_is_refused(root: Path) -> None:
    path = recording(root)
    moved = move_to_trash(root, path)
    restore(moved)
    with pytest.raises(LibraryError, match="exists"):
        restore(moved)
    path.rename(root / "elsewhere")
    with pytest.raises(StorageError, match="check whether it is still there"):
        restore(moved)


def test_a_folder_outside_of_the_archive_is_refused(root: Path, tmp_path: Path) -> None:
    path = recording(tmp_path / "other")
    root.mkdir()
    for outside in (path, root):
        with pytest.raises(LibraryError, match="is not in the archive"):
            move_to_trash(root, outside)
    assert path.exists()


def test_without_a_trash_there_is_nothing(root: Path) -> None:
    assert trashed_entries(root) == ()
