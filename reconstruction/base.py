"""The result of a reconstruction and its error, for every network and engine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from drivers.base import Frame, FrameMark, SpeckleScopeError, frozen_array
from reconstruction.sampling import Sampling


class ReconstructionError(SpeckleScopeError):
    """A frame, reference, model or engine cannot be used as requested."""


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """One reconstructed frame.

    Parameters
    ----------
    phase_rad : ndarray of float32, shape (h, w)
        Phase in radians on the model's grid, over the whole field of view.
    frame_index : int
        The camera's counter of the frame.
    latency_s : float
        Time from the end of exposure (time stamp of the host) to the finished reconstruction, in seconds.
    inference_s : float
        Time inside the engine alone, in seconds.
    model_id : str
        Content hash of the weights.
    engine : str
        Name of the engine.
    mask : ndarray of bool, shape (h, w), optional
        The fibre's disc: where the phase means something, and objects can be segmented. None where it is not known.
    uncertainty_rad : ndarray of float32, shape (h, w), optional
        Standard deviation of the phase, if the model gives one.
    recorded_labels : ndarray of uint16, shape (h, w), optional
        The segmentation that was recorded with a recorded phase.
    is_recorded : bool
        Whether the phase was recorded earlier, and is not computed now.
    model_name : str
        Name of the model or the method, where it is known.
    sampling : Sampling, optional
        How it was drawn, if the model draws samples.
    """

    phase_rad: NDArray[np.float32]
    frame_index: int
    latency_s: float
    inference_s: float
    model_id: str
    engine: str
    mask: NDArray[np.bool_] | None = None
    uncertainty_rad: NDArray[np.float32] | None = None
    recorded_labels: NDArray[np.uint16] | None = None
    is_recorded: bool = False
    model_name: str = ""
    sampling: Sampling | None = None

    def __post_init__(self) -> None:
        for name in ("phase_rad", "mask", "uncertainty_rad", "recorded_labels"):
            array = getattr(self, name)
            if array is not None:
                object.__setattr__(self, name, frozen_array(array))

    @cached_property
    def is_finite(self) -> bool:
        """Whether every value of the phase is a number."""
        return bool(np.isfinite(self.phase_rad).all())

    def with_mark(self, frame: Frame) -> Frame:
        """Return the frame that was reconstructed; it is marked if the phase is not finite."""
        return frame if self.is_finite else frame.marked((FrameMark.NAN,), readable=False)
