"""The contract of every engine: fixed shapes, warmed, equal to torch, and silent about where it runs."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reconstruction.base import ReconstructionError


class EngineError(ReconstructionError):
    """An engine could not be built or does not compute what torch computes."""


class Engine(Protocol):
    """Runs one model, one frame at a time; made, used and destroyed by one thread."""

    @property
    def name(self) -> str:
        """Short name with precision, for status lines: ``onnxruntime f32``."""

    def run(self, frame: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reconstruct.

        Parameters
        ----------
        frame, reference : ndarray of float32, shape (frame_px, frame_px)
            Camera counts.

        Returns
        -------
        ndarray of float32, shape (grid_px, grid_px)
            Phase in radians; a new array at every call.
        """
