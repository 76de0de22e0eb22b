"""Loss functions of networks that give a phase directly."""

from __future__ import annotations

import math

import torch

from reconstruction.metrics import ssim_map


def phase_loss(
    phase: torch.Tensor, truth: torch.Tensor, inside: torch.Tensor, phase_range_rad: float, ssim_weight: float = 0.6
) -> torch.Tensor:
    """Return the absolute error in the disc, with and without the mean phase, plus ``ssim_weight * (1 - SSIM)``.

    Phases are tensors of shape (b, 1, h, w) in radians; ``inside`` is 1 in the fibre's disc and 0 elsewhere.
    """
    with torch.autocast(phase.device.type, enabled=False):
        area = inside.sum()
        error = (phase - truth) * inside
        piston_rad = error.sum((2, 3), keepdim=True) / area
        absolute = error.abs().sum() / (len(phase) * area)
        centred = ((error - piston_rad) * inside).abs().sum() / (len(phase) * area)
        similarity = (ssim_map(phase * inside, truth * inside, phase_range_rad) * inside).sum() / (len(phase) * area)
        return (0.5 * absolute + centred) / phase_range_rad * 4 + ssim_weight * (1 - similarity)


def centred(phase: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Return the phase (b, 1, h, w) without its mean in the disc."""
    return phase - (phase * inside).sum((2, 3), keepdim=True) / inside.sum()


def uncertain_loss(phase: torch.Tensor, std: torch.Tensor, truth: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Return the negative log likelihood of the errors in the disc, for a Laplace distribution with this standard deviation.

    Constant terms are omitted. Phase errors have long tails, mainly at edges and from the guessed mean phase. With the squares
    of a Gaussian these few errors would dominate the loss. Kendall and Gal, NeurIPS 2017, section 4.1, use the absolute error
    for the same reason.
    """
    with torch.autocast(phase.device.type, enabled=False):
        likelihood = std.log() + math.sqrt(2) * (phase - truth).abs() / std
        return (likelihood * inside).sum() / (len(phase) * inside.sum())
