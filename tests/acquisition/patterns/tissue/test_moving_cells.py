"""Cells that move keep their numbers, stay within the promised step, touch, enter and leave."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from acquisition.patterns.tissue.moving_cells import MovingCells

FRAMES = 8


@pytest.fixture(scope="module", params=[20, 60])
def sequence(request: pytest.FixtureRequest) -> list[np.ndarray]:
    return [scene.labels for scene in MovingCells(128, 4, FRAMES, cells=request.param)]


def test_as_many_cells_are_seen_as_promised() -> None:
    for cells in (20, 60):
        counts = [len(np.unique(scene.labels)) - 1 for scene in MovingCells(128, 4, 3, cells=cells)]
        assert 0.7 * cells <= np.mean(counts) <= 1.3 * cells


def test_no_cell_moves_farther_than_half_its_diameter(sequence: list[np.ndarray]) -> None:
    """Cells at the edge are left out: only a part of them is seen, whose centre moves otherwise."""
    moved = []
    for before, after in pairwise(sequence):
        for number in set(np.unique(before)) & set(np.unique(after)) - {0}:
            masks = [image == number for image in (before, after)]
            if any(np.concatenate([mask[[0, -1]].ravel(), mask[:, [0, -1]].ravel()]).any() for mask in masks):
                continue
            centres = [np.array(ndimage.center_of_mass(mask)) for mask in masks]
            diameter_px = 2 * np.sqrt(max(mask.sum() for mask in masks) / np.pi)
            moved.append(np.hypot(*(centres[1] - centres[0])) / diameter_px)
    assert max(moved) < 0.7, "half a diameter, and what a hidden part changes"
    assert np.median(moved) > 0.15


def test_cells_touch_enter_and_leave(sequence: list[np.ndarray]) -> None:
    numbers = [set(np.unique(labels)) - {0} for labels in sequence]
    assert numbers[0] - numbers[-1], "some have left"
    assert numbers[-1] - numbers[0], "some have entered"
    first = sequence[0]
    meet = (first[1:] != first[:-1]) & (first[1:] > 0) & (first[:-1] > 0)
    assert meet.any()


def test_a_cell_that_has_left_for_good_gives_its_number_to_nobody() -> None:
    """A number that is gone comes back only at the edge where it left: no cell jumps across the image."""
    last: dict[int, tuple[int, np.ndarray]] = {}
    for index, scene in enumerate(MovingCells(64, 9, 16, cells=30)):
        for number in set(np.unique(scene.labels)) - {0}:
            centre = np.array(ndimage.center_of_mass(scene.labels == number))
            if number in last:
                frames = index - last[number][0]
                assert np.hypot(*(centre - last[number][1])) < 5 * frames + 4
            last[number] = (index, centre)


def test_a_sequence_is_deterministic_in_any_order() -> None:
    first, again = (MovingCells(64, 2, 4, cells=20) for _ in range(2))
    assert len(first) == 4
    assert (first[3].grey == again[3].grey).all()
    assert (first[0].labels == again[0].labels).all()
    assert (first[0].grey != MovingCells(64, 3, 4, cells=20)[0].grey).any()


@pytest.mark.parametrize("cells", [19, 61])
def test_impossible_numbers_are_refused(cells: int) -> None:
    with pytest.raises(ValueError, match="20 to 60 cells"):
        MovingCells(128, 0, 4, cells=cells)
