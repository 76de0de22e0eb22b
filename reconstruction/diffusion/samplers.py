"""Samplers: from noise to an image, with a network that estimates the noise in a noisy image.

A noisy image is y = sqrt(gamma) x + sqrt(1 - gamma) eps. Every step estimates the clean image x, then moves y from gamma to the
next, higher gamma. After the last step gamma is 1 and no noise remains. y is float32; coefficients are computed in float64.
Each sampler takes

- ``denoiser``: estimates the clean image, see :class:`Denoiser`;
- ``y``: unit normal noise, shape (b, c, h, w), float32;
- ``gammas``: increasing, one evaluation each (:mod:`reconstruction.diffusion.schedules`);
- ``noise``: returns new unit normal noise of y's shape at every call;

and returns the image, shape (b, c, h, w), float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

Gammas = Sequence[float] | NDArray[np.float64]
PredictEps = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Noise = Callable[[], torch.Tensor]
Sampler = Callable[["Denoiser", torch.Tensor, Gammas, Noise], torch.Tensor]


@dataclass(frozen=True)
class Denoiser:
    """Estimates the clean image in a noisy one.

    Parameters
    ----------
    predict_eps : callable
        From a noisy image (b, c, h, w) and its gamma (b,) to the noise (b, c, h, w).
    clip : bool
        Whether estimates are clipped to -1..1: yes for images, no for residuals.
    """

    predict_eps: PredictEps
    clip: bool = True

    def clean(self, y: torch.Tensor, gamma: float) -> torch.Tensor:
        """Return the estimated clean image of a noisy image ``y`` (b, c, h, w)."""
        eps = self.predict_eps(y, torch.full((len(y),), gamma, device=y.device)).float()
        x = (y - math.sqrt(1 - gamma) * eps) / math.sqrt(gamma)
        return x.clamp(-1, 1) if self.clip else x


def ancestral(denoiser: Denoiser, y: torch.Tensor, gammas: Gammas, noise: Noise) -> torch.Tensor:
    """Draw from the forward process's posterior given the estimate (Ho et al., NeurIPS 2020, equations 6 and 7)."""
    for g, g_next in _steps(gammas):
        x = denoiser.clean(y, g)
        alpha, variance = g / g_next, _posterior_variance(g, g_next)
        y = (1 - alpha) * math.sqrt(g_next) / (1 - g) * x + (1 - g_next) * math.sqrt(alpha) / (1 - g) * y
        # The last step adds no noise. In all other steps the published clamp of the variance at 1e-20 has no effect.
        y = y + math.sqrt(variance) * noise() if g_next < 1 else y
    return y


def renoise(denoiser: Denoiser, y: torch.Tensor, gammas: Gammas, noise: Noise) -> torch.Tensor:
    """Add new noise to every estimate (SpecDiffusion, equation 2)."""
    for g, g_next in _steps(gammas):
        x = denoiser.clean(y, g)
        y = math.sqrt(g_next) * x + math.sqrt(1 - g_next) * noise() if g_next < 1 else x
    return y


def ddim(denoiser: Denoiser, y: torch.Tensor, gammas: Gammas, noise: Noise, eta: float = 0.0) -> torch.Tensor:
    """Keep the estimated noise (Song et al., ICLR 2021, equation 12); with ``eta`` 1 it is :func:`ancestral`."""
    for g, g_next in _steps(gammas):
        x = denoiser.clean(y, g)
        eps = (y - math.sqrt(g) * x) / math.sqrt(1 - g)  # noise that belongs to the clipped estimate, not the network's output
        variance = eta**2 * _posterior_variance(g, g_next)
        y = math.sqrt(g_next) * x + math.sqrt(max(0.0, 1 - g_next - variance)) * eps
        y = y + math.sqrt(variance) * noise() if variance > 0 else y
    return y


def dpmpp_2m(denoiser: Denoiser, y: torch.Tensor, gammas: Gammas, noise: Noise) -> torch.Tensor:
    """Use a multistep solver of second order in log-SNR (Lu et al., "DPM-Solver++", 2022, algorithm 2); draws no noise."""
    x_before, h_before = y, 0.0
    for step, (g, g_next) in enumerate(_steps(gammas)):
        x = denoiser.clean(y, g)
        h = _half_log_snr(g_next) - _half_log_snr(g)
        slope = 0.0 if step == 0 or g_next == 1 else h / (2 * h_before)
        mixed = (1 + slope) * x - slope * x_before
        y = math.sqrt((1 - g_next) / (1 - g)) * y - math.sqrt(g_next) * math.expm1(-h) * mixed
        x_before, h_before = x, h
    return y


#: All samplers by their names in configurations.
SAMPLERS: dict[str, Sampler] = {"ancestral": ancestral, "renoise": renoise, "ddim": ddim, "dpmpp-2m": dpmpp_2m}


def _steps(gammas: Gammas) -> Iterator[tuple[float, float]]:
    levels = [float(gamma) for gamma in gammas]
    return zip(levels, [*levels[1:], 1.0], strict=True)


def _posterior_variance(g: float, g_next: float) -> float:
    return (1 - g / g_next) * (1 - g_next) / (1 - g)


def _half_log_snr(gamma: float) -> float:
    return math.inf if gamma == 1 else 0.5 * math.log(gamma / (1 - gamma))
