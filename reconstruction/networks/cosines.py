"""The basis of cosines (DCT-II): two products with a matrix, which every engine can compute."""

from __future__ import annotations

import torch
from torch import nn


class CosineBasis(nn.Module):
    """Turns square pictures into their cosines and back; it learns nothing, and weights do not contain it.

    Parameters
    ----------
    side_px : int
        Side of the pictures.
    """

    cosines: torch.Tensor
    transposed: torch.Tensor

    def __init__(self, side_px: int) -> None:
        super().__init__()
        index = torch.arange(side_px, dtype=torch.float64)
        cosines = torch.cos(torch.pi / side_px * index[:, None] * (index[None] + 0.5)) * (2 / side_px) ** 0.5
        cosines[0] /= 2**0.5
        self.register_buffer("cosines", cosines.float(), persistent=False)
        # A copy in memory: OpenVINO 2026 in float32 computes wrong products with a transposed constant on the left.
        self.register_buffer("transposed", cosines.T.float().contiguous(), persistent=False)

    def waves(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return the amplitudes of the cosines of pictures (b, 1, side_px, side_px), in float32."""
        return self.cosines @ pictures.float() @ self.transposed

    def back(self, waves: torch.Tensor) -> torch.Tensor:
        """Return the pictures with these amplitudes (b, 1, side_px, side_px)."""
        return self.transposed @ waves @ self.cosines
