"""Torch on the CPU: always available, and the standard with which every other engine is compared."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from reconstruction.engines.base import Counts
from reconstruction.models.model import Model


class TorchEngine:
    """Runs the network itself."""

    name = "torch fp32"

    def __init__(self, model: Model) -> None:
        self._network = model.network
        self._reference: tuple[NDArray[np.float32], torch.Tensor] | None = None

    def run(self, frame: Counts, reference: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reconstruct one frame; see :class:`reconstruction.engines.base.Engine`."""
        if self._reference is None or self._reference[0] is not reference:
            self._reference = reference, torch.from_numpy(np.array(reference, np.float32))[None, None]
        with torch.inference_mode():
            counts = torch.from_numpy(np.array(frame, np.float32))[None, None]
            return np.array(self._network(counts, self._reference[1])[0, 0].numpy())
