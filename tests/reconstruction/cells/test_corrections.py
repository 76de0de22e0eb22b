"""Corrections by hand change the cell that is meant, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from reconstruction.cells.corrections import CorrectionError, Labels, deleted, merged, split


@pytest.fixture
def labels() -> Labels:
    labels = np.zeros((20, 20), np.uint16)
    labels[2:8, 2:8], labels[2:8, 8:14], labels[12:18, 4:16] = 1, 2, 5
    labels.flags.writeable = False
    return labels


def test_a_cell_is_deleted_and_the_others_keep_their_numbers(labels: Labels) -> None:
    after = deleted(labels, (3, 9))
    assert not (after == 2).any()
    np.testing.assert_array_equal(after[labels != 2], labels[labels != 2])


def test_two_cells_are_merged_into_the_first(labels: Labels) -> None:
    after = merged(labels, (3, 9), (3, 3))
    np.testing.assert_array_equal(after == 2, (labels == 1) | (labels == 2))
    np.testing.assert_array_equal(after == 5, labels == 5)
    with pytest.raises(CorrectionError, match="the same cell"):
        merged(labels, (2, 2), (7, 7))


def test_a_cell_is_split_along_a_line_that_may_begin_and_end_outside(labels: Labels) -> None:
    after = split(labels, (10, 9), (19, 9))
    left, new = after == 5, after == 6
    np.testing.assert_array_equal(left | new, labels == 5)
    assert (np.nonzero(left)[1].min(), np.nonzero(new)[1].max()) in ((9, 8), (4, 8), (9, 15), (4, 15))
    assert 0.3 < left.sum() / (labels == 5).sum() < 0.7
    np.testing.assert_array_equal(after[labels != 5], labels[labels != 5])
    back = merged(after, (13, 5), (13, 14))
    assert ((back > 0) == (labels > 0)).all()
    assert len(np.unique(back)) == len(np.unique(labels))


@pytest.mark.parametrize(("start", "end"), [((0, 0), (0, 19)), ((11, 4), (11, 15)), ((3, 3), (3, 3)), ((-5, -5), (-5, 90))])
def test_a_line_that_divides_nothing_changes_nothing(labels: Labels, start: tuple[int, int], end: tuple[int, int]) -> None:
    with pytest.raises(CorrectionError):
        split(labels, start, end)


@pytest.mark.parametrize("place", [(0, 0), (-1, 3), (3, 20)])
def test_where_there_is_no_cell_it_is_said(labels: Labels, place: tuple[int, int]) -> None:
    with pytest.raises(CorrectionError, match="no cell at this place"):
        deleted(labels, place)
