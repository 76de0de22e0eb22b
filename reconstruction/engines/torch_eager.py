"""Torch on the CPU: always available, and the standard with which every other engine is compared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from reconstruction.engines.base import Counts, Estimate, estimate_of, network_input
from reconstruction.models.model import Model


class TorchEngine:
    """Runs the network itself."""

    name = "torch fp32"

    def __init__(self, model: Model) -> None:
        self._network = model.network
        self._reference: tuple[NDArray[np.float32], torch.Tensor] | None = None

    def run(self, frame: Counts, reference: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reconstruct one frame; see :class:`reconstruction.engines.base.Engine`."""
        return np.array(self._run(self._network, frame, reference)[0])

    def run_with_sigma(self, frame: Counts, reference: NDArray[np.float32]) -> Estimate:
        """Reconstruct one frame; see :class:`reconstruction.engines.base.UncertainEngine`."""
        return estimate_of(self._run(self._network.with_sigma, frame, reference))

    def drawn(self, frame: Counts, reference: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reconstruct one frame; see :class:`reconstruction.engines.base.DrawingEngine`."""
        start = torch.from_numpy(noise)
        return np.array(self._run(lambda counts, flat: self._network.drawn(counts, flat, start), frame, reference))

    def _run(
        self, compute: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], frame: Counts, reference: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        if self._reference is None or self._reference[0] is not reference:
            self._reference = reference, torch.from_numpy(np.array(network_input(reference)))
        with torch.inference_mode():
            counts = torch.from_numpy(np.array(network_input(frame)))
            return np.asarray(compute(counts, self._reference[1])[0].numpy())
