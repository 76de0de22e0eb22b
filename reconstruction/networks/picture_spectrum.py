"""The power spectrum of a picture, estimated from its reconstruction, and samples that are given this spectrum.

A reconstruction has too little power at frequencies that the light does not hold, and noise at frequencies that the picture
does not have: leaves have fine structures, cells hardly any. The rest of the reconstruction shows which of both is the case.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from reconstruction.field import disc_window
from reconstruction.models.losses import centred
from reconstruction.networks.cosines import CosineBasis

#: Bands of frequency; each is wider than the one before.
_BANDS, _WIDENING = 24, 1.7
_HIDDEN = 128
#: Mean and sample are changed so many times, because bands change their neighbours.
_ROUNDS = 2
#: Power in rad^2 that is added before a logarithm; see :mod:`reconstruction.evaluation.spectrum`.
_LEAST_POWER = 1e-6
#: Phase in radians that counts as black or as white.
_NEAR_RAD = 0.02
#: At least this part of a band's power differs from sample to sample.
_LEAST_PART = 0.01
#: Estimates change the amplitude at a frequency by no more than this factor.
_MOST_GAIN = 8.0


class PictureSpectrum(nn.Module):
    """Estimates the spectrum of a picture from a reconstruction of it, and gives it to samples.

    A network of three layers gets the logarithms of the reconstruction's power in bands of frequency, how much of the disc is
    black and white, and whether its edges are few and sharp or many and soft.

    Parameters
    ----------
    inside : tensor, shape (1, 1, g, g)
        1 in the fibre's disc, 0 elsewhere.
    phase_range_rad : float
        Phase of white.
    """

    inside: torch.Tensor
    window: torch.Tensor
    weights: torch.Tensor
    averages: torch.Tensor
    between: torch.Tensor
    is_trained: torch.Tensor

    def __init__(self, inside: torch.Tensor, phase_range_rad: float) -> None:
        super().__init__()
        side_px = inside.shape[-1]
        self.phase_range_rad = phase_range_rad
        window = torch.from_numpy(disc_window(inside[0, 0].numpy() > 0)).float()[None, None]
        averages, between = _bands(side_px)
        for name, value in (
            ("inside", inside),
            ("window", window),
            # White noise of 1 rad has the power 1 in all bands; squares of such waves also fit into 16 bits.
            ("weights", window * side_px / window.square().sum().sqrt()),
            ("averages", averages),
            ("between", between),
        ):
            self.register_buffer(name, value, persistent=False)
        self.basis = CosineBasis(side_px)
        bands = averages.shape[1]
        #: 1 after training; before, samples are left as they are.
        self.register_buffer("is_trained", torch.zeros(()))
        self.scale = nn.BatchNorm1d(bands + 3, affine=False)
        last = nn.Linear(_HIDDEN, bands)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        hidden = [nn.Linear(bands + 3, _HIDDEN), nn.SiLU(), nn.Linear(_HIDDEN, _HIDDEN), nn.SiLU()]
        self.guess = nn.Sequential(*hidden, last)

    def log_power(self, phase_rad: torch.Tensor) -> torch.Tensor:
        """Return the natural logarithm of the power in every band, (b, bands), of pictures (b, 1, g, g) in radians."""
        mean = (phase_rad * self.window).sum((2, 3), keepdim=True) / self.window.sum()
        waves = self.basis.waves((phase_rad - mean) * self.weights)
        return (waves.square().flatten(1) @ self.averages + _LEAST_POWER).log()

    def estimated(self, phase_rad: torch.Tensor) -> torch.Tensor:
        """Return the logarithm of the power that the picture behind a reconstruction (b, 1, g, g) has: (b, bands)."""
        logs = self.log_power(phase_rad)
        area = self.inside.sum()
        black = ((phase_rad < _NEAR_RAD) * self.inside).sum((2, 3)) / area
        white = ((phase_rad > self.phase_range_rad - _NEAR_RAD) * self.inside).sum((2, 3)) / area
        facts = self.scale(torch.cat([logs, black, white, self._sharpness(phase_rad)], 1))
        return logs + torch.as_tensor(self.guess(facts))

    def loss(self, phase_rad: torch.Tensor, truth_rad: torch.Tensor) -> torch.Tensor:
        """Return the mean square error of the estimate; no gradient reaches the reconstruction."""
        if self.training:
            self.is_trained.fill_(1.0)
        with torch.autocast(phase_rad.device.type, enabled=False):
            error = self.estimated(phase_rad.detach().float()) - self.log_power(truth_rad.float())
            return error.square().mean()

    def given_to(self, samples: torch.Tensor, mean_rad: torch.Tensor, *, keeps_mean: bool) -> torch.Tensor:
        """Return samples (b, 1, g, g) in radians with the spectrum that is estimated from their mean; their pistons stay.

        What samples add to their mean becomes stronger or weaker. Where the mean itself has too much power, it loses some,
        unless ``keeps_mean``: then samples have too much power there.
        """
        with torch.autocast(samples.device.type, enabled=False):
            mean, added = mean_rad.float(), samples.float() - mean_rad.float()
            wanted = self.estimated(mean)
            for _ in range(0 if keeps_mean else _ROUNDS):
                mean = mean + self._change(mean, (wanted - self.log_power(mean)).clamp(max=0.0))
            power = wanted.exp()
            lacking = torch.maximum(power - self.log_power(mean).exp(), _LEAST_PART * power).log()
            for _ in range(_ROUNDS):
                added = added + self._change(added, lacking - self.log_power(added))
            return mean + added

    def _change(self, samples: torch.Tensor, logs: torch.Tensor) -> torch.Tensor:
        """Return the change, with mean 0 in the disc, that multiplies the power of bands by factors with these logarithms."""
        side_px = samples.shape[-1]
        most = math.log(_MOST_GAIN)
        gain = (0.5 * self.is_trained * logs @ self.between).clamp(-most, most).exp().reshape(-1, 1, side_px, side_px)
        # The window, because the edge of the disc would ring.
        waves = self.basis.waves(centred(samples, self.inside) * self.window)
        change = self.basis.back(waves * (gain - 1))
        return centred(change, self.inside) * self.inside

    def _sharpness(self, phase_rad: torch.Tensor) -> torch.Tensor:
        """Return the logarithm of the kurtosis of the slopes in the disc: high for few sharp edges, (b, 1)."""
        both = self.inside[..., 1:, 1:] * self.inside[..., :-1, :-1]
        down = phase_rad[..., 1:, 1:] - phase_rad[..., :-1, 1:]
        right = phase_rad[..., 1:, 1:] - phase_rad[..., 1:, :-1]
        slope = (down.square() + right.square()) * both
        mean, mean_square = slope.sum((2, 3)) / both.sum(), slope.square().sum((2, 3)) / both.sum()
        return ((mean_square + _LEAST_POWER) / (mean + _LEAST_POWER).square()).log()


def _bands(side_px: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weights from cosines to means of bands, (side_px^2, bands), and from bands to cosines, (bands, side_px^2)."""
    edges = np.unique(np.rint(side_px * (np.arange(_BANDS + 1) / _BANDS) ** _WIDENING).clip(1))
    index = np.arange(side_px)
    ring = np.hypot(index[:, None], index[None]).ravel()
    which = np.digitize(np.rint(ring), edges) - 1
    bands = len(edges) - 1
    members = np.stack([which == band for band in range(bands)], 1).astype(np.float64)
    centres = (edges[:-1] + edges[1:] - 1) / 2
    between = np.stack([np.interp(ring, centres, row) for row in np.eye(bands)])
    return torch.from_numpy(members / members.sum(0)).float(), torch.from_numpy(between).float()
