"""The mean of several samples of a model, as a method of its own."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from reconstruction.engines.base import Counts
from reconstruction.models.model import Model

#: Number of samples.
MEAN_OF = 8
#: Larger frames have no such method: a mean of samples would take minutes a frame.
MOST_FRAME_PX = 128


class SampledMean:
    """The mean of :data:`MEAN_OF` samples, which are drawn as one batch.

    Parameters
    ----------
    model : Model
        A model that draws samples.
    name : str
        Name in the comparison.
    """

    engine = "torch fp32"

    def __init__(self, model: Model, name: str) -> None:
        self.name = name
        self.model = model
        self.evaluations = MEAN_OF * model.network.evaluations

    def run(self, frame: Counts, reference: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the phase, (grid, grid) in radians."""
        counts, flat = (torch.from_numpy(np.array(image, np.float32))[None, None] for image in (frame, reference))
        with torch.inference_mode():
            samples = self.model.network.sample(counts, flat, range(MEAN_OF))
        return mean_of(samples.flatten(0, -3).numpy(), self.model.card.phase_range_rad)


def mean_of(samples_rad: NDArray[np.float32], phase_range_rad: float) -> NDArray[np.float32]:
    """Return the mean of samples (k, grid, grid) in radians; it lies between 0 and white, as all patterns do."""
    return np.asarray(samples_rad.mean(0).clip(0, phase_range_rad), np.float32)


def mean_name(name: str) -> str:
    """Return the name of the mean's row: ``-mean8`` comes before the minutes that end the name of a model."""
    base, dash, last = name.rpartition("-")
    mark = f"-mean{MEAN_OF}"
    return f"{base}{mark}-{last}" if dash and last.isdecimal() else f"{name}{mark}"


def has_mean(model: Model) -> bool:
    """Whether a comparison gives the mean of samples a row of its own."""
    return model.network.gives_samples and model.frame_px <= MOST_FRAME_PX
