"""A journal that was copied while it was written is read to one moment of the recording, or refused with what to do."""

from __future__ import annotations

import random
import shutil
import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.journal.reader import JournalSnapshot, read_journal
from acquisition.archive.journal.writer import Journal
from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import JOURNAL, Archive
from acquisition.archive.rows import ExtraValue, PairRow, StorageError, StoredRow
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec

COMMITS = 80
WAL = f"{JOURNAL}-wal"


def stored(index: int) -> StoredRow:
    extra: dict[str, ExtraValue] = {"device_ns": 1000 * index, "marks": "dark" * (index % 3)}
    return StoredRow(
        frame_index=index, t_ns=index, exposure_s=0.01, index=index, slot=index, shard=index, crc32={"speckle": 7}, extra=extra
    )


@dataclass(frozen=True)
class Moment:
    """What a copier could read after a commit: the two files, and what they say together."""

    journal: bytes
    log: bytes
    rows: int
    status: str


@cache
def moments() -> tuple[Moment, ...]:
    """Write a journal as a recording does, with checkpoints of each kind in between, and keep its files of every moment."""
    import tempfile

    draw = random.Random(4)
    kept = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / JOURNAL
        Journal.create(path, ["speckle"]).close()
        with Journal.open(path) as journal, closing(sqlite3.connect(path, isolation_level=None)) as other:
            for index in range(COMMITS):
                journal.commit([stored(index)])
                journal.set_status({"frames": str(index)})
                if index % 5 == 0:
                    journal.event("noted", f"row {index}")
                if draw.random() < 0.2:
                    other.execute(f"PRAGMA wal_checkpoint({draw.choice(['PASSIVE', 'RESTART', 'TRUNCATE'])})").fetchall()
                files = [file.read_bytes() if file.exists() else b"" for file in (path, path.with_name(WAL))]
                kept.append(Moment(files[0], files[1], index + 1, str(index)))
    return tuple(kept)


def copied(folder: Path, journal: bytes, log: bytes) -> Path:
    folder.mkdir()
    (folder / JOURNAL).write_bytes(journal)
    (folder / WAL).write_bytes(log)
    return folder / JOURNAL


def read_or_refused(path: Path) -> JournalSnapshot | None:
    """Return what a journal holds, if all of it is intact; None where it is refused with what to do."""
    try:
        content = read_journal(path)
        content.check_facts()
        assert content.rows is not None
    except StorageError as error:
        if "copy" not in str(error):
            raise
        return None
    return content


def test_files_of_any_two_moments_give_one_moment_or_say_what_to_do(tmp_path: Path) -> None:
    kept, draw = moments(), random.Random(1)
    outcomes = {"whole": 0, "earlier": 0, "refused": 0}
    for number in range(150):
        first, second = draw.randrange(COMMITS), draw.randrange(COMMITS)
        if number % 2:  # as a copier meets them: close to each other
            second = min(COMMITS - 1, first + draw.randrange(4))
        path = copied(tmp_path / str(number), kept[first].journal, kept[second].log)
        content = read_or_refused(path)
        if content is None:
            outcomes["refused"] += 1
            continue
        rows, status = content.rows, content.status
        assert rows == tuple(stored(index) for index in range(len(rows)))
        assert status.get("frames", "-1") in (str(len(rows) - 1), str(len(rows) - 2))
        assert len(content.events) in (-(-len(rows) // 5), -(-(len(rows) - 1) // 5))
        assert not content.mixed or "copy the folder again when nothing is written" in content.mixed
        outcomes["earlier" if content.mixed else "whole"] += 1
        if first == second:
            assert (len(rows), content.mixed) == (kept[first].rows, "")
    assert outcomes["whole"] > 20, outcomes
    assert outcomes["earlier"] > 5, outcomes


def test_a_checkpoint_between_the_two_files_of_a_copy_costs_only_the_last_rows(tmp_path: Path) -> None:
    kept = moments()
    mixed = 0
    for before, after in zip(kept, kept[4:], strict=False):
        if before.journal == after.journal:
            continue
        content = read_journal(copied(tmp_path / str(before.rows), before.journal, after.log))
        mixed += bool(content.mixed)
        if content.mixed:
            assert f"only the {len(content.rows)} rows of {JOURNAL} are read" in content.mixed
        else:
            assert len(content.rows) <= after.rows
    assert mixed


@pytest.fixture
def mixed_archive(tmp_path: Path) -> Path:
    """A recording that was copied while its journal was checkpointed."""
    spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name="x", arrays=[ArraySpec("speckle", (4, 4), "uint8")], metadata={})
    with ArchiveWriter.create(tmp_path / "original", spec, 61, shard_bytes=16) as writer:

        def add(count: int) -> None:
            for index in range(writer.next_index, writer.next_index + count):
                row = PairRow(frame_index=index, t_ns=index, exposure_s=0.01)
                writer.append({"speckle": np.full((4, 4), index, np.uint8)}, row)

        add(20)
        with closing(sqlite3.connect(writer.path / JOURNAL, isolation_level=None)) as other:
            other.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
            add(40)
            journal = (writer.path / JOURNAL).read_bytes()
            other.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
            add(1)
            copy = shutil.copytree(writer.path, tmp_path / writer.path.name)
    (copy / JOURNAL).write_bytes(journal)
    for name in ("writer.lock", f"{JOURNAL}-shm"):
        (copy / name).unlink(missing_ok=True)
    return copy


def test_such_a_copy_of_a_recording_is_read_named_by_certify_and_not_continued(mixed_archive: Path) -> None:
    archive = Archive.open(mixed_archive)
    assert [int(archive.read("speckle", row.index)[0, 0]) for row in archive.rows()] == list(range(20))
    report = archive.verify()
    assert not report.ok
    assert "copy the folder again when nothing is written" in report.damage()[0]
    with pytest.raises(StorageError, match="of different moments"):
        ArchiveWriter.resume(mixed_archive)
    (mixed_archive / WAL).unlink()
    assert Archive.open(mixed_archive).verify().ok


def test_copies_made_by_another_thread_while_frames_are_written_are_readable(tmp_path: Path) -> None:
    spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name="x", arrays=[ArraySpec("speckle", (4, 4), "uint8")], metadata={})
    copies: list[Path] = []
    done = threading.Event()
    with ArchiveWriter.create(tmp_path / "original", spec, 300, shard_bytes=16) as writer:

        def copy() -> None:
            while not done.is_set():
                target = tmp_path / f"copy-{len(copies)}"
                target.mkdir()
                for name in ("metadata.yaml", JOURNAL, WAL):
                    (target / name).write_bytes((writer.path / name).read_bytes())
                copies.append(target)

        thread = threading.Thread(target=copy)
        thread.start()
        for index in range(60):
            row = PairRow(frame_index=index, t_ns=index, exposure_s=0.01)
            writer.append({"speckle": np.full((4, 4), index, np.uint8)}, row)
        done.set()
        thread.join(20)
    assert len(copies) > 3
    for target in copies[:: max(1, len(copies) // 20)]:
        rows = read_journal(target / JOURNAL).rows
        assert [row.frame_index for row in rows] == list(range(len(rows)))
