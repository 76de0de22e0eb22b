"""Masks of everything in a picture: a grid of points is prompted, doubtful and repeated masks are removed.

The steps and their numbers are those of the pipeline ``mask-generation`` of transformers, without crops. That pipeline itself
needs torchvision, whose every release works with exactly one release and build of torch; see decision 0020.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from reconstruction.segmentation.foundation.sam_network import Embedding, Prompts, SamNetwork


@dataclass(frozen=True, kw_only=True)
class MaskChoice:
    """Which masks of the grid of points are kept.

    Parameters
    ----------
    points_per_side : int
        Points in a row and in a column of the grid.
    min_score : float
        Smallest score: the intersection over union that the network predicts for its own mask.
    min_stability : float
        Smallest stability: intersection over union of the masks at a threshold of +1 and -1.
    most_overlap : float
        Of two masks whose boxes have a larger intersection over union, the one with the lower score is removed.

    Raises
    ------
    ValueError
        A number is impossible.
    """

    points_per_side: int = 16
    min_score: float = 0.88
    min_stability: float = 0.95
    most_overlap: float = 0.7

    def __post_init__(self) -> None:
        if not 1 <= self.points_per_side <= 128:
            raise ValueError(f"a grid has 1 to 128 points in a row, got {self.points_per_side}")
        if not (0 <= self.min_score <= 1 and 0 <= self.min_stability <= 1 and 0 <= self.most_overlap <= 1):
            raise ValueError("min_score, min_stability and most_overlap are between 0 and 1")


#: Points that are prompted at once. SAM enlarges each mask to 1024 px before it is reduced: 16 points need 200 MB.
_BATCH = 16


def automatic_masks(
    network: SamNetwork, embedding: Embedding, choice: MaskChoice
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Return the masks of everything in a picture.

    Parameters
    ----------
    network : SamNetwork
        The network.
    embedding : Embedding
        The picture, from :meth:`SamNetwork.embed`.
    choice : MaskChoice
        Which masks are kept.

    Returns
    -------
    masks : ndarray of bool, shape (n, h, w)
        The masks, from the highest score to the lowest. They may overlap.
    scores : ndarray of float32, shape (n,)
        Their scores.
    """
    grid = _grid(choice.points_per_side, embedding.shape)
    masks, scores = [np.zeros((0, *embedding.shape), np.bool_)], [np.zeros(0, np.float32)]
    for start in range(0, len(grid), _BATCH):
        points = grid[start : start + _BATCH, None]
        logits, predicted = network.decode(
            embedding, Prompts(points=points, labels=np.ones(points.shape[:2], np.int64)), several=True
        )
        kept, kept_scores = _trusted(logits.flatten(0, 1), predicted.flatten(), choice)
        masks.append(kept)
        scores.append(kept_scores)
    every, every_score = np.concatenate(masks), np.concatenate(scores)
    kept_numbers = distinct(_boxes(every), every_score, choice.most_overlap)
    return every[kept_numbers], every_score[kept_numbers]


def distinct(boxes: NDArray[np.float64], scores: NDArray[np.float32], most_overlap: float) -> NDArray[np.intp]:
    """Return which boxes remain when those go that overlap one with a higher score (non-maximum suppression).

    Parameters
    ----------
    boxes : ndarray of float64, shape (n, 4)
        First column, first row, last column, last row.
    scores : ndarray of float32, shape (n,)
        Their scores.
    most_overlap : float
        Largest intersection over union of two boxes that both remain.

    Returns
    -------
    ndarray of int
        Places in ``boxes``, by falling score.
    """
    left = np.argsort(-scores, kind="stable")
    kept: list[np.intp] = []
    while left.size:
        first, left = left[0], left[1:]
        kept.append(first)
        left = left[~(_overlaps(boxes[first], boxes[left]) > most_overlap)]
    return np.asarray(kept, np.intp)


def _grid(per_side: int, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return the points (n, 2) of a regular grid in pixels, x before y, row by row."""
    offset = 1 / (2 * per_side)
    side = np.linspace(offset, 1 - offset, per_side)
    x, y = np.meshgrid(side, side)
    return np.stack([x.ravel() * shape[1], y.ravel() * shape[0]], axis=-1)


def _trusted(logits: torch.Tensor, scores: torch.Tensor, choice: MaskChoice) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Return the masks that have the smallest score and stability, and their scores."""
    good = (scores > choice.min_score) if choice.min_score > 0 else torch.ones_like(scores, dtype=torch.bool)
    if choice.min_stability > 0:
        # Without a pixel at -1 there is no mask: 0 / 0 is not above anything.
        smaller, larger = (logits > 1).sum((-1, -2)), (logits > -1).sum((-1, -2))
        good &= smaller / larger > choice.min_stability
    return (logits[good] > 0).cpu().numpy(), scores[good].float().cpu().numpy()


def _boxes(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the boxes (n, 4) of masks as first column, first row, last column, last row; zeros for an empty mask."""
    boxes = np.zeros((len(masks), 4))
    for box, mask in zip(boxes, masks, strict=True):
        columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
        if columns.size:
            box[:] = columns[0], rows[0], columns[-1], rows[-1]
    return boxes


def _overlaps(box: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the intersection over union (n,) of a box with others; 0 for two that have no area."""
    sides = np.clip(np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2]), 0, None)
    shared = sides.prod(-1)
    union = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(-1) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
