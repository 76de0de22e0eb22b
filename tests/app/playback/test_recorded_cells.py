"""The cells of a recording follow from its phases and labels: the same numbers and identities at each reading."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.results.result_writer import new_result
from acquisition.archive.results.stored_result import ResultCard, ResultKind
from app.playback.played_archive import PlayedArchive
from app.playback.recorded_cells import recorded_cells
from reconstruction.cells.table import CellQuantity
from tests.helpers.archives.played_recording import FIRST_INDEX, GRID_PX, METADATA, RecordingPlan

TIMES_S = tuple(10 + number / 10 for number in range(6))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    metadata = {**METADATA, "wavelength_um": 0.532, "refractive_increment_um3_per_pg": 0.19}
    return RecordingPlan(times_s=TIMES_S, skipped=(2,), unsegmented=(3,), metadata=metadata, has_disc=True).record(tmp_path)


def test_frames_with_labels_have_cells_whose_identities_come_again(path: Path) -> None:
    history = recorded_cells(PlayedArchive(path))
    assert len(history) == 4
    newest = history.newest
    assert newest is not None
    assert newest.frame_index == FIRST_INDEX + 5
    assert newest.pixel_um == pytest.approx(0.5 * 32 / GRID_PX)
    assert list(newest.cells.identity) == [1]
    time_s, mass_pg = history.series([1], CellQuantity.DRY_MASS)[1]
    assert time_s == pytest.approx([-0.5, -0.4, -0.1, 0.0])
    assert np.isfinite(mass_pg).all()
    assert recorded_cells(PlayedArchive(path)).csv() == history.csv()


def test_the_cells_of_a_result_are_those_of_its_labels(path: Path) -> None:
    labels = np.zeros((GRID_PX, GRID_PX), np.uint16)
    labels[4:7, 10:14], labels[15:18, 8:12] = 1, 2
    card = ResultCard(kind=ResultKind.SEGMENTATION, name="two", created_utc="2026-01-01T00:00:00+00:00")
    with new_result(path, card, [0, 1], {"labels": (GRID_PX, GRID_PX)}) as writer:
        for _ in range(2):
            writer.add({"labels": labels})
    archive = PlayedArchive(path)
    history = recorded_cells(archive, archive.results[0])
    assert len(history) == 2
    assert history.newest is not None
    assert list(history.newest.cells.area_px) == [12, 12]


def test_it_stops_when_it_is_asked_to_and_says_how_far_it_is(path: Path) -> None:
    stop, seen = threading.Event(), []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 1:
            stop.set()

    assert len(recorded_cells(PlayedArchive(path), None, progress, stop)) == 2
    assert seen[:2] == [(0, 6), (1, 6)]
