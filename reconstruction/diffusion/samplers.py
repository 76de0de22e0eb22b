"""Samplers: from noise to an image, by a network that tells the noise in a noisy image.

A noisy image is y = sqrt(gamma) x + sqrt(1 - gamma) eps. Every step estimates the clean image x, then moves y from gamma to
the next, higher gamma; after the last, gamma is 1 and no noise is left. y is float32, coefficients come from float64.
Each sampler takes

- ``predict_eps(y, gamma)``: tensors (b, c, h, w) and (b,) to the noise (b, c, h, w);
- ``y``: unit normal noise, shape (b, c, h, w), float32;
- ``gammas``: rising, one evaluation each (:mod:`reconstruction.diffusion.schedules`);
- ``noise``: returns fresh unit normal noise of y's shape at every call;
- ``clip``: whether estimates are held to -1..1, as for images they are, and for residuals not;

and returns the image, shape (b, c, h, w), float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

Gammas = Sequence[float] | NDArray[np.float64]
PredictEps = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Noise = Callable[[], torch.Tensor]
Sampler = Callable[[PredictEps, torch.Tensor, Gammas, Noise, bool], torch.Tensor]


def ancestral(predict_eps: PredictEps, y: torch.Tensor, gammas: Gammas, noise: Noise, clip: bool = True) -> torch.Tensor:
    """Draw from the forward process's posterior given the estimate (Ho et al., NeurIPS 2020, equations 6 and 7)."""
    for g, g_next in _steps(gammas):
        x = _clean(predict_eps, y, g, clip)
        alpha, variance = g / g_next, _posterior_variance(g, g_next)
        y = (1 - alpha) * math.sqrt(g_next) / (1 - g) * x + (1 - g_next) * math.sqrt(alpha) / (1 - g) * y
        # The last step adds none; the published clamp of the variance at 1e-20 would touch no other.
        y = y + math.sqrt(variance) * noise() if g_next < 1 else y
    return y


def renoise(predict_eps: PredictEps, y: torch.Tensor, gammas: Gammas, noise: Noise, clip: bool = True) -> torch.Tensor:
    """Add noise afresh to every estimate (SpecDiffusion, equation 2)."""
    for g, g_next in _steps(gammas):
        x = _clean(predict_eps, y, g, clip)
        y = math.sqrt(g_next) * x + math.sqrt(1 - g_next) * noise() if g_next < 1 else x
    return y


def ddim(
    predict_eps: PredictEps, y: torch.Tensor, gammas: Gammas, noise: Noise, clip: bool = True, eta: float = 0.0
) -> torch.Tensor:
    """Keep the noise that was found (Song et al., ICLR 2021, equation 12); ``eta`` 1 is :func:`ancestral`."""
    for g, g_next in _steps(gammas):
        x = _clean(predict_eps, y, g, clip)
        eps = (y - math.sqrt(g) * x) / math.sqrt(1 - g)  # what the clipped estimate leaves, not what the network said
        variance = eta**2 * _posterior_variance(g, g_next)
        y = math.sqrt(g_next) * x + math.sqrt(max(0.0, 1 - g_next - variance)) * eps
        y = y + math.sqrt(variance) * noise() if variance > 0 else y
    return y


def dpmpp_2m(predict_eps: PredictEps, y: torch.Tensor, gammas: Gammas, noise: Noise, clip: bool = True) -> torch.Tensor:
    """Multistep solver of second order in log-SNR (Lu et al., "DPM-Solver++", 2022, algorithm 2); draws no noise."""
    x_before, h_before = y, 0.0
    for step, (g, g_next) in enumerate(_steps(gammas)):
        x = _clean(predict_eps, y, g, clip)
        h = _half_log_snr(g_next) - _half_log_snr(g)
        slope = 0.0 if step == 0 or g_next == 1 else h / (2 * h_before)
        mixed = (1 + slope) * x - slope * x_before
        y = math.sqrt((1 - g_next) / (1 - g)) * y - math.sqrt(g_next) * math.expm1(-h) * mixed
        x_before, h_before = x, h
    return y


#: By the names that configurations use.
SAMPLERS: dict[str, Sampler] = {"ancestral": ancestral, "renoise": renoise, "ddim": ddim, "dpmpp-2m": dpmpp_2m}


def _steps(gammas: Gammas) -> Iterator[tuple[float, float]]:
    levels = [float(gamma) for gamma in gammas]
    return zip(levels, [*levels[1:], 1.0], strict=True)


def _clean(predict_eps: PredictEps, y: torch.Tensor, gamma: float, clip: bool) -> torch.Tensor:
    eps = predict_eps(y, torch.full((len(y),), gamma, device=y.device)).float()
    x = (y - math.sqrt(1 - gamma) * eps) / math.sqrt(gamma)
    return x.clamp(-1, 1) if clip else x


def _posterior_variance(g: float, g_next: float) -> float:
    return (1 - g / g_next) * (1 - g_next) / (1 - g)


def _half_log_snr(gamma: float) -> float:
    return math.inf if gamma == 1 else 0.5 * math.log(gamma / (1 - gamma))
