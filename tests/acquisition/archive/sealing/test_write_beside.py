"""Shards that are written beside the filling of the next one: rows in order, acknowledged only when on disk."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.writer import Archive, ArchiveSpec, ArchiveWriter, ArraySpec, PairRow, StorageError

SLOTS = 4
SHAPE = (16, 16)
ARRAYS = (ArraySpec("speckle", SHAPE, "uint8"), ArraySpec("phase", SHAPE, "float32", compress=True))


def images(index: int) -> dict[str, np.ndarray]:
    return {"speckle": np.full(SHAPE, index, np.uint8), "phase": np.full(SHAPE, index / 7, np.float32)}


def row(index: int) -> PairRow:
    return PairRow(frame_index=index, t_ns=index, exposure_s=0.01)


def create(root: Path, *, shards: int = 2) -> ArchiveWriter:
    spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name="x", arrays=ARRAYS)
    writer = ArchiveWriter.create(root, spec, 10, seal_after_s=60.0, shard_bytes=SLOTS * ARRAYS[1].nbytes)
    writer.write_beside(shards)
    return writer


def fill(writer: ArchiveWriter, numbers: range) -> None:
    for k in numbers:
        writer.append(images(k), row(k))


def assert_holds(path: Path, count: int) -> None:
    archive = Archive.open(path)
    assert [one.frame_index for one in archive.rows()] == list(range(count))
    assert archive.verify().ok
    for k in range(count):
        np.testing.assert_array_equal(archive.read("phase", k), images(k)["phase"])


@contextmanager
def slow_shard(monkeypatch: pytest.MonkeyPatch, number: int) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Let the rename of one shard of ``speckle`` wait, as a disk that stalls does; yield its two events: begun, go on."""
    begun, go_on = threading.Event(), threading.Event()
    replace = Path.replace

    def wait_and_replace(source: Path, target: Path) -> Path:
        if Path(target).name == f"c.{number}.0.0":
            begun.set()
            assert go_on.wait(20)
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", wait_and_replace)
    try:
        yield begun, go_on
    finally:
        go_on.set()


def test_rows_wait_for_the_shard_before_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with create(tmp_path) as writer, slow_shard(monkeypatch, 0) as (begun, go_on):
        fill(writer, range(2 * SLOTS))
        assert begun.wait(20)
        second = writer.path / "data.zarr" / "speckle" / "c.1.0.0"
        while not second.exists():  # the second shard does not wait for the first
            os.sched_yield()
        writer.flush_old()
        assert (writer.acknowledged, writer.next_index, len(Archive.open(writer.path))) == (0, 2 * SLOTS, 0)
        go_on.set()
        writer.flush()
        assert writer.acknowledged == 2 * SLOTS
    assert_holds(writer.path, 2 * SLOTS)


def test_appending_waits_only_when_all_threads_are_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = 3 * SLOTS
    with create(tmp_path) as writer, slow_shard(monkeypatch, 0) as (_, go_on):
        fill(writer, range(full - 1))  # one more would begin a third shard
        appended = threading.Event()

        def one_more() -> None:
            writer.append(images(full - 1), row(full - 1))
            appended.set()

        thread = threading.Thread(target=one_more)
        thread.start()
        assert not appended.wait(0.05)
        go_on.set()
        thread.join(20)
        assert appended.is_set()
    assert_holds(writer.path, full)


def test_compression_yields_while_a_shard_is_still_being_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with create(tmp_path) as writer:
        with slow_shard(monkeypatch, 0) as (begun, _):
            fill(writer, range(2 * SLOTS))
            assert begun.wait(20)
        writer.flush()
        fill(writer, range(2 * SLOTS, 3 * SLOTS))
    sizes = [(writer.path / "data.zarr" / "phase" / f"c.{shard}.0.0").stat().st_size for shard in range(3)]
    assert max(sizes[0], sizes[2]) < sizes[1]
    assert writer.uncompressed == SLOTS
    assert_holds(writer.path, 3 * SLOTS)


def test_compression_yields_when_images_come_too_fast_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acquisition.archive.writer._COMPRESSED_BYTES_PER_S", 1.0)
    with create(tmp_path) as writer:
        fill(writer, range(SLOTS))
        writer.flush()
        fill(writer, range(SLOTS, 2 * SLOTS))
    assert writer.uncompressed == 2 * SLOTS
    assert_holds(writer.path, 2 * SLOTS)


def test_a_shard_that_fails_takes_the_later_ones_with_it(tmp_path: Path) -> None:
    with create(tmp_path) as writer:
        fill(writer, range(SLOTS))
        writer.flush()
        (writer.path / "data.zarr" / "speckle" / "c.1.0.0").mkdir()  # no file can get this name
        with pytest.raises(StorageError, match=rf"\({SLOTS} frames are stored safely, \d+ are lost\)"):
            fill(writer, range(SLOTS, 8 * SLOTS))
        with pytest.raises(StorageError, match="takes no more"):
            writer.flush_old()
    assert len(Archive.open(writer.path)) == writer.acknowledged == SLOTS
    (writer.path / "data.zarr" / "speckle" / "c.1.0.0").rmdir()
    with ArchiveWriter.resume(writer.path) as resumed:
        resumed.append(images(SLOTS), row(SLOTS))
    assert_holds(writer.path, SLOTS + 1)


def test_withdrawing_waits_for_the_shards_that_are_being_written(tmp_path: Path) -> None:
    with create(tmp_path) as writer:
        fill(writer, range(2 * SLOTS + 1))
        assert writer.quarantine(SLOTS + 1, "moved") == SLOTS
        fill(writer, range(SLOTS + 1, 2 * SLOTS))
    assert_holds(writer.path, 2 * SLOTS)


def test_resume_removes_the_incomplete_file_of_a_killed_writer(tmp_path: Path) -> None:
    with create(tmp_path) as writer:
        writer.append(images(0), row(0))
    half = writer.path / "data.zarr" / "speckle" / ".c.1.0.0.1234abcd.part"
    half.write_bytes(b"half")
    ArchiveWriter.resume(writer.path).close()
    assert not half.exists()
    assert_holds(writer.path, 1)
