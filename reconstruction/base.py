"""The result of a reconstruction and its error, for every network and engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from drivers.base import Frame, FrameMark, SpeckleScopeError, frozen_array


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
    segmenter : callable, optional
        Computes ``labels`` from the phase.
    uncertainty_rad : ndarray of float32, shape (h, w), optional
        Standard deviation of the phase, if the model gives one.
    """

    phase_rad: NDArray[np.float32]
    frame_index: int
    latency_s: float
    inference_s: float
    model_id: str
    engine: str
    segmenter: Callable[[NDArray[np.float32]], NDArray[np.uint16]] | None = None
    uncertainty_rad: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        for name in ("phase_rad", "uncertainty_rad"):
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

    @cached_property
    def labels(self) -> NDArray[np.uint16] | None:
        """Segmentation (h, w): 0 is background; 1, 2, ... are the objects; None without a segmenter or a finite phase.

        It is computed at the first access, in the thread of the caller: the display needs only 30 frames per second, and the
        engine must not wait for the segmentation.
        """
        if self.segmenter is None or not self.is_finite:
            return None
        labels = self.segmenter(self.phase_rad)
        labels.flags.writeable = False
        return labels
