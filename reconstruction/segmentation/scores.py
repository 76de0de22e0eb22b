"""How well a segmentation agrees with another one: of pixels, of objects, and both in one number.

Both empty is perfect agreement (1), one of them empty is none (0), for every score.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Labels = NDArray[np.uint16]

#: Objects that cover more of the image than this fraction do not count in :func:`iou_foreground`.
MOST_OF_IMAGE = 0.5
#: Two objects are the same one when their intersection over union is at least this.
SAME_OBJECT = 0.5


@dataclass(frozen=True, kw_only=True)
class SegmentationScores:
    """All scores of one segmentation, or their means over images.

    Parameters
    ----------
    iou_foreground, iou_matched, ap50, precision, recall, panoptic_quality, aji : float
        See the functions of the same names; ``precision`` and ``recall`` are those of objects at an IoU of 0.5.
    """

    iou_foreground: float
    iou_matched: float
    ap50: float
    precision: float
    recall: float
    panoptic_quality: float
    aji: float

    def to_dict(self) -> dict[str, float]:
        """Return plain types, for JSON."""
        return asdict(self)


def segmentation_scores(labels: Labels, truth: Labels) -> SegmentationScores:
    """Compute all scores of a segmentation.

    Parameters
    ----------
    labels, truth : ndarray of uint16, shape (h, w)
        The segmentation and the true one: 0 is background, other numbers are objects, also with gaps.
    """
    overlap = _Overlap(labels, truth)
    return SegmentationScores(
        iou_foreground=iou_foreground(labels, truth),
        iou_matched=overlap.iou_matched,
        ap50=overlap.ap50,
        precision=overlap.precision,
        recall=overlap.recall,
        panoptic_quality=panoptic_quality(labels, truth),
        aji=overlap.aji,
    )


def mean_segmentation_scores(scores: list[SegmentationScores]) -> SegmentationScores:
    """Return the mean of every score over images; at least one."""
    return SegmentationScores(
        **{each.name: float(np.mean([getattr(one, each.name) for one in scores])) for each in fields(SegmentationScores)}
    )


def iou_foreground(labels: Labels, truth: Labels) -> float:
    """Return the intersection over union of the two foregrounds, each without objects that cover over half of the image.

    This is how we read equation 9 of the SpecDiffusion paper, which names no matching of objects.
    """
    a, b = _foreground(labels), _foreground(truth)
    union = np.count_nonzero(a | b)
    return float(np.count_nonzero(a & b)) / union if union else 1.0


def iou_matched(labels: Labels, truth: Labels) -> float:
    """Return the mean intersection over union of the objects, matched one to one for the largest sum (Hungarian method).

    Objects without a partner count as 0: the mean is over the larger of the two numbers of objects.
    """
    return _Overlap(labels, truth).iou_matched


def ap50(labels: Labels, truth: Labels) -> float:
    """Return TP / (TP + FP + FN), the average precision at an IoU of 0.5.

    True positives are the most pairs of objects, one to one, with an intersection over union of at least 0.5.
    """
    return _Overlap(labels, truth).ap50


def precision(labels: Labels, truth: Labels) -> float:
    """Return the fraction of the objects that are true at an IoU of 0.5."""
    return _Overlap(labels, truth).precision


def recall(labels: Labels, truth: Labels) -> float:
    """Return the fraction of the true objects that were detected at an IoU of 0.5."""
    return _Overlap(labels, truth).recall


def aji(labels: Labels, truth: Labels) -> float:
    """Return the aggregated Jaccard index.

    Each true object adds its intersection and union with the object of the largest IoU; objects that no true one has chosen add
    to the union. Kumar et al., IEEE Trans. Med. Imaging 36, 1550 (2017), algorithm 1.
    """
    return _Overlap(labels, truth).aji


def panoptic_quality(labels: Labels, truth: Labels) -> float:
    """Return the panoptic quality of the objects: the sum of their IoUs above 0.5, over TP + (FP + FN) / 2.

    Kirillov et al., CVPR 2019; computed by torchmetrics.
    """
    if not labels.any() or not truth.any():
        return float(not labels.any() and not truth.any())
    import torch

    from reconstruction.torchmetrics_functions import panoptic_quality as of_torchmetrics

    both = [torch.from_numpy(np.stack([image > 0, image], axis=-1).astype(np.int64))[None] for image in (labels, truth)]
    # The background is a region without objects of its own; its quality is not ours.
    return float(of_torchmetrics(both[0], both[1], things={1}, stuffs={0}, return_per_class=True)[0, 0])


def _foreground(labels: Labels) -> NDArray[np.bool_]:
    counts = np.bincount(labels.ravel())
    keep = counts <= MOST_OF_IMAGE * labels.size
    keep[0] = False
    return np.asarray(keep[labels])


def same_objects(labels: Labels, truth: Labels) -> dict[int, int]:
    """Return the object that each true one is, by their numbers: its IoU is at least :data:`SAME_OBJECT`."""
    overlap = _Overlap(labels, truth)
    numbers, true_numbers = (each[each > 0] for each in (np.unique(labels), np.unique(truth)))
    return {int(true_numbers[column]): int(numbers[row]) for row, column in overlap.same}


class _Overlap:
    """The pixels that the objects of two segmentations share."""

    def __init__(self, labels: Labels, truth: Labels) -> None:
        _, place = np.unique(labels, return_inverse=True)
        _, true_place = np.unique(truth, return_inverse=True)
        # An image without background still has a row for it, so that the first row and column are the background's.
        rows = place.reshape(labels.shape) + int(labels.min() > 0)
        columns = true_place.reshape(truth.shape) + int(truth.min() > 0)
        shape = (int(rows.max()) + 1, int(columns.max()) + 1)
        joint = np.bincount((rows * shape[1] + columns).ravel(), minlength=shape[0] * shape[1]).reshape(shape).astype(float)
        self._shared = joint[1:, 1:]
        self._areas, self._true_areas = joint[1:].sum(1), joint[:, 1:].sum(0)
        self._count, self._true_count = self._shared.shape

    @cached_property
    def _union(self) -> NDArray[Any]:
        return self._areas[:, None] + self._true_areas - self._shared

    @cached_property
    def _iou(self) -> NDArray[Any]:
        return self._shared / self._union

    @cached_property
    def same(self) -> list[tuple[int, int]]:
        """Row and column of each pair that is one object."""
        is_same = self._iou >= SAME_OBJECT
        rows, columns = linear_sum_assignment(-is_same.astype(float))
        return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if is_same[row, column]]

    @property
    def _true_positives(self) -> int:
        return len(self.same)

    @property
    def iou_matched(self) -> float:
        rows, columns = linear_sum_assignment(-self._iou)
        return _ratio(float(self._iou[rows, columns].sum()), max(self._count, self._true_count))

    @property
    def ap50(self) -> float:
        return _ratio(self._true_positives, self._count + self._true_count - self._true_positives)

    @property
    def precision(self) -> float:
        return self._part_of(self._count)

    @property
    def recall(self) -> float:
        return self._part_of(self._true_count)

    @property
    def aji(self) -> float:
        if not self._count or not self._true_count:
            return float(self._count == self._true_count)
        best = self._iou.argmax(0)
        columns = np.arange(self._true_count)
        chosen = self._shared[best, columns] > 0
        shared = self._shared[best, columns][chosen].sum()
        union = self._union[best, columns][chosen].sum() + self._true_areas[~chosen].sum()
        left = np.setdiff1d(np.arange(self._count), best[chosen])
        return float(shared / (union + self._areas[left].sum()))

    def _part_of(self, count: int) -> float:
        """Return the true positives over a number of objects."""
        if not self._count or not self._true_count:
            return float(self._count == self._true_count)
        return self._true_positives / count


def _ratio(part: float, whole: int) -> float:
    return part / whole if whole else 1.0
