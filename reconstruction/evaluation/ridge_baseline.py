"""The baseline of every comparison: ridge regression from the raw frame to the phase, without calibration and reference.

It is one linear map from intensities to phase. It is fitted in dual form, so the size of the problem is the number of pairs and
not of pixels (Saunders et al., "Ridge regression learning algorithm in dual variables", ICML 1998). A method that is not better
than the baseline has learned nothing about the fibre.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconstruction.base import ReconstructionError
from reconstruction.field import to_grid

#: Side of the frame in the regression; a frame of 512 px keeps half of its resolution.
FEATURE_PX = 256
#: Ridge penalties that are tried, in units of the mean diagonal of the Gram matrix.
_RIDGES = tuple(10.0**power for power in range(-4, 4))


class RidgeBaseline:
    """Linear map from a frame's intensities to phase.

    Parameters
    ----------
    frames : iterable of ndarray, shape (H, W)
        Counts of the training pairs.
    phase_rad : ndarray of float32, shape (n, grid, grid)
        Phases of the training pairs.

    Raises
    ------
    ReconstructionError
        There are fewer than two pairs.
    """

    name = "ridge on raw intensity"
    engine = "numpy fp32"
    evaluations = 1

    def __init__(self, frames: Iterable[NDArray[Any]], phase_rad: NDArray[np.float32]) -> None:
        features = np.stack([_features(frame) for frame in frames])
        if len(features) < 2 or len(features) != len(phase_rad):
            raise ReconstructionError(f"ridge regression takes at least 2 training pairs, got {len(features)}; add pairs")
        self._shape = phase_rad.shape[1:]
        self._mean_in = features.mean(0)
        self._mean_out = phase_rad.reshape(len(features), -1).mean(0)
        self._features = features - self._mean_in
        outputs = phase_rad.reshape(len(features), -1) - self._mean_out
        gram = (self._features @ self._features.T).astype(np.float64)
        self.ridge = _best_ridge(gram, (outputs @ outputs.T).astype(np.float64))
        self._dual = np.linalg.solve(gram + self.ridge * np.eye(len(gram)), outputs.astype(np.float64)).astype(np.float32)

    @property
    def parameters(self) -> int:
        """Number of parameters that it stores."""
        return self._features.size + self._dual.size + self._mean_in.size + self._mean_out.size

    def run(self, frame: NDArray[Any], reference: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the phase (grid, grid) in radians; the reference is not used."""
        del reference
        products = self._features @ (_features(frame) - self._mean_in)
        return np.asarray((products @ self._dual + self._mean_out).reshape(self._shape), np.float32)


def _features(frame: NDArray[Any]) -> NDArray[np.float32]:
    counts = frame.astype(np.float32)
    shrunk = to_grid(counts, FEATURE_PX) if len(counts) > FEATURE_PX else counts
    return np.asarray(shrunk.ravel() / max(float(shrunk.mean()), 1e-6), np.float32)


def _best_ridge(gram: NDArray[np.float64], outputs: NDArray[np.float64]) -> float:
    """Return the penalty of least leave-one-out error over the training pairs, from the Gram matrices of inputs and outputs.

    The error of a pair that is left out is its residual divided by 1 - H_ii, where H maps outputs to fitted outputs (Hastie,
    Tibshirani and Friedman, The Elements of Statistical Learning, equation 7.64). The term 1 / n is for the fitted means.
    """
    count = len(gram)
    values, vectors = np.linalg.eigh(gram)
    errors = {}
    for relative in _RIDGES:
        ridge = relative * float(np.trace(gram)) / count
        residual = (vectors * (ridge / (np.maximum(values, 0) + ridge))) @ vectors.T  # 1 - H without the means
        squared = np.einsum("ij,jk,ik->i", residual, outputs, residual, optimize=True)
        errors[ridge] = float((squared / np.maximum(np.diag(residual) - 1 / count, 1e-9) ** 2).sum())
    return min(errors, key=lambda ridge: errors[ridge])
