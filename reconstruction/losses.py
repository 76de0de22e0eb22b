"""What networks that give a phase directly are trained to make small."""

from __future__ import annotations

import torch

from reconstruction.metrics import ssim_map


def phase_loss(
    phase: torch.Tensor, truth: torch.Tensor, inside: torch.Tensor, range_rad: float, ssim_weight: float = 0.6
) -> torch.Tensor:
    """Absolute error in the disc, with and without the mean phase, plus ``ssim_weight * (1 - SSIM)``; tensors (b, 1, h, w)."""
    with torch.autocast(phase.device.type, enabled=False):
        area = inside.sum()
        error = (phase - truth) * inside
        level = error.sum((2, 3), keepdim=True) / area
        absolute = error.abs().sum() / (len(phase) * area)
        centred = ((error - level) * inside).abs().sum() / (len(phase) * area)
        similarity = (ssim_map(phase * inside, truth * inside, range_rad) * inside).sum() / (len(phase) * area)
        return (0.5 * absolute + centred) / range_rad * 4 + ssim_weight * (1 - similarity)


def centred(phase: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Phase (b, 1, h, w) without its mean in the disc."""
    return phase - (phase * inside).sum((2, 3), keepdim=True) / inside.sum()


def uncertain_loss(phase: torch.Tensor, std: torch.Tensor, truth: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Negative log likelihood of a Gaussian in the disc, each pixel weighted by its own std (beta-NLL with beta 1/2).

    Seitzer et al., "On the pitfalls of heteroscedastic uncertainty estimation", ICLR 2022, equation 5: plain likelihood gives
    up on pixels that are hard.
    """
    with torch.autocast(phase.device.type, enabled=False):
        likelihood = std.log() + 0.5 * ((phase - truth) / std).square()
        return (likelihood * std.detach() * inside).sum() / (std.detach() * inside).sum()
