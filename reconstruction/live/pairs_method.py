"""Live phase from a few reference pairs, without a model, and the scores of this method and of a model on these pairs."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.retune import ReferencePairs
from reconstruction.base import ReconstructionError
from reconstruction.engines.base import Counts
from reconstruction.few_pair.few_pair import FewPair
from reconstruction.few_pair.likelihood import CELL_PX
from reconstruction.field import to_grid
from reconstruction.live.live_reconstructor import LiveMethod
from reconstruction.metrics import pearson


def pairs_grid_px(frame_shape: tuple[int, int]) -> int:
    """Return the side of the phase images from reference pairs; raises ReconstructionError unless the frames are square."""
    if frame_shape[0] != frame_shape[1]:
        raise ReconstructionError(f"live phase needs square frames, the camera gives {frame_shape}; set a square ROI")
    return frame_shape[0] // CELL_PX


class PairsMethod:
    """The fast estimate of :class:`reconstruction.few_pair.few_pair.FewPair`, frame by frame.

    Parameters
    ----------
    reference_pairs : ReferencePairs
        Reference pairs of the fibre in its present shape.
    grid_px : int
        Side of the phase images; 0 is that of the estimate.

    Raises
    ------
    ReconstructionError
        The frames are not square, or the pairs cannot be used.
    """

    engine = "displacements"

    def __init__(self, reference_pairs: ReferencePairs, grid_px: int = 0) -> None:
        self._shape = (reference_pairs.reference.shape[0], reference_pairs.reference.shape[1])
        self._grid_px = grid_px or pairs_grid_px(self._shape)
        self._pairs = FewPair(reference_pairs.frames, reference_pairs.phases_rad)
        self._phases = reference_pairs.phases_rad
        self._frames = reference_pairs.frames
        digest = hashlib.sha256()
        for frame in reference_pairs.frames:
            digest.update(frame.tobytes())
        self.id = digest.hexdigest()[:12]
        self.name = f"{len(reference_pairs.frames)} reference pairs"
        self.mask = self._on_grid(self._pairs.lit.astype(np.float32)) > 0.5
        # The phase of every pair, estimated from the other pairs.
        self._estimates = [self._on_grid(self._pairs.live_estimate(frame, k)) for k, frame in enumerate(self._frames)]
        self._contrast = self._fitted_contrast()

    def check_frame(self, shape: tuple[int, ...]) -> None:
        """Raise ReconstructionError when frames of ``shape`` do not fit."""
        if shape != self._shape:
            raise ReconstructionError(f"the reference pairs have {self._shape} px, the camera gives {shape} px; re-tune")

    def run(self, frame: Counts, reference: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the phase in radians, shape (grid_px, grid_px).

        Its absolute level is unknown, so the first percentile inside the disc is set to 0.
        """
        del reference  # the reference pairs contain it
        return self._with_piston(self._pairs.live_estimate(frame))

    def correlation(self) -> float:
        """Return the mean correlation of the pairs with their displayed phase, each estimated from the others."""
        return float(np.mean([self._agreement(k, estimate) for k, estimate in enumerate(self._estimates)]))

    def correlation_of(self, other: LiveMethod, reference: NDArray[np.float32]) -> float:
        """Return the same mean correlation for another method on the frames of the pairs."""
        return float(np.mean([self._agreement(k, other.run(frame, reference)) for k, frame in enumerate(self._frames)]))

    def _agreement(self, index: int, phase: NDArray[np.float32]) -> float:
        truth = self._on_grid(self._phases[index])
        return pearson(self._on_grid(phase)[self.mask], truth[self.mask])

    def _with_piston(self, phase: NDArray[np.float32]) -> NDArray[np.float32]:
        grid = self._on_grid(phase) * np.float32(self._contrast)
        return np.asarray(grid - np.float32(np.percentile(grid[self.mask], 1)), np.float32)

    def _fitted_contrast(self) -> float:
        """Return the least-squares factor from estimates to displayed phase: displacements in a window are too small."""
        estimates = [estimate[self.mask] - estimate[self.mask].mean() for estimate in self._estimates]
        truths = [self._on_grid(phase)[self.mask] for phase in self._phases]
        power = sum(float(estimate @ estimate) for estimate in estimates)
        shared = sum(float(e @ (t - t.mean())) for e, t in zip(estimates, truths, strict=True))
        return float(np.clip(shared / max(power, 1e-9), 0.5, 3.0))

    def _on_grid(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        if image.shape[0] >= self._grid_px:
            return to_grid(image, self._grid_px)
        size = (self._grid_px, self._grid_px)
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.float32)
