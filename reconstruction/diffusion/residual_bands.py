"""The residual of a mean, in parts whose strengths have little to do with each other: piston, large and fine structures.

The mean phase (piston) is half of the power of a residual, some fifty cosines of large structures are much of the rest. Neither
says how strong fine structures are at a pixel. So each part has a standard deviation of its own: one number of a frame for the
piston, one for the large structures, and a map for the fine ones. The fine ones have a spectrum of their own in every frame:
cells have less of the finest structures than leaves. Divided by its standard deviations and its spectrum, the residual becomes
white. White noise in the place of a white residual hides all structures at the same time, so a sampler needs few steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from reconstruction.networks.cosines import CosineBasis

#: Rings of spatial frequency, in half periods across the grid, that count as large structures: 1 to this minus 1.
FIRST_FINE_RING = 8
#: A spectrum is averaged over some hundred batches.
_MOMENTUM = 0.01
#: Numbers that describe the spectrum of a frame relative to the average: at frequencies of equal ratio.
SPECTRUM_KNOTS = 8
#: Smallest power of a ring, relative to the mean: gains stay finite.
_LEAST_POWER = 1e-4


@dataclass(frozen=True, eq=False)
class BandStd:
    """Standard deviations of the parts of a residual, in radians.

    Parameters
    ----------
    piston, large : tensor, shape (b, 1, 1, 1)
        Of the mean phase, and of large structures at a pixel.
    fine : tensor, shape (b, 1, g, g)
        Of fine structures at every pixel.
    log_spectrum : tensor, shape (b, SPECTRUM_KNOTS)
        Logarithm of the amplitude of fine structures relative to the average of all frames, from low to high frequencies.
    """

    piston: torch.Tensor
    large: torch.Tensor
    fine: torch.Tensor
    log_spectrum: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        """Standard deviation of the residual at every pixel, (b, 1, g, g)."""
        return (self.piston.square() + self.large.square() + self.fine.square()).sqrt()

    def detach(self) -> BandStd:
        """Return the same without gradients."""
        return BandStd(self.piston.detach(), self.large.detach(), self.fine.detach(), self.log_spectrum.detach())


@dataclass(frozen=True, eq=False)
class Bands:
    """The parts of a residual in radians, of the shapes of :class:`BandStd`; ``large`` is a map, too."""

    piston: torch.Tensor
    large: torch.Tensor
    fine: torch.Tensor


class ResidualBands(nn.Module):
    """Splits residuals, makes them white, and colours noise; in training it averages the spectrum of what it makes white.

    Everything is done in the basis of cosines (DCT-II), which is two products with a matrix: every engine can do that.

    Parameters
    ----------
    inside : tensor, shape (1, 1, g, g)
        1 in the fibre's disc, 0 elsewhere.
    """

    inside: torch.Tensor
    ring: torch.Tensor
    is_fine: torch.Tensor
    is_large: torch.Tensor
    knots: torch.Tensor
    knots_of_cosines: torch.Tensor
    power: torch.Tensor
    batches: torch.Tensor

    def __init__(self, inside: torch.Tensor) -> None:
        super().__init__()
        side_px = inside.shape[-1]
        self.basis = CosineBasis(side_px)
        index = torch.arange(side_px, dtype=torch.float64)
        ring = torch.hypot(index[:, None], index[None]).round().long().clamp(max=side_px - 1)
        first_fine = min(FIRST_FINE_RING, side_px // 4)
        self.first_fine = first_fine
        for name, value in (
            ("inside", inside),
            ("knots", _knots(side_px, first_fine)),
            ("knots_of_cosines", _knots(side_px, first_fine)[:, ring.flatten()].contiguous()),
            ("ring", ring),
            ("is_fine", (ring >= first_fine).float()),
            ("is_large", ((ring > 0) & (ring < first_fine)).float()),
        ):
            self.register_buffer(name, value, persistent=False)
        self.register_buffer("power", torch.ones(side_px))
        self.register_buffer("batches", torch.zeros((), dtype=torch.long))

    def split(self, residual: torch.Tensor) -> Bands:
        """Return the parts of residuals (b, 1, g, g) in radians; outside the disc they are 0 before they are filtered."""
        with torch.autocast(residual.device.type, enabled=False):
            residual = residual.float() * self.inside
            piston = residual.sum((2, 3), keepdim=True) / self.inside.sum()
            centred = (residual - piston) * self.inside
            large = self.basis.back(self.basis.waves(centred) * self.is_large) * self.inside
            return Bands(piston, large, (centred - large) * self.inside)

    def white(self, bands: Bands, std: BandStd) -> torch.Tensor:
        """Return the fine and large structures of a residual as a white picture (b, 1, g, g), without its piston."""
        with torch.autocast(bands.fine.device.type, enabled=False):
            waves = (
                self.basis.waves(bands.fine / std.fine) * self.is_fine
                + self.basis.waves(bands.large / std.large) * self.is_large
            )
            if self.training:
                self._measure(waves.detach())
            return self.basis.back(waves / self._gain(std))

    def spectrum_loss(self, bands: Bands, std: BandStd) -> torch.Tensor:
        """Return the negative logarithm of the likelihood of the frames' spectra, without constants; all rings weigh alike."""
        with torch.autocast(bands.fine.device.type, enabled=False), torch.no_grad():
            power = self._power_in_rings(self.basis.waves(bands.fine / std.fine)) / self.power.clamp(min=_LEAST_POWER)
        logs = std.log_spectrum.float() @ self.knots
        return (logs + 0.5 * power * (-2 * logs).exp())[:, self.first_fine :].mean()

    def fine(self, picture: torch.Tensor) -> torch.Tensor:
        """Return the fine structures of white pictures (b, 1, g, g)."""
        with torch.autocast(picture.device.type, enabled=False):
            return self.basis.back(self.basis.waves(picture) * self.is_fine)

    def coloured(self, white: torch.Tensor, std: BandStd) -> torch.Tensor:
        """Return the residual in radians of a white picture (b, 1, g, g), whose mean is that of the piston."""
        with torch.autocast(white.device.type, enabled=False):
            waves = self.basis.waves(white)
            piston = waves[..., :1, :1]
            waves = waves * self._gain(std)
            large, fine = self.basis.back(waves * self.is_large), self.basis.back(waves * self.is_fine)
            return (std.piston * piston + std.large * large + std.fine * fine) * self.inside

    def _gain(self, std: BandStd) -> torch.Tensor:
        """Return the amplitude of every cosine, (b, 1, g, g): that of the average spectrum, changed by that of the frame."""
        side_px = len(self.power)
        logs = (std.log_spectrum.float() @ self.knots_of_cosines).reshape(-1, 1, side_px, side_px)
        return self.power.clamp(min=_LEAST_POWER).sqrt()[self.ring] * logs.exp()

    def _power_in_rings(self, waves: torch.Tensor) -> torch.Tensor:
        """Return the mean power in rings of equal frequency, (b, rings), as if the disc filled the square like noise."""
        flat = self.ring.flatten()
        count = torch.bincount(flat, minlength=len(self.power))
        empty = waves.new_zeros((len(waves), len(self.power)))
        return empty.index_add_(1, flat, waves.square().flatten(1)) / count / self.inside.mean()

    def _measure(self, waves: torch.Tensor) -> None:
        """Average the power in rings, with equal weights at first."""
        self.batches += 1
        self.power.lerp_(self._power_in_rings(waves).mean(0), max(_MOMENTUM, 1 / float(self.batches)))


def _knots(side_px: int, first: int) -> torch.Tensor:
    """Return the weight of every knot at every ring, (SPECTRUM_KNOTS, side_px): linear between knots, 0 below ``first``."""
    rings = torch.arange(side_px, dtype=torch.float64)
    place = (rings.clamp(min=first) / first).log() / torch.tensor((side_px - 1) / first).log() * (SPECTRUM_KNOTS - 1)
    weights = (1 - (place[None] - torch.arange(SPECTRUM_KNOTS)[:, None]).abs()).clamp(min=0)
    return torch.where(rings >= first, weights, 0).float()
