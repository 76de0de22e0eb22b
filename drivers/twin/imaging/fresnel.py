"""Propagation of a field, in the Fresnel approximation (Goodman, Introduction to Fourier Optics, 3rd ed., section 4.2)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F


def frequencies_squared(shape: tuple[int, int], pixel_um: float, device: torch.device | str = "cpu") -> torch.Tensor:
    """Return the squared spatial frequency in 1/um^2, (h, w), in the order of ``torch.fft``."""
    y, x = (torch.fft.fftfreq(side, pixel_um, device=device, dtype=torch.float64) for side in shape)
    return y[:, None] ** 2 + x**2


def propagated(field: torch.Tensor, distance_um: float, wavelength_um: float, pixel_um: float) -> torch.Tensor:
    """Return a field after a distance in free space, without the constant phase of the distance.

    Parameters
    ----------
    field : tensor of complex64 or complex128, shape (..., h, w)
        The field; it goes on periodically, so that what leaves at one edge enters at the other.
    distance_um : float
        Distance; negative for the field before.
    wavelength_um, pixel_um : float
        Wavelength in the medium, and sampling of the field.

    Returns
    -------
    tensor, shape (..., h, w)
        The field there (Goodman eq. 4-21).
    """
    squared = frequencies_squared((field.shape[-2], field.shape[-1]), pixel_um, field.device)
    # In double precision: far from the origin the phase is large, and only its remainder counts.
    turn = torch.remainder(-math.pi * wavelength_um * distance_um * squared, 2 * math.pi)
    transfer = torch.polar(torch.ones_like(turn), turn).to(field.dtype)
    return torch.fft.ifft2(torch.fft.fft2(field) * transfer)


def reach_px(distance_um: float, wavelength_um: float, pixel_um: float) -> int:
    """Return how far the light of the finest detail goes sideways, in pixels: half of the sampling frequency, rounded up."""
    return math.ceil(wavelength_um * abs(distance_um) / (2 * pixel_um**2))


def mirrored(image: torch.Tensor, margin_px: int) -> torch.Tensor:
    """Continue images (b, c, h, w) by their mirror images on all sides, so that the edge of the field diffracts no light."""
    margins = [min(margin_px, side - 1) for side in (image.shape[-1], image.shape[-2])]
    return F.pad(image, (margins[0], margins[0], margins[1], margins[1]), mode="reflect")
