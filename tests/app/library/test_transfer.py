"""A copy on another disk is verified, continues after any interruption, and never looks like an entry before it is whole."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from acquisition.archive import folder as folder_module
from acquisition.archive.reader import Archive
from acquisition.archive.rows import StorageError
from app.library import transfer
from app.library.entry import LibraryError
from app.library.in_use import sole_user
from app.library.library import Library
from app.library.notes import change_notes, read_notes
from app.library.transfer import UnfinishedCopy, copy_entry, discard_copy, move_entry, unfinished_copies
from app.library.trash import restore, trashed_entries
from drivers.base import SpeckleScopeError
from tests.conftest import ROOT
from tests.helpers.archives.library_archive import cut_off, end, recording, snapshot, writing_process
from tests.helpers.small_disk import small_disk


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = recording(tmp_path / "archive")
    change_notes(path, text="the good one")
    (path / "export").mkdir()
    (path / "export" / "empty.csv").touch()
    (path / "export" / "film.mkv").write_bytes(os.urandom(9_000_000))
    return path


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    (tmp_path / "stick").mkdir()
    return tmp_path / "stick"


@pytest.fixture
def another_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a move copy, as between two disks."""

    def cannot(source: Path, folder: Path) -> None:
        raise AssertionError("renamed")

    monkeypatch.setattr(transfer, "_renamed", cannot)
    monkeypatch.setattr(transfer, "_is_same_disk", lambda source, folder: False)


def files(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name != "writer.lock"
    }


def listed(folder: Path) -> list[Path]:
    return [entry.path for entry in Library(folder, folder.parent / "cache.json").scan()]


def test_a_copy_has_every_byte_and_is_an_entry_of_its_own(source: Path, stick: Path) -> None:
    steps: list[tuple[int, int]] = []
    copy = copy_entry(source, stick, lambda done, total: steps.append((done, total)))
    assert copy == stick / source.name
    assert files(copy) == files(source)
    assert listed(stick) == [copy]
    assert list(stick.iterdir()) == [copy]
    assert Archive.open(copy).verify().ok
    assert read_notes(copy).text == "the good one"
    assert (copy / "journal.sqlite").stat().st_mtime_ns == (source / "journal.sqlite").stat().st_mtime_ns
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1] == 2 * sum(map(len, files(source).values()))


def test_snapshots_and_what_a_crash_left_are_copied_too(tmp_path: Path, stick: Path) -> None:
    picture, lost = snapshot(tmp_path / "archive"), cut_off(tmp_path / "archive")
    for source in (picture, lost):
        copy = copy_entry(source, stick)
        assert copy is not None
        assert {**files(copy), "journal.sqlite-shm": b""} == {**files(source), "journal.sqlite-shm": b""}
    assert len(Archive.open(stick / lost.name)) == 4


def test_a_move_on_the_same_disk_is_a_rename(source: Path, stick: Path) -> None:
    before = files(source)
    assert move_entry(source.parent, source, stick) == stick / source.name
    assert (files(stick / source.name), source.exists(), trashed_entries(source.parent)) == (before, False, ())


@pytest.mark.usefixtures("another_disk")
def test_a_move_to_another_disk_puts_the_source_into_the_trash_after_the_copy(source: Path, stick: Path) -> None:
    before = files(source)
    assert move_entry(source.parent, source, stick) == stick / source.name
    assert (files(stick / source.name), listed(stick)) == (before, [stick / source.name])
    [moved] = trashed_entries(source.parent)
    assert files(restore(moved)) == before


@pytest.mark.usefixtures("another_disk")
def test_a_move_that_does_not_read_back_keeps_the_source(source: Path, stick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = transfer._copy_file  # noqa: SLF001

    def damaged(*arguments: object) -> str:
        sha256 = write(*arguments)  # type: ignore[arg-type]
        if arguments[2] == "export/film.mkv":
            file = stick / f".{source.name}.copying" / "export" / "film.mkv"
            file.write_bytes(b"x" + file.read_bytes()[1:])
        return sha256

    monkeypatch.setattr(transfer, "_copy_file", damaged)
    with pytest.raises(LibraryError, match=r"film\.mkv does not read back as it was written; check that disk"):
        move_entry(source.parent, source, stick)
    assert (source.exists(), trashed_entries(source.parent), listed(stick)) == (True, (), [])
    monkeypatch.undo()
    copy = copy_entry(source, stick)
    assert copy is not None
    assert files(copy) == files(source)


_CHILD = """
import sys
from pathlib import Path
from app.library import transfer
transfer._is_same_disk = lambda source, folder: False
transfer._CHUNK_BYTES = 2**21
root, source, folder = map(Path, sys.argv[1:4])
def said(done, total):
    print(done, total, flush=True)
    sys.stdin.readline()
name = transfer._name
def named(part, target):
    name(part, target)
    said("named", 0)
transfer._name = named
transfer.move_entry(root, source, folder, said)
print("moved", flush=True)
"""


def moved_until(source: Path, stick: Path, step: int) -> str:
    """Move in another process, and kill it with signal 9 at its step of this number; return what it did last."""
    command = [sys.executable, "-c", _CHILD, str(source.parent), str(source), str(stick)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    line = process.stdout.readline()
    for _ in range(step):
        if not line or line.startswith("moved"):
            break
        process.stdin.write("\n")
        process.stdin.flush()
        line = process.stdout.readline()
    end(process)
    return line.strip()


@pytest.mark.slow
@pytest.mark.usefixtures("another_disk")
def test_kill_9_at_any_point_leaves_one_whole_entry_and_the_move_goes_on(source: Path, stick: Path) -> None:
    before, root = files(source), source.parent
    points = set()
    for step in (0, 3, 7, 2, 14, 25, 60):
        last = moved_until(source, stick, step)
        points.add(last.split()[0])
        copy = stick / source.name
        assert listed(stick) in ([], [copy])
        if copy.exists():
            assert files(copy) == before
            break
        assert files(source) == before
        assert unfinished_copies(stick) in ((), (UnfinishedCopy(source=source, target=copy, is_move=True),))
    assert len(points) >= 4
    assert "named" in points or "moved" in points
    if source.exists():  # killed after the copy had its name, before the source went to the trash
        assert move_entry(root, source, stick) == stick / source.name
    assert (files(stick / source.name), source.exists()) == (before, False)
    assert [known.former for known in trashed_entries(root)] == [source]


@pytest.mark.usefixtures("another_disk")
def test_killed_between_the_name_of_the_copy_and_the_trash(source: Path, stick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(root: Path, path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(transfer, "move_to_trash", killed)
        with pytest.raises(KeyboardInterrupt):
            move_entry(source.parent, source, stick)
    assert (source.exists(), listed(stick)) == (True, [stick / source.name])
    whole = UnfinishedCopy(source=source, target=stick / source.name, is_move=True, is_verified=True)
    assert unfinished_copies(stick) == (whole,)
    assert move_entry(source.parent, source, stick) == stick / source.name
    assert unfinished_copies(stick) == ()
    assert (source.exists(), list(stick.iterdir())) == (False, [stick / source.name])


def stop_at(part: float) -> tuple[threading.Event, Callable[[int, int], None]]:
    stop = threading.Event()

    def progress(done: int, total: int) -> None:
        if done >= part * total:
            stop.set()

    return stop, progress


def test_a_stopped_copy_is_hidden_and_continues_without_copying_again(
    source: Path, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, progress = stop_at(0.75)  # every file is copied, and half of them read back
    assert copy_entry(source, stick, progress, stop) is None
    assert listed(stick) == []
    assert unfinished_copies(stick) == (UnfinishedCopy(source=source, target=stick / source.name),)
    monkeypatch.setattr(transfer, "_copy_file", None)
    copy = copy_entry(source, stick)
    assert copy is not None
    assert files(copy) == files(source)
    assert unfinished_copies(stick) == ()


@pytest.mark.usefixtures("another_disk")
def test_an_interrupted_move_says_that_it_is_one_until_a_copy_is_asked_for(source: Path, stick: Path) -> None:
    stop, progress = stop_at(0.4)
    assert move_entry(source.parent, source, stick, progress, stop) is None
    moved = UnfinishedCopy(source=source, target=stick / source.name, is_move=True)
    assert unfinished_copies(stick) == (moved,)
    stop, progress = stop_at(0.0)
    assert copy_entry(source, stick, progress, stop) is None
    assert unfinished_copies(stick) == (UnfinishedCopy(source=source, target=stick / source.name),)
    assert copy_entry(source, stick) is not None
    assert (source.exists(), trashed_entries(source.parent)) == (True, ())


def test_an_interrupted_copy_can_be_discarded(source: Path, stick: Path) -> None:
    stop, progress = stop_at(0.4)
    copy_entry(source, stick, progress, stop)
    [copy] = unfinished_copies(stick)
    discard_copy(copy)
    assert list(stick.iterdir()) == []
    assert source.exists()


def test_a_stick_that_is_pulled_out_ends_with_a_sentence_and_the_copy_goes_on_later(source: Path, stick: Path) -> None:
    def pulled(done: int, total: int) -> None:
        if done > 0.2 * total and stick.exists():
            stick.rename(stick.with_name("pulled out"))

    with pytest.raises(LibraryError, match=r"stopped: .*; check both disks, then copy again: it goes on where it stopped"):
        copy_entry(source, stick, pulled)
    assert not stick.exists()  # nothing was written in its place on another disk
    stick.with_name("pulled out").rename(stick)
    assert listed(stick) == []
    copy = copy_entry(source, stick)
    assert copy is not None
    assert files(copy) == files(source)


def test_a_disk_that_is_full_ends_with_a_sentence(source: Path, stick: Path) -> None:
    with small_disk(5_000_000), pytest.raises(LibraryError, match="stopped: File too large"):
        copy_entry(source, stick)
    assert listed(stick) == []
    assert copy_entry(source, stick) is not None


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(
    source: Path, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "free_bytes", lambda folder: 4_000_000)
    with pytest.raises(StorageError, match=r"has 0\.004 GB free, 0\.011 GB are needed"):
        copy_entry(source, stick)
    assert list(stick.iterdir()) == []


def test_what_changes_meanwhile_is_copied_again(source: Path, stick: Path) -> None:
    def noted(done: int, total: int) -> None:
        if done > 0.7 * total and not read_notes(source).star:
            change_notes(source, star=True)

    copy = copy_entry(source, stick, noted)
    assert copy is not None
    assert read_notes(copy).star
    assert files(copy) == files(source)


def test_what_never_stops_changing_is_refused(source: Path, stick: Path) -> None:
    with pytest.raises(LibraryError, match="changes while it is copied"):
        copy_entry(source, stick, lambda done, total: change_notes(source, text=str(done)) if done == total else None)
    assert listed(stick) == []


def test_a_place_that_is_taken_is_refused(source: Path, stick: Path) -> None:
    copy_entry(source, stick)
    with pytest.raises(LibraryError, match="exists already; rename one of the two"):
        copy_entry(source, stick)
    with pytest.raises(LibraryError, match="exists already; rename one of the two"):
        move_entry(source.parent, source, stick)


def test_a_copy_that_was_recorded_by_another_source_starts_anew(source: Path, stick: Path) -> None:
    stop, progress = stop_at(0.6)
    copy_entry(source, stick, progress, stop)
    other = source.rename(source.parent.parent / source.name)
    (other / "export" / "film.mkv").write_bytes(b"another film")
    copy = copy_entry(other, stick)
    assert copy is not None
    assert files(copy) == files(other)


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"source": 1, "files": {}}', b'{"source": "x", "files": {"a": [1]}}', b"\xff"]
)
def test_a_damaged_record_is_as_none(source: Path, stick: Path, content: bytes) -> None:
    stop, progress = stop_at(0.6)
    copy_entry(source, stick, progress, stop)
    (stick / f".{source.name}.copying.json").write_bytes(content)
    copy = copy_entry(source, stick)
    assert copy is not None
    assert files(copy) == files(source)


def test_what_is_being_written_moved_or_copied_is_refused(source: Path, stick: Path, tmp_path: Path) -> None:
    process, path = writing_process(tmp_path)
    try:
        with pytest.raises(LibraryError, match="is being written; copy it when that has ended"):
            copy_entry(path, stick)
    finally:
        end(process)
    with sole_user(source), pytest.raises(StorageError, match="is being moved or renamed"):
        copy_entry(source, stick)

    def second(done: int, total: int) -> None:
        with pytest.raises(StorageError, match="is being written by process"):
            copy_entry(source, stick)

    assert copy_entry(source, stick, second) is not None


def test_missing_ends_links_and_itself_are_refused(source: Path, stick: Path) -> None:
    with pytest.raises(LibraryError, match=r"the folder .* is not there"):
        copy_entry(source, stick / "missing")
    with pytest.raises(LibraryError, match=r"the entry .* is not there"):
        copy_entry(source / "missing", stick)
    with pytest.raises(LibraryError, match="into itself"):
        copy_entry(source, source / "export")
    (source / "export" / "link").symlink_to("/etc/passwd")
    with pytest.raises(SpeckleScopeError, match="is a link"):
        copy_entry(source, stick)
    assert listed(stick) == []
