"""What a reconstructor takes and gives, whatever network or engine is behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from drivers.base import SpeckleScopeError, frozen_array


class ReconstructionError(SpeckleScopeError):
    """A frame, reference, model or engine cannot be used as asked."""


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """One reconstructed frame.

    Parameters
    ----------
    phase_rad : ndarray of float32, shape (h, w)
        Phase in radians on the model's grid, over the whole field of view.
    frame_index : int
        The camera's counter of the frame it came from.
    latency_s : float
        From the end of exposure (as time-stamped by the host) to the finished reconstruction, in seconds.
    inference_s : float
        Time inside the engine alone.
    model_id : str
        Content hash of the weights.
    engine : str
        Name of the engine that ran.
    segmenter : callable, optional
        Gives ``labels`` from the phase.
    uncertainty_rad : ndarray of float32, shape (h, w), optional
        One standard deviation of the phase, where the model gives it.
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
    def labels(self) -> NDArray[np.uint16] | None:
        """Segmentation (h, w): 0 is background, 1.. are objects; None without a segmenter.

        Made when first asked for, by whoever asks: an eye takes 30 frames a second, and the engine should not wait for it.
        """
        if self.segmenter is None:
            return None
        labels = self.segmenter(self.phase_rad)
        labels.flags.writeable = False
        return labels
