"""Several entries are copied or moved one after the other; each is there as a whole, or not at all."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from acquisition.archive.reader import Archive
from app.library.entry import LibraryError
from app.library.transfers import Transfer, TransferKind, TransferWork
from tests.helpers.archives.library_archive import recording


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    (tmp_path / "stick").mkdir()
    return tmp_path / "stick"


def work_of(root: Path, sources: list[Path], folder: Path, kind: TransferKind = TransferKind.COPY) -> TransferWork:
    return TransferWork(Transfer(kind=kind, root=root, sources=tuple(sources), folder=folder))


def test_all_are_copied_and_the_progress_ends_at_its_end(tmp_path: Path, stick: Path) -> None:
    root = tmp_path / "archive"
    work, steps = work_of(root, [recording(root, name) for name in ("one", "two")], stick), []
    work.run(lambda done, total: steps.append((done, total)), threading.Event())
    assert [Archive.open(path).status["name"] for path in work.result.done] == ["one", "two"]
    assert all(path.parent == stick for path in work.result.done)
    assert not work.result.failed
    assert not work.result.stopped
    assert all(done <= total and total >= 1 for done, total in steps)


def test_what_is_moved_is_no_longer_in_its_archive(tmp_path: Path, stick: Path) -> None:
    root = tmp_path / "archive"
    source = recording(root, "one")
    work = work_of(root, [source], stick, TransferKind.MOVE)
    work.run(lambda done, total: None, threading.Event())
    assert work.result.done == (stick / source.name,)
    assert not source.exists()


def test_one_that_cannot_be_copied_stops_no_other_and_is_named(tmp_path: Path, stick: Path) -> None:
    root = tmp_path / "archive"
    taken, free = (recording(root, name) for name in ("taken", "free"))
    (stick / taken.name).mkdir()
    work = work_of(root, [taken, free], stick)
    with pytest.raises(LibraryError, match="exists already"):
        work.run(lambda done, total: None, threading.Event())
    assert work.result.done == (stick / free.name,)
    assert len(work.result.failed) == 1
    assert taken.name in work.result.failed[0]


def test_a_stopped_one_says_so_and_goes_on_later(tmp_path: Path, stick: Path) -> None:
    root = tmp_path / "archive"
    sources = [recording(root, name) for name in ("one", "two")]
    stop = threading.Event()
    work = work_of(root, sources, stick)
    work.run(lambda done, total: stop.set(), stop)
    assert work.result.stopped
    assert work.result.done == ()
    again = work_of(root, sources, stick)
    again.run(lambda done, total: None, threading.Event())
    assert len(again.result.done) == 2
