"""A snapshot is a complete folder or none, also on a full disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.live.snapshot import write_snapshot
from app.status import LiveView, Overlay
from drivers.base import Frame, SpeckleScopeError
from tests.helpers.small_disk import small_disk

PIXELS = np.random.default_rng(0).integers(0, 256, (200, 200), dtype=np.uint8)
VIEW = Overlay(LiveView(frame=Frame(PIXELS, 7, 0, 0.01), reconstruction=None), None, 0.0)


@pytest.fixture(autouse=True)
def one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """All snapshots of a test are of the same second."""
    monkeypatch.setattr("time.strftime", lambda _: "20260101-120000")


def test_the_same_frame_twice_in_a_second_is_one_snapshot(tmp_path: Path) -> None:
    first = write_snapshot(tmp_path / "archive", VIEW)
    assert write_snapshot(tmp_path / "archive", VIEW) == first
    assert list((tmp_path / "archive").iterdir()) == [first]
    assert np.array_equal(cv2.imread(str(first / "speckle.png"), cv2.IMREAD_UNCHANGED), PIXELS)


def test_a_full_disk_leaves_the_older_snapshot_and_no_other(tmp_path: Path) -> None:
    dark = replace(VIEW, view=LiveView(replace(VIEW.view.frame, pixels=np.zeros_like(PIXELS)), None))
    folder = write_snapshot(tmp_path, dark)
    before = (folder / "speckle.png").read_bytes()
    with (
        small_disk(10_000),
        pytest.raises(SpeckleScopeError, match=r"could not be written to .*: File too large; check the disk"),
    ):
        write_snapshot(tmp_path, VIEW)
    assert list(tmp_path.iterdir()) == [folder]
    assert (folder / "speckle.png").read_bytes() == before


def test_a_full_disk_leaves_no_partial_snapshot(tmp_path: Path) -> None:
    with small_disk(10_000), pytest.raises(SpeckleScopeError, match="check the disk"):
        write_snapshot(tmp_path, VIEW)
    assert not list(tmp_path.iterdir())
