"""Cells that stand alone: what they add to the picture is all that differs from the background."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from acquisition.patterns.tissue.lone_cells import lone_cells


@pytest.mark.parametrize("size_px", [128, 512])
def test_the_known_grey_is_that_of_the_picture(size_px: int) -> None:
    cells = lone_cells(size_px, 3, 0)
    grey, labels = cells.scene.grey, cells.scene.labels
    assert int(labels.max()) == len(cells.grey_px) == 36
    around = cv2.dilate((labels > 0).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    ground = np.median(grey[~around])
    assert grey[around].sum() - ground * around.sum() == pytest.approx(cells.grey_px.sum(), rel=0.02)


def test_no_two_cells_touch() -> None:
    labels = lone_cells(128, 3, 1).scene.labels
    parts, _ = cv2.connectedComponents((labels > 0).astype(np.uint8))
    assert parts - 1 == int(labels.max())


def test_the_same_numbers_give_the_same_cells_and_a_small_image_is_refused() -> None:
    first, again, other = (lone_cells(64, 3, index) for index in (0, 0, 1))
    np.testing.assert_array_equal(first.scene.grey, again.scene.grey)
    assert not np.array_equal(first.grey_px, other.grey_px)
    with pytest.raises(ValueError, match="at least 64"):
        lone_cells(63, 3, 0)
