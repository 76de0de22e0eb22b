"""An archive is complete only when a fresh reader finds on the disk what its writer has acknowledged."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.disk_check import NotOnDiskError
from acquisition.archive.kinds import COMPLETE_VERDICT, ArchiveKind, FinishReason
from acquisition.archive.reader import DATA, JOURNAL, Archive
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec, PairRow, StorageError


def open_writer(root: Path) -> ArchiveWriter:
    arrays = [ArraySpec("speckle", (8, 8), "uint8"), ArraySpec("phase", (4, 4), "float32", compress=True)]
    spec = ArchiveSpec(kind=ArchiveKind.DATASET, name="x", arrays=arrays)
    return ArchiveWriter.create(root, spec, 10, shard_bytes=4 * 64)


def append(writer: ArchiveWriter, count: int) -> None:
    for index in range(count):
        rng = np.random.default_rng(index)
        images = {"speckle": rng.integers(0, 256, (8, 8), dtype=np.uint8), "phase": rng.random((4, 4), dtype=np.float32)}
        writer.append(images, PairRow(frame_index=index, t_ns=index, exposure_s=0.01, extra={"correlation": 0.5}))


def delete_shard(path: Path) -> None:
    (path / DATA / "speckle" / "c.0.0.0").unlink()


def cut_shard(path: Path) -> None:
    os.truncate(path / DATA / "speckle" / "c.1.0.0", 30)


def lengthen_shard(path: Path) -> None:
    with (path / DATA / "phase" / "c.1.0.0").open("ab") as file:
        file.write(b"x")


def change_the_last_image(path: Path) -> None:
    file = path / DATA / "speckle" / "c.0.0.0"
    content = bytearray(file.read_bytes())
    content[3 * 64 + 5] ^= 1  # of the last of four images of 64 bytes
    file.write_bytes(bytes(content))


def delete_journal(path: Path) -> None:
    for file in path.glob(JOURNAL + "*"):
        file.unlink()


def replace_journal(path: Path) -> None:
    with open_writer(path.parent / "other") as other:
        append(other, 1)
    delete_journal(path)
    shutil.copy(other.path / JOURNAL, path / JOURNAL)


DAMAGE = [delete_shard, cut_shard, lengthen_shard, change_the_last_image, delete_journal, replace_journal, shutil.rmtree]


def test_an_intact_archive_is_complete_also_after_a_resume(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        append(writer, 5)
    with ArchiveWriter.resume(writer.path) as writer:
        append(writer, 2)
        writer.complete()
    archive = Archive.open(writer.path)
    assert len(archive) == 7
    assert archive.finish_reason is FinishReason.COMPLETED
    assert archive.status["verdict"] == COMPLETE_VERDICT


@pytest.mark.parametrize("damage", DAMAGE)
def test_an_archive_that_was_damaged_is_not_complete(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    with open_writer(tmp_path) as writer:
        append(writer, 7)
        writer.flush()
        damage(writer.path)
        with pytest.raises(NotOnDiskError, match=r"check the disk"):
            writer.complete()
    if damage is not shutil.rmtree and damage is not delete_journal:
        assert Archive.open(writer.path).finish_reason is None


@pytest.mark.parametrize("damage", [delete_journal, shutil.rmtree])
def test_nothing_is_acknowledged_without_a_journal(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    writer = open_writer(tmp_path)
    append(writer, 4)
    damage(writer.path)
    with pytest.raises(StorageError, match=r"journal of .* was deleted"):
        append(writer, 4)
    assert writer.acknowledged == 4
    writer.close()
