"""Cells as files: outlines that ImageJ reads hold exactly the pixels of their cells, and labels hold identities."""

from __future__ import annotations

import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import roifile
import tifffile
from matplotlib.path import Path as Polygon
from numpy.typing import NDArray

from app.playback.cell_files import outlines, save_cells
from app.playback.played_archive import PlayedArchive
from drivers.base import SpeckleScopeError
from tests.helpers.archives.played_recording import GRID_PX, RecordingPlan

TIMES_S = tuple(10 + number / 10 for number in range(5))


@pytest.fixture
def archive(tmp_path: Path) -> PlayedArchive:
    plan = RecordingPlan(times_s=TIMES_S, skipped=(2,), unsegmented=(3,), has_disc=True)
    return PlayedArchive(plan.record(tmp_path))


def inside(points: NDArray[np.floating], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which pixels have their centre inside a line, as ImageJ fills it."""
    rows, columns = np.indices(shape)
    centres = np.column_stack([columns.ravel() + 0.5, rows.ravel() + 0.5])
    return Polygon(points).contains_points(centres).reshape(shape)


@pytest.mark.parametrize("seed", range(4))
def test_an_outline_holds_exactly_the_pixels_of_its_label(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.zeros((20, 24), np.uint16)
    labels[3:15, 4:20] = 7
    labels[3:15, 4:20][rng.random((12, 16)) < 0.1] = 0
    labels[0:2, 0:3] = 7
    labels[5:8, 21:24] = 2
    pieces = outlines(labels, 7)
    filled = np.logical_or.reduce([inside(points, labels.shape) for points in pieces])
    assert (filled | (labels != 7)).all(), "every pixel of the label lies inside"
    assert not (filled & (labels == 2)).any(), "no pixel of another one does"
    [square] = outlines(labels, 2)
    np.testing.assert_array_equal(inside(square, labels.shape), labels == 2)
    assert outlines(labels, 5) == []


def test_regions_of_imagej_are_named_by_identity_and_lie_in_their_frames(archive: PlayedArchive, tmp_path: Path) -> None:
    file = tmp_path / "cells.zip"
    assert save_cells(archive, file)
    regions = roifile.roiread(file)
    assert [region.name for region in regions] == [f"cell 1 frame {number}" for number in (1, 2, 5)]
    assert [region.position for region in regions] == [1, 2, 5]
    labels = archive.load(1).overlay.labels
    assert labels is not None
    np.testing.assert_array_equal(inside(regions[1].coordinates(), labels.shape), labels == 1)
    with zipfile.ZipFile(file) as stored:
        assert stored.testzip() is None


def test_labels_are_identities_with_a_picture_for_each_frame(archive: PlayedArchive, tmp_path: Path) -> None:
    file = tmp_path / "cells.tif"
    assert save_cells(archive, file)
    stack = tifffile.imread(file)
    assert (stack.shape, stack.dtype) == ((5, GRID_PX, GRID_PX), np.uint16)
    first = archive.load(0).overlay.labels
    np.testing.assert_array_equal(stack[0], first)
    assert not stack[2:4].any()


def test_numbers_are_written_and_another_end_is_refused(archive: PlayedArchive, tmp_path: Path) -> None:
    assert save_cells(archive, tmp_path / "cells.CSV")
    assert "identity" in (tmp_path / "cells.CSV").read_text("utf-8")
    with pytest.raises(SpeckleScopeError, match=r"cells are saved as .csv, .zip, .tif, not as cells.png"):
        save_cells(archive, tmp_path / "cells.png")


def test_what_is_stopped_leaves_no_file(archive: PlayedArchive, tmp_path: Path) -> None:
    stop = threading.Event()
    assert not save_cells(archive, tmp_path / "cells.zip", progress=lambda done, total: stop.set(), stop=stop)
    assert not (tmp_path / "cells.zip").exists()
