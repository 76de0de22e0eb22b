"""The absolute level of a phase picture, guessed from what the picture looks like: no intensity tells it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from reconstruction.models.losses import centred

_WIDTHS = (16, 32, 48, 64)
_QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)


class PistonNet(nn.Module):
    """From a picture without its mean to that mean, with a standard deviation.

    Structure by convolutions that halve the grid, and the distribution of the phase by its quantiles: phase lies between 0
    and white, so that a picture of full contrast has only one level that fits.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 2
        for width in _WIDTHS:
            layers += [nn.Conv2d(channels, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        self.features = nn.Sequential(*layers)
        self.guess = nn.Sequential(nn.Linear(2 * channels + len(_QUANTILES), 64), nn.ReLU(), nn.Linear(64, 2))

    def forward(self, phase_rad: torch.Tensor, inside: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Guess.

        Parameters
        ----------
        phase_rad : tensor, shape (b, 1, g, g)
            With mean 0 inside the disc.
        inside : tensor, shape (1, 1, g, g)
            1 in the disc.

        Returns
        -------
        piston_rad, std_rad : tensor, shape (b, 1, 1, 1)
        """
        with torch.autocast(phase_rad.device.type, enabled=False):
            disc = inside.expand(len(phase_rad), -1, -1, -1)
            x = self.features(torch.cat([phase_rad * disc, disc], 1))
            area = F.adaptive_avg_pool2d(disc, x.shape[-2:])
            mean = (x * area).sum((2, 3)) / area.sum((2, 3)).clamp(min=1e-6)
            seen = phase_rad.flatten(1)[:, inside.flatten() > 0]
            ranks = torch.tensor(_QUANTILES, device=seen.device)
            quantiles = torch.quantile(seen, ranks, dim=1).T
            piston_rad, width = self.guess(torch.cat([mean, x.amax((2, 3)), quantiles], 1)).split(1, 1)
        return piston_rad[..., None, None], (0.2 * F.softplus(width) + 0.005)[..., None, None]


def fit_piston(
    network: PistonNet,
    pictures_rad: NDArray[np.float32],
    inside: torch.Tensor,
    steps: int = 3000,
    batch: int = 32,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> float:
    """Learn levels from whole pictures alone, slightly blurred and noisy as reconstructions are.

    Parameters
    ----------
    pictures_rad : ndarray of float32, shape (n, g, g)
        Phase as displayed, on the grid.
    inside : tensor, shape (1, 1, g, g)
        1 in the disc.
    steps, batch, seed : int
        Of Adam.
    on_progress : callable
        Called with steps done and in all.

    Returns
    -------
    float
        Mean absolute error of the level over the last hundred steps, in radians.
    """
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    adam = torch.optim.Adam(network.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    errors = []
    network.train().requires_grad_(True)
    with torch.enable_grad():
        for step in range(steps):
            truth = torch.from_numpy(pictures_rad[rng.integers(len(pictures_rad), size=batch)])[:, None]
            truth = truth.rot90(int(rng.integers(4)), (2, 3)).to(inside.device)
            noise = torch.randn(truth.shape, generator=generator).to(inside.device)
            made = truth + float(rng.uniform(0, 0.15)) * F.avg_pool2d(noise, 3, 1, 1)
            piston_rad = (truth * inside).sum((2, 3), keepdim=True) / inside.sum()
            guess, std = network(centred(made, inside), inside)
            loss = (std.log() + 0.5 * ((guess - piston_rad) / std).square()).mul(std.detach()).mean()
            adam.zero_grad()
            (loss + (guess - piston_rad).abs().mean()).backward()
            adam.step()
            schedule.step()
            errors.append(float((guess - piston_rad).detach().abs().mean()))
            on_progress(step + 1, steps)
    network.eval()
    return float(np.mean(errors[-100:]))
