"""What every segmenter gives: numbers without gaps inside the disc, with a score for each, or a clear error."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from reconstruction.segmentation.base import SegmentationError, Segmenter

ALL = np.ones((4, 6), np.bool_)
PHASE = np.zeros((4, 6), np.float32)


class Fixed(Segmenter):
    kind = "fixed"

    def __init__(self, labels: NDArray[np.integer], scores: list[float]) -> None:
        self._labels = labels
        self._scores = np.array(scores)

    def _segment(
        self, phase_rad: NDArray[np.float32], mask: NDArray[np.bool_], std_rad: NDArray[np.float32] | None
    ) -> tuple[NDArray[np.integer], NDArray[np.floating]]:
        return self._labels, self._scores


def columns(*numbers: int) -> NDArray[np.integer]:
    return np.tile(np.array(numbers), (4, 1))


def test_gaps_are_closed_and_scores_follow_their_objects() -> None:
    result = Fixed(columns(0, 3, 3, 0, 1, 0), [0.1, 0.2, 0.3]).segment(PHASE, ALL)
    assert (result.labels == columns(0, 2, 2, 0, 1, 0)).all()
    assert result.scores == pytest.approx([0.1, 0.3])
    assert result.count == 2
    assert not result.labels.flags.writeable


def test_nothing_is_outside_the_disc() -> None:
    mask = columns(1, 1, 1, 0, 0, 0) > 0
    result = Fixed(columns(0, 1, 1, 2, 2, 0), [0.5, 0.9]).segment(PHASE, mask)
    assert (result.labels == columns(0, 1, 1, 0, 0, 0)).all()
    assert result.scores == pytest.approx([0.5])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_phase_that_is_not_finite_has_no_objects(value: float) -> None:
    phase = PHASE.copy()
    phase[0, 0] = value
    some = Fixed(columns(1, 1, 0, 0, 0, 0), [1.0])
    assert some.segment(phase, ALL).count == 0
    assert some.segment(PHASE, np.zeros_like(ALL)).count == 0
    away = ALL.copy()
    away[0, 0] = False
    assert some.segment(phase, away).count == 1, "outside the disc the phase means nothing"


@pytest.mark.parametrize("labels", [columns(0, 2, 0, 0, 0, 0), columns(0, -1, 0, 0, 0, 0)])
def test_labels_without_a_score_are_refused(labels: NDArray[np.integer]) -> None:
    with pytest.raises(SegmentationError, match="'fixed' gave labels"):
        Fixed(labels, [0.5]).segment(PHASE, ALL)


def test_shapes_have_to_agree() -> None:
    with pytest.raises(SegmentationError, match="the standard deviation has shape"):
        Fixed(columns(0, 0, 0, 0, 0, 0), []).segment(PHASE, ALL, PHASE[:2])
