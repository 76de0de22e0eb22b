"""A filter between pictures of some power spectrum and pictures whose power is the same at every frequency.

Noise that has the spectrum of the pictures hides all frequencies at the same time. White noise would hide large structures only
when fine ones are long gone, and a sampler of few steps has no time for that.
"""

from __future__ import annotations

import torch
from torch import nn

#: A spectrum is averaged over some hundred batches.
_MOMENTUM = 0.01
#: Smallest power, relative to the mean of all frequencies: the filter's gain stays finite.
_LEAST_POWER = 1e-4


class Whitening(nn.Module):
    """Filters pictures (b, 1, n, n) in the basis of cosines; in training it averages the power spectrum of what it whitens.

    The cosine transform (DCT-II) is two products with a matrix, which every engine can do.

    Parameters
    ----------
    side_px : int
        Side of the pictures.
    """

    cosines: torch.Tensor
    ring: torch.Tensor
    power: torch.Tensor
    batches: torch.Tensor

    def __init__(self, side_px: int) -> None:
        super().__init__()
        index = torch.arange(side_px, dtype=torch.float64)
        cosines = torch.cos(torch.pi / side_px * index[:, None] * (index[None] + 0.5)) * (2 / side_px) ** 0.5
        cosines[0] /= 2**0.5
        self.register_buffer("cosines", cosines.float(), persistent=False)
        ring = torch.hypot(index[:, None], index[None]).round().long().clamp(max=side_px - 1)
        self.register_buffer("ring", ring, persistent=False)
        self.register_buffer("power", torch.ones(side_px))
        self.register_buffer("batches", torch.zeros((), dtype=torch.long))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return white pictures of these pictures."""
        with torch.autocast(pictures.device.type, enabled=False):
            waves = self.cosines @ pictures.float() @ self.cosines.T
            if self.training:
                self._measure(waves.detach())
            return self.cosines.T @ (waves / self._gain()) @ self.cosines

    def coloured(self, white: torch.Tensor) -> torch.Tensor:
        """Return pictures of the average spectrum of white ones: the inverse of :meth:`forward`."""
        with torch.autocast(white.device.type, enabled=False):
            waves = self.cosines @ white.float() @ self.cosines.T
            return self.cosines.T @ (waves * self._gain()) @ self.cosines

    def _gain(self) -> torch.Tensor:
        power = self.power.clamp(min=_LEAST_POWER)
        return power.sqrt()[self.ring]

    def _measure(self, waves: torch.Tensor) -> None:
        """Average the power in rings of equal frequency, with equal weights at first."""
        flat = self.ring.flatten()
        count = torch.bincount(flat, minlength=len(self.power))
        power = torch.zeros_like(self.power).index_add_(0, flat, waves.square().mean((0, 1)).flatten()) / count
        self.batches += 1
        self.power.lerp_(power, max(_MOMENTUM, 1 / float(self.batches)))
