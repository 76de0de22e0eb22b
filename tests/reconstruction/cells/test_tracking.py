"""Identities that persist: cells that move, touch, enter and leave, with frames that are missing."""

from __future__ import annotations

import numpy as np
import pytest

from acquisition.patterns.tissue.moving_cells import MovingCells
from reconstruction.cells.measurement import measure_cells
from reconstruction.cells.table import CellScale, CellTable
from reconstruction.cells.tracking import CellTracker

SIDE = 128
EVERYWHERE = np.ones((SIDE, SIDE), np.bool_)


def table(*cells: tuple[float, float, float]) -> CellTable:
    """Return the measurements of square cells, each given by row, column and side in pixels."""
    labels = np.zeros((SIDE, SIDE), np.uint16)
    for number, (row, column, side) in enumerate(cells, start=1):
        labels[round(row) : round(row + side), round(column) : round(column + side)] = number
    return measure_cells(np.zeros((SIDE, SIDE), np.float32), labels, EVERYWHERE, CellScale())


def switches(count: int, seed: int, frames: int, *, every_third_dropped: bool) -> tuple[int, int]:
    """Return how often a cell got another identity, and how often it could have."""
    scenes, tracker = MovingCells(SIDE, seed, frames, cells=count), CellTracker()
    last: dict[int, tuple[int, int]] = {}
    switched = followed = 0
    for index in range(frames):
        if every_third_dropped and index % 3 == 2:
            continue
        labels = scenes[index].labels
        cells = tracker.follow(index, measure_cells(np.zeros(labels.shape, np.float32), labels, EVERYWHERE, CellScale()))
        for true, identity in zip(cells.label.tolist(), cells.identity.tolist(), strict=True):
            before, seen = last.get(true, (identity, -9))
            if index - seen <= 2:  # else it had left the field
                followed += 1
                switched += identity != before
            last[true] = (identity, index)
    return switched, followed


@pytest.mark.parametrize("count", [20, 60])
def test_few_identities_switch_where_cells_touch_and_every_third_frame_is_missing(count: int) -> None:
    switched, followed = switches(count, 3, 12, every_third_dropped=True)
    assert followed > 4 * count
    assert switched <= 0.02 * followed


def test_a_cell_keeps_its_identity_whatever_number_its_label_has() -> None:
    tracker = CellTracker()
    first = tracker.follow(0, table((20, 20, 10), (60, 60, 12)))
    second = tracker.follow(1, table((61, 63, 12), (22, 23, 10)))
    assert sorted(first.identity) == [1, 2]
    assert list(second.identity) == list(first.identity)[::-1]


def test_a_cell_that_is_not_seen_for_two_frames_comes_back_as_itself_and_later_as_another_one() -> None:
    tracker = CellTracker()
    here = table((20, 20, 10), (80, 80, 10))
    identities = tracker.follow(0, here).identity
    for index in (1, 2):
        assert list(tracker.follow(index, table((80, 80, 10))).identity) == [identities[1]]
    assert list(tracker.follow(3, here).identity) == list(identities)
    for index in range(4, 12):
        tracker.follow(index, table((80, 80, 10)))
    back = tracker.follow(12, here).identity
    assert back[1] == identities[1]
    assert back[0] not in identities


def test_a_cell_that_enters_gets_a_new_identity_and_no_old_one_moves_to_it() -> None:
    tracker = CellTracker()
    first = tracker.follow(0, table((20, 20, 10))).identity
    both = tracker.follow(1, table((20, 21, 10), (90, 90, 10))).identity
    assert both[0] == first[0]
    assert both[1] not in first


def test_empty_frames_are_frames() -> None:
    tracker = CellTracker()
    assert len(tracker.follow(0, table())) == 0
    first = tracker.follow(1, table((20, 20, 10))).identity
    assert len(tracker.follow(2, table())) == 0
    assert list(tracker.follow(3, table((20, 21, 10))).identity) == list(first)


def test_tracking_again_gives_the_same_identities() -> None:
    scenes = MovingCells(SIDE, 5, 6, cells=30)
    tables = [measure_cells(np.zeros((SIDE, SIDE), np.float32), scenes[k].labels, EVERYWHERE, CellScale()) for k in range(6)]
    runs = []
    for _ in range(2):
        tracker = CellTracker()
        runs.append([tracker.follow(index, each).identity.tolist() for index, each in enumerate(tables)])
    assert runs[0] == runs[1]


def test_a_frame_that_is_not_newer_begins_again_with_new_identities() -> None:
    tracker = CellTracker()
    first = tracker.follow(5, table((20, 20, 10))).identity
    assert tracker.follow(5, table((20, 20, 10))).identity[0] not in first
