"""The simulated camera's sensor: intensity to counts, with shot noise, read noise, full well, quantisation, saturation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True)
class SensorConfig:
    """A small industrial CMOS sensor.

    Parameters
    ----------
    full_well_e : float
        Electrons at full scale.
    electrons_per_s : float
        Photo-electrons per second of a pixel at intensity 1, the mean over the fibre. With an exposure of 10 ms the mean of the
        speckle is 14 % of full scale, as in the real captures.
    read_noise_e : float
        Standard deviation of the read noise in electrons.
    gain_db : float
        Gain in decibels: at 6 dB half the electrons reach full scale. Noise in electrons stays the same.
    """

    full_well_e: float = 10_500.0
    electrons_per_s: float = 147_000.0
    read_noise_e: float = 3.0
    gain_db: float = 0.0

    def binned(self, binning: int) -> SensorConfig:
        """Return the sensor whose pixels are the sum of ``binning x binning`` pixels, each read with its own noise."""
        return replace(self, read_noise_e=self.read_noise_e * binning)


def expose(
    intensity: torch.Tensor,
    exposure_s: float,
    bit_depth: int,
    config: SensorConfig,
    generator: torch.Generator | None = None,
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Convert intensity to raw counts.

    Parameters
    ----------
    intensity : tensor, shape (..., H, W)
        Relative intensity; 1 is the mean over the fibre.
    exposure_s : float
        Exposure time in seconds.
    bit_depth : int
        8 gives uint8; 10, 12 and 16 give right-justified uint16.
    config : SensorConfig
        The sensor.
    generator : torch.Generator, optional
        Source of the noise.

    Returns
    -------
    ndarray of uint8 or uint16, shape (..., H, W)

    Notes
    -----
    Shot noise is drawn from a normal distribution with Poisson variance, which is accurate above about ten electrons.
    """
    electrons = intensity * (config.electrons_per_s * exposure_s)
    variance = electrons + config.read_noise_e**2
    noise = torch.randn(electrons.shape, generator=generator, device=electrons.device)
    electrons = electrons + variance.clamp(min=0).sqrt() * noise
    top = 2**bit_depth - 1
    counts = (electrons * (10 ** (config.gain_db / 20) * top / config.full_well_e)).round().clamp(0, top)
    if bit_depth <= 8:
        return counts.to(torch.uint8).cpu().numpy()
    return counts.to(torch.int32).cpu().numpy().astype(np.uint16)
