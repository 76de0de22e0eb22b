"""The twin's camera chip: intensity to counts, with full well, shot noise, read noise, quantisation and saturation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True)
class SensorConfig:
    """A small industrial CMOS sensor at unit gain.

    ``electrons_per_s`` is the photo-electron rate of a pixel at intensity 1 (the mean over the fibre); with the default
    exposure of 10 ms the mean speckle lies at 14 % of full scale, as in the real captures.
    """

    full_well_e: float = 10_500.0
    electrons_per_s: float = 147_000.0
    read_noise_e: float = 3.0


def expose(
    intensity: torch.Tensor,
    exposure_s: float,
    bit_depth: int,
    config: SensorConfig,
    generator: torch.Generator | None = None,
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Turn intensity into raw counts.

    Parameters
    ----------
    intensity : tensor, shape (..., H, W)
        Relative intensity, 1 is the fibre's mean.
    exposure_s : float
        Exposure time in seconds.
    bit_depth : int
        8 gives uint8; 10, 12 and 16 give right-justified uint16.
    config : SensorConfig
        The chip.
    generator : torch.Generator, optional
        Source of the noise.

    Returns
    -------
    ndarray of uint8 or uint16, shape (..., H, W)

    Notes
    -----
    Shot noise is drawn as a normal with Poisson variance, indistinguishable above some ten electrons.
    """
    electrons = intensity * (config.electrons_per_s * exposure_s)
    variance = electrons + config.read_noise_e**2
    noise = torch.randn(electrons.shape, generator=generator, device=electrons.device)
    electrons = electrons + variance.clamp(min=0).sqrt() * noise
    top = 2**bit_depth - 1
    counts = (electrons * (top / config.full_well_e)).round().clamp(0, top)
    if bit_depth <= 8:
        return counts.to(torch.uint8).cpu().numpy()
    return counts.to(torch.int32).cpu().numpy().astype(np.uint16)
