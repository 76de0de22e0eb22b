"""Proof by light that pairs belong together: every stored frame is compared with what the twin predicts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from acquisition.archive.writer import Archive
from drivers.twin.optics import FibreOptics

LAGS = (-2, -1, 0, 1, 2)
#: Predicted speckles that correlate more than this cannot be told apart in noise.
SAME = 0.98


@dataclass(frozen=True)
class PairAudit:
    """Result of an audit.

    ``undecided`` pairs have only neighbours whose patterns give the same speckle; ``smallest_margin`` is the least lead of
    lag 0 in correlation over any other lag.
    """

    pairs: int
    wrong: int
    undecided: int
    smallest_margin: float


def audit_pairs(archive: Archive, optics: FibreOptics, batch: int = 8) -> PairAudit:
    """Count pairs whose frame fits a neighbour's pattern as well as or better than its own.

    The speckle of each stored pattern is computed without noise and correlated with the stored frames at lags -2..+2;
    lag 0 has to win. Neighbours whose own predicted speckle is the same but for ``1 - SAME`` decide nothing and are left out.
    The audit knows nothing of triggers and counters, so it can contradict them.

    Parameters
    ----------
    archive : Archive
        A dataset captured on the twin.
    optics : FibreOptics
        The same fibre.
    batch : int
        Patterns per evaluation of the twin.
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
    return PairAudit(len(rows), wrong, undecided, float(min(margins)))


def _unit(image: NDArray[np.float32]) -> NDArray[np.float32]:
    flat = image.ravel() - image.mean()
    return np.asarray(flat / max(float(np.linalg.norm(flat)), 1e-9), np.float32)
