"""A batch of pairs, and what training takes batches from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray


class Pairs(Protocol):
    """What training takes batches from: pairs in memory, or a twin that makes them when asked."""

    @property
    def ready(self) -> int:
        """Number of pairs; it may still grow."""

    def pictures_rad(self) -> NDArray[np.float32]:
        """Return the displayed phase of all pairs, (n, g, g), whole."""

    def batch(self, indices: NDArray[np.int64], seed: int) -> Batch:
        """Return these pairs; whatever is drawn for them is drawn from ``seed``."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Pairs to learn from.

    Parameters
    ----------
    frames : tensor of float32, shape (b, 1, H, W)
        Raw camera counts.
    reference : tensor of float32, shape (1, 1, H, W) or (b, 1, H, W)
        Speckle under the flat pattern, in counts.
    phase_rad : tensor of float32, shape (b, 1, truth_px, truth_px)
        Displayed phase, on the grid that the reconstructor's ``truth_px`` names.
    """

    frames: torch.Tensor
    reference: torch.Tensor
    phase_rad: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """Return it on ``device``."""
        return replace(self, **{key: value.to(device) for key, value in vars(self).items() if isinstance(value, torch.Tensor)})
