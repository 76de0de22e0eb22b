"""The contract of every engine: fixed shapes, warmed, equal to torch, and silent about where it runs."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from reconstruction.base import ReconstructionError

#: What a camera counted, as it came or averaged.
Counts = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]

#: How an engine calculates where it may choose; counts, the front end and phase are always 32 bit floats.
Precision = Literal["fp32", "fp16", "bf16", "int8"]


class EngineError(ReconstructionError):
    """An engine could not be built or does not compute what torch computes."""


#: What a failing engine raises: torch, OpenVINO and ONNX Runtime know nothing better than these.
FAILURES = (EngineError, RuntimeError, MemoryError, ValueError, OSError)


class Engine(Protocol):
    """Runs one model, one frame at a time; made, used and destroyed by one thread."""

    @property
    def name(self) -> str:
        """Short name with precision, for status lines: ``onnxruntime fp32``."""

    def run(self, frame: Counts, reference: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reconstruct.

        Parameters
        ----------
        frame : ndarray of uint8, uint16 or float32, shape (frame_px, frame_px)
            Camera counts.
        reference : ndarray of float32, shape (frame_px, frame_px)
            Mean speckle under the flat pattern, in counts. Not changed in place as long as it is in use: an engine
            takes the same array over only once.

        Returns
        -------
        ndarray of float32, shape (grid_px, grid_px)
            Phase in radians; a new array at every call.
        """
