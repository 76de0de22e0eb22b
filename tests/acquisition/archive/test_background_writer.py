"""Pairs stored behind the capture: in order, nothing lost, and an error of the disk met at the next call."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.background_writer import BackgroundWriter
from acquisition.archive.writer import Archive, ArchiveSpec, ArchiveWriter, ArraySpec, PairRow, StorageError


def writer(root: Path) -> ArchiveWriter:
    return ArchiveWriter.create(root, ArchiveSpec(kind=ArchiveKind.DATASET, name="test", arrays=[ArraySpec("a", (4, 4), "uint8")]), expected=100)


def images(value: int) -> dict[str, np.ndarray]:
    return {"a": np.full((4, 4), value, np.uint8)}


def row(number: int) -> PairRow:
    return PairRow(frame_index=number, t_ns=number, exposure_s=0.01)


def test_everything_comes_out_in_order(tmp_path: Path) -> None:
    with writer(tmp_path) as archive, BackgroundWriter(archive) as behind:
        for number in range(150):
            assert behind.next_index == number
            behind.append(images(number), row(number))
        behind.event("fault", "one")
        behind.flush()
        assert behind.acknowledged == archive.acknowledged == 150
        path = archive.path
    stored = Archive.open(path)
    assert [int(stored.read("a", number)[0, 0]) for number in range(150)] == list(range(150))
    assert [event.text for event in stored.events()] == ["one"]


def test_withdrawing_waits_for_what_is_queued(tmp_path: Path) -> None:
    with writer(tmp_path) as archive, BackgroundWriter(archive) as behind:
        for number in range(10):
            behind.append(images(number), row(number))
        assert behind.quarantine(4, "moved") == 6
        assert behind.next_index == 4
        behind.append(images(77), row(4))
        behind.flush()
        assert behind.quarantine(50, "nothing there") == 0
        assert behind.next_index == 5
        path = archive.path
    assert int(Archive.open(path).read("a", 4)[0, 0]) == 77


@pytest.mark.parametrize("call", ["append", "flush", "event", "quarantine"])
def test_an_error_is_raised_by_the_next_call_and_closing_is_quiet(tmp_path: Path, call: str) -> None:
    with writer(tmp_path) as archive:
        behind = BackgroundWriter(archive)
        behind.append({"wrong": np.zeros((4, 4), np.uint8)}, row(0))
        with pytest.raises(StorageError, match="takes images"):
            behind.flush()
        calls = {
            "append": lambda: behind.append(images(0), row(0)),
            "flush": behind.flush,
            "event": lambda: behind.event("a", "b"),
            "quarantine": lambda: behind.quarantine(0, "c"),
        }
        with pytest.raises(StorageError, match="takes images"):
            calls[call]()
        behind.close()
        behind.close()
        assert archive.acknowledged == 0
