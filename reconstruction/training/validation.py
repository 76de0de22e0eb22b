"""Scores and a picture of a reconstructor on held-out pairs during training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from reconstruction.data.pairs import PairPool
from reconstruction.metrics import Scores, mean_scores, score
from reconstruction.models.base import Reconstructor

#: A reconstructor with more evaluations per frame than this is validated on a few images only, because it is slow.
MANY_EVALUATIONS = 8
#: Number of rows of the picture.
SHOWN = 4
#: What white means in the picture's error map, as a fraction of the phase range.
ERROR_WHITE = 0.25


@dataclass(frozen=True, eq=False)
class Validation:
    """Mean scores, and a picture of the first images: uint8, shape (rows, columns)."""

    scores: Scores
    picture: NDArray[np.uint8]


def validate(model: Reconstructor, pool: PairPool, few: int) -> Validation:
    """Score ``model`` on a pool, one frame at a time as in live use; a slow model only on the first ``few`` frames."""
    model.eval()
    device, phase_range_rad = model.inside.device, model.config.phase_range_rad
    mask = model.inside[0, 0].cpu().numpy() > 0
    scores, rows = [], []
    count = pool.ready if model.evaluations <= MANY_EVALUATIONS else min(few, pool.ready)
    with torch.inference_mode():
        for index in range(count):
            pair = pool.batch(np.array([index])).to(device)
            phase = model(pair.frames, pair.reference)[0, 0].float().cpu().numpy()
            truth = pair.phase_rad[0, 0].cpu().numpy()
            scores.append(score(phase, truth, mask, phase_range_rad))
            if index < SHOWN:
                rows.append(picture_row(truth, phase, mask, phase_range_rad))
    return Validation(mean_scores(scores), np.concatenate(rows))


def picture_row(
    truth_rad: NDArray[np.float32], phase_rad: NDArray[np.float32], mask: NDArray[np.bool_], phase_range_rad: float
) -> NDArray[np.uint8]:
    """Return truth, reconstruction and absolute error side by side, shape (h, 3 w), on the same grey scale in every picture.

    Black is 0 rad in all three. White is ``phase_range_rad`` in the first two, and a quarter of it in the error.
    """
    error = np.abs(phase_rad - truth_rad) / ERROR_WHITE
    tiles = [np.where(mask, np.nan_to_num(tile) / phase_range_rad, 0) for tile in (truth_rad, phase_rad, error)]
    return np.round(np.clip(np.hstack(tiles), 0, 1) * 255).astype(np.uint8)
