"""The piston, which is the mean phase of a picture, estimated from its shape; intensities do not depend on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from reconstruction.models.losses import centred

_WIDTHS = (16, 32, 48, 64)
_QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)


class PistonNet(nn.Module):
    """Estimates the mean of a picture from the picture without its mean, with a standard deviation.

    Convolutions that halve the grid describe the structure, quantiles describe the distribution of the phase. The phase lies
    between 0 and white, so only one piston is possible for a picture of full contrast.
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
        """Estimate the piston.

        Parameters
        ----------
        phase_rad : tensor, shape (b, 1, g, g)
            Phase in radians, with mean 0 inside the disc.
        inside : tensor, shape (1, 1, g, g)
            1 inside the disc, 0 outside.

        Returns
        -------
        piston_rad, std_rad : tensor, shape (b, 1, 1, 1)
            The piston and its standard deviation.
        """
        with torch.autocast(phase_rad.device.type, enabled=False):
            disc = inside.expand(len(phase_rad), -1, -1, -1)
            x = self.features(torch.cat([phase_rad * disc, disc], 1))
            area = F.adaptive_avg_pool2d(disc, x.shape[-2:])
            mean = (x * area).sum((2, 3)) / area.sum((2, 3)).clamp(min=1e-6)
            values = phase_rad.flatten(1)[:, inside.flatten() > 0]
            ranks = torch.tensor(_QUANTILES, device=values.device)
            quantiles = torch.quantile(values, ranks, dim=1).T
            piston_rad, width = self.guess(torch.cat([mean, x.amax((2, 3)), quantiles], 1)).split(1, 1)
        return piston_rad[..., None, None], (0.2 * F.softplus(width) + 0.005)[..., None, None]


@dataclass(frozen=True)
class PistonTraining:
    """Settings of the training of a :class:`PistonNet`.

    Parameters
    ----------
    steps : int
        Steps of Adam.
    batch : int
        Pictures per step.
    seed : int
        Seed of the choice of pictures and of the noise.
    """

    steps: int = 3000
    batch: int = 32
    seed: int = 0


def fit_piston(
    network: PistonNet,
    pictures_rad: NDArray[np.float32],
    inside: torch.Tensor,
    training: PistonTraining | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> float:
    """Train the network on whole pictures alone, with some noise as reconstructions have.

    Parameters
    ----------
    network : PistonNet
        The network to train.
    pictures_rad : ndarray of float32, shape (n, g, g)
        Displayed phase on the grid.
    inside : tensor, shape (1, 1, g, g)
        1 inside the disc, 0 outside.
    training : PistonTraining, optional
        Settings.
    on_progress : callable
        Called with the number of steps done and the number of all steps.

    Returns
    -------
    float
        Mean absolute error of the piston over the last hundred steps, in radians.
    """
    training = training or PistonTraining()
    rng = np.random.default_rng(training.seed)
    generator = torch.Generator().manual_seed(training.seed)
    adam = torch.optim.Adam(network.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, training.steps)
    errors = []
    network.train().requires_grad_(requires_grad=True)
    with torch.enable_grad():
        for step in range(training.steps):
            truth = torch.from_numpy(pictures_rad[rng.integers(len(pictures_rad), size=training.batch)])[:, None]
            truth = truth.rot90(int(rng.integers(4)), (2, 3)).to(inside.device)
            noise = torch.randn(truth.shape, generator=generator).to(inside.device)
            noisy = truth + float(rng.uniform(0, 0.15)) * F.avg_pool2d(noise, 3, 1, 1)
            piston_rad = (truth * inside).sum((2, 3), keepdim=True) / inside.sum()
            estimate, std = network(centred(noisy, inside), inside)
            loss = (std.log() + 0.5 * ((estimate - piston_rad) / std).square()).mul(std.detach()).mean()
            adam.zero_grad()
            (loss + (estimate - piston_rad).abs().mean()).backward()
            adam.step()
            schedule.step()
            errors.append(float((estimate - piston_rad).detach().abs().mean()))
            on_progress(step + 1, training.steps)
    network.eval()
    return float(np.mean(errors[-100:]))
