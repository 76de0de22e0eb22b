"""A batch of pairs, and the protocol of everything that training takes batches from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray


class Pairs(Protocol):
    """Source of training batches: pairs in memory, or a twin that simulates pairs on request."""

    @property
    def ready(self) -> int:
        """Number of pairs that are available now; it may still grow."""

    def pictures_rad(self) -> NDArray[np.float32]:
        """Return the displayed phase of all pairs, shape (n, g, g)."""

    def batch(self, indices: NDArray[np.int64], seed: int) -> Batch:
        """Return these pairs; all random numbers for them come from ``seed``."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Training pairs.

    Parameters
    ----------
    frames : tensor of float32, shape (b, channels, H, W)
        Raw camera counts.
    reference : tensor of float32, shape (1, channels, H, W) or (b, channels, H, W)
        Frame under the flat pattern, in counts.
    phase_rad : tensor of float32, shape (b, 1, truth_px, truth_px)
        Displayed phase, on the grid that the reconstructor's ``truth_px`` gives.
    """

    frames: torch.Tensor
    reference: torch.Tensor
    phase_rad: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """Return a copy on ``device``."""
        return replace(self, **{key: value.to(device) for key, value in vars(self).items() if isinstance(value, torch.Tensor)})
