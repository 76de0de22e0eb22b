"""The basis of cosines (DCT-II): two products with a matrix, which every engine can compute."""

from __future__ import annotations

import torch


def cosine_matrix(side_px: int) -> torch.Tensor:
    """Return the orthonormal matrix whose row k is the cosine of k half periods: float32, (side_px, side_px)."""
    index = torch.arange(side_px, dtype=torch.float64)
    cosines = torch.cos(torch.pi / side_px * index[:, None] * (index[None] + 0.5)) * (2 / side_px) ** 0.5
    cosines[0] /= 2**0.5
    return cosines.float()
