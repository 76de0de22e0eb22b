"""Pairs stored in the background: in order, none lost, and a disk error is raised by the next call."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.background_writer import BackgroundWriter
from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.writer import Archive, ArchiveSpec, ArchiveWriter, ArraySpec, PairRow, StorageError


def writer(root: Path) -> ArchiveWriter:
    spec = ArchiveSpec(kind=ArchiveKind.DATASET, name="test", arrays=[ArraySpec("a", (4, 4), "uint8")])
    # 32 images per shard: with the default size, the index of a shard of such small images alone would have 32 MiB.
    return ArchiveWriter.create(root, spec, expected=100, shard_bytes=32 * 16)


def images(value: int) -> dict[str, np.ndarray]:
    return {"a": np.full((4, 4), value, np.uint8)}


def row(number: int) -> PairRow:
    return PairRow(frame_index=number, t_ns=number, exposure_s=0.01)


def test_everything_is_stored_in_order(tmp_path: Path) -> None:
    with writer(tmp_path) as archive, BackgroundWriter(archive) as background:
        for number in range(150):
            assert background.next_index == number
            background.append(images(number), row(number))
        background.event("fault", "one")
        background.flush()
        assert background.acknowledged == archive.acknowledged == 150
        path = archive.path
    stored = Archive.open(path)
    assert [int(stored.read("a", number)[0, 0]) for number in range(150)] == list(range(150))
    assert [event.text for event in stored.events()] == ["one"]


def test_withdrawing_waits_for_queued_pairs(tmp_path: Path) -> None:
    with writer(tmp_path) as archive, BackgroundWriter(archive) as background:
        for number in range(10):
            background.append(images(number), row(number))
        assert background.quarantine(4, "moved") == 6
        assert background.next_index == 4
        background.append(images(77), row(4))
        background.flush()
        assert background.quarantine(50, "nothing there") == 0
        assert background.next_index == 5
        path = archive.path
    assert int(Archive.open(path).read("a", 4)[0, 0]) == 77


@pytest.mark.parametrize("call", ["append", "flush", "event", "quarantine"])
def test_an_error_is_raised_by_the_next_call_and_closing_is_quiet(tmp_path: Path, call: str) -> None:
    with writer(tmp_path) as archive:
        background = BackgroundWriter(archive)
        background.append({"wrong": np.zeros((4, 4), np.uint8)}, row(0))
        with pytest.raises(StorageError, match="takes images"):
            background.flush()
        calls = {
            "append": lambda: background.append(images(0), row(0)),
            "flush": background.flush,
            "event": lambda: background.event("a", "b"),
            "quarantine": lambda: background.quarantine(0, "c"),
        }
        with pytest.raises(StorageError, match="takes images"):
            calls[call]()
        background.close()
        background.close()
        assert archive.acknowledged == 0
