"""Plain torch on the CPU: always there, and the reference for every other engine."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from reconstruction.engines.base import Counts
from reconstruction.model import Model


class TorchEngine:
    """Runs the network itself."""

    name = "torch f32"

    def __init__(self, model: Model) -> None:
        self._network = model.network

    def run(self, frame: Counts, reference: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reconstruct one frame; see :class:`reconstruction.engines.base.Engine`."""
        with torch.inference_mode():
            inputs = (torch.from_numpy(np.array(image, np.float32))[None, None] for image in (frame, reference))
            return np.array(self._network(*inputs)[0, 0].numpy())
