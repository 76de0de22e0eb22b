"""The scores of a segmentation follow their definitions, and do not depend on how objects are numbered."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from reconstruction.segmentation.scores import (
    Labels,
    aji,
    ap50,
    iou_foreground,
    iou_matched,
    mean_segmentation_scores,
    panoptic_quality,
    precision,
    recall,
    segmentation_scores,
)

EMPTY = np.zeros((8, 8), np.uint16)
#: Few numbers on few pixels, so that objects overlap in every way.
IMAGES = arrays.arrays(np.uint16, (6, 6), elements=st.integers(0, 4))


def blocks(*places: tuple[int, int, int, int]) -> Labels:
    """Return objects that fill rectangles (top, left, bottom, right)."""
    labels = EMPTY.copy()
    for number, (top, left, bottom, right) in enumerate(places, 1):
        labels[top:bottom, left:right] = number
    return labels


TWO = blocks((0, 0, 4, 4), (4, 4, 8, 8))


def objects(labels: Labels) -> list[np.ndarray]:
    return [labels == number for number in np.unique(labels) if number]


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return np.count_nonzero(a & b) / np.count_nonzero(a | b)


@pytest.mark.parametrize("name", ["iou_foreground", "iou_matched", "ap50", "precision", "recall", "panoptic_quality", "aji"])
def test_the_same_is_perfect_and_nothing_agrees_only_with_nothing(name: str) -> None:
    def of(labels: Labels, truth: Labels) -> float:
        return float(getattr(segmentation_scores(labels, truth), name))

    renamed = np.where(TWO > 0, 9 - 3 * TWO, 0).astype(np.uint16)
    assert of(TWO, TWO) == of(renamed, TWO) == of(EMPTY, EMPTY) == 1.0
    assert of(TWO, EMPTY) == of(EMPTY, TWO) == 0.0


def test_one_of_two_objects_and_a_wrong_one() -> None:
    labels = blocks((0, 0, 4, 4), (0, 6, 2, 8))
    assert precision(labels, TWO) == recall(labels, TWO) == 0.5
    assert ap50(labels, TWO) == pytest.approx(1 / 3)
    assert panoptic_quality(labels, TWO) == pytest.approx(1 / (1 + 0.5 + 0.5))
    assert iou_matched(labels, TWO) == pytest.approx(0.5)
    assert aji(labels, TWO) == pytest.approx(16 / (16 + 16 + 4))
    assert iou_foreground(labels, TWO) == pytest.approx(16 / 36)


def test_an_object_of_half_the_area_just_counts_and_a_smaller_one_does_not() -> None:
    truth = blocks((0, 0, 4, 4))
    assert ap50(blocks((0, 0, 2, 4)), truth) == 1.0
    smaller = blocks((0, 0, 2, 4))
    smaller[0, 0] = 0
    assert ap50(smaller, truth) == 0.0


def test_an_object_over_half_of_the_image_is_dropped_from_the_foreground() -> None:
    cells = blocks((0, 0, 2, 2), (6, 6, 8, 8))
    flooded = np.where(cells > 0, cells, 3).astype(np.uint16)
    assert iou_foreground(flooded, cells) == 1.0
    half = np.where(np.arange(8)[:, None] < 4, np.uint16(1), np.uint16(0)) + EMPTY
    assert iou_foreground(half, half) == 1.0
    assert iou_foreground(np.ones_like(EMPTY), EMPTY) == 1.0, "nothing is left of either"


@settings(max_examples=60, deadline=None)
@given(labels=IMAGES, truth=IMAGES)
def test_scores_of_objects_follow_their_definitions(labels: Labels, truth: Labels) -> None:
    ours, true = objects(labels), objects(truth)
    if not ours or not true:
        return
    table = np.array([[iou(a, b) for b in true] for a in ours])
    wide = table if len(ours) <= len(true) else table.T
    ways = list(itertools.permutations(range(wide.shape[1]), wide.shape[0]))
    rows = np.arange(wide.shape[0])
    positives = max(int((wide[rows, list(way)] >= 0.5).sum()) for way in ways)
    largest = max(float(wide[rows, list(way)].sum()) for way in ways)
    assert ap50(labels, truth) == pytest.approx(positives / (len(ours) + len(true) - positives))
    assert precision(labels, truth) == pytest.approx(positives / len(ours))
    assert recall(labels, truth) == pytest.approx(positives / len(true))
    assert iou_matched(labels, truth) == pytest.approx(largest / max(len(ours), len(true)))
    strict = table > 0.5
    quality = table[strict].sum() / (strict.sum() + 0.5 * (len(ours) + len(true) - 2 * strict.sum()))
    assert panoptic_quality(labels, truth) == pytest.approx(quality)
    chosen = {column: int(table[:, column].argmax()) for column in range(len(true)) if table[:, column].any()}
    shared = sum(np.count_nonzero(ours[row] & true[column]) for column, row in chosen.items())
    union = sum(np.count_nonzero(ours[row] | true[column]) for column, row in chosen.items())
    union += sum(np.count_nonzero(true[column]) for column in range(len(true)) if column not in chosen)
    union += sum(np.count_nonzero(ours[row]) for row in range(len(ours)) if row not in chosen.values())
    assert aji(labels, truth) == pytest.approx(shared / union)


@settings(max_examples=30, deadline=None)
@given(labels=IMAGES, truth=IMAGES, order=st.permutations([1, 2, 3, 4]))
def test_numbers_of_objects_do_not_matter(labels: Labels, truth: Labels, order: list[int]) -> None:
    renamed = np.array([0, *(7 * number for number in order)], np.uint16)[labels]
    first, second = segmentation_scores(labels, truth).to_dict(), segmentation_scores(renamed, truth).to_dict()
    # With equal IoUs the aggregated Jaccard index chooses the first object.
    assert {key: value for key, value in first.items() if key != "aji"} == pytest.approx(
        {key: value for key, value in second.items() if key != "aji"}
    )


def test_means_are_over_images() -> None:
    mean = mean_segmentation_scores([segmentation_scores(TWO, TWO), segmentation_scores(EMPTY, TWO)])
    assert set(mean.to_dict().values()) == {0.5}
