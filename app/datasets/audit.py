"""An audit of pairs by their speckle: every stored frame is compared with the speckle that the twin predicts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from acquisition.archive.writer import Archive
from drivers.twin.optics import FibreOptics

LAGS = (-2, -1, 0, 1, 2)
#: Two predicted speckles with a higher correlation cannot be distinguished in a noisy frame.
SAME = 0.98


@dataclass(frozen=True, kw_only=True)
class PairAudit:
    """Result of an audit.

    Parameters
    ----------
    pairs : int
        Number of pairs.
    wrong : int
        Pairs whose frame correlates at least as well with the speckle of a neighbouring pattern.
    undecided : int
        Pairs whose neighbours all have patterns with the same speckle.
    smallest_margin : float
        Smallest difference between the correlation at lag 0 and the best correlation at another lag.
    """

    pairs: int
    wrong: int
    undecided: int
    smallest_margin: float


def audit_pairs(archive: Archive, optics: FibreOptics, batch: int = 8) -> PairAudit:
    """Count pairs whose frame belongs to the pattern of a neighbour.

    The speckle of each stored pattern is computed without noise and correlated with the stored frames at lags -2 to +2. The
    correlation at lag 0 must be the highest. Neighbours whose predicted speckle correlates more than ``SAME`` with the pair's
    own are not compared. The audit does not use triggers and frame counters, so it can detect their errors.

    Parameters
    ----------
    archive : Archive
        A dataset that was captured on the twin.
    optics : FibreOptics
        The same fibre.
    batch : int
        Number of patterns that the twin computes at once.
    """
    rows = archive.rows()
    predicted: list[NDArray[np.float32]] = []
    for start in range(0, len(rows), batch):
        phases = np.stack([archive.read("phase", i) for i in range(start, min(start + batch, len(rows)))])
        with torch.inference_mode():
            predicted.extend(_unit(image) for image in optics.intensity(torch.from_numpy(phases)).numpy())
    wrong = undecided = 0
    margins = [np.inf]
    for row in rows:
        frame = _unit(archive.read("speckle", row.index).astype(np.float32))
        own = float(frame @ predicted[row.index])
        others = [
            float(frame @ predicted[row.index + lag])
            for lag in LAGS
            if lag and 0 <= row.index + lag < len(rows) and float(predicted[row.index] @ predicted[row.index + lag]) < SAME
        ]
        if not others:
            undecided += 1
            continue
        margin = own - max(others)
        margins.append(margin)
        wrong += margin <= 0
    return PairAudit(pairs=len(rows), wrong=wrong, undecided=undecided, smallest_margin=float(min(margins)))


def _unit(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an image as a vector of length 1 with mean 0: the product of two is their correlation."""
    flat = image.ravel() - image.mean()
    return np.asarray(flat / max(float(np.linalg.norm(flat)), 1e-9), np.float32)
