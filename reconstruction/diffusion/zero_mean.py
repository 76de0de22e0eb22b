"""Zero-Mean Diffusion: a network gives the mean of the phase, and a diffusion model what is missing in it (arXiv 2406.04388).

With ``y`` the phase on -1..1 and ``mu`` the mean, the residual ``r = (y - mu) / sigma`` has the mean zero, so that a diffusion
model starts from noise of its own width. One network sees the noisy residual, the frame and ``mu``; its loss is

    |eps - eps_theta(sqrt(g) r + sqrt(1 - g) eps, frame, mu, g)|^2 + 2 |y - mu|^2

in which no gradient passes through ``mu`` in the first term. The phase has one fixed scale, and no picture is normalised, so it
is quantitative. Samples are drawn without the clip to -1..1 that pictures have.

Two things differ from the publication. Colours are divided by their means and not by their maxima, which single bright pixels
decide. And the network gets the logarithm of the ratio of signal and noise in place of ``g``, which hardly separates levels
with much noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F

from reconstruction.data.batch import Batch
from reconstruction.diffusion.sampled import SampledDiffusion, SamplingConfig
from reconstruction.diffusion.schedules import draw_gamma
from reconstruction.networks.film_unet import FilmUNet, FilmUNetShape, log_snr_embedding
from reconstruction.networks.step_unet import StepUNet

#: Weight of the mean's squared error.
_MEAN_WEIGHT = 2.0
#: Share of a new batch in the running mean square of the residual.
_MOMENTUM = 0.02
#: Residual before it is measured, on -1..1, as published.
_FIRST_RESIDUAL = 0.5


@dataclass(frozen=True)
class ZeroMeanConfig(SamplingConfig):
    """Shapes of both networks, and the default sampling.

    Parameters
    ----------
    channels : int
        Colours or planes of a frame.
    base_channels, multipliers, residual_blocks, heads
        Of the denoiser; see :class:`~reconstruction.networks.film_unet.FilmUNetShape`.
    mean_channels, mean_multipliers : int, tuple of int
        Widths of the network of the mean.
    residual_std : float
        ``sigma`` on -1..1; 0 measures it in training.
    """

    channels: int = 3
    base_channels: int = 16
    multipliers: tuple[int, ...] = (1, 2, 4)
    residual_blocks: int = 1
    heads: int = 4
    mean_channels: int = 24
    mean_multipliers: tuple[int, ...] = (1, 2, 4, 8)
    residual_std: float = 0.0
    sampler: str = "ddim"
    schedule: str = "uniform-8"

    def __post_init__(self) -> None:
        super().__post_init__()
        halvings = max(len(self.multipliers), len(self.mean_multipliers)) - 1
        if self.grid_px % 2**halvings:
            raise ValueError(f"grid_px {self.grid_px} cannot be halved {halvings} times")
        if self.channels < 1 or self.residual_std < 0:
            raise ValueError(f"a frame has 1 channel or more, and residual_std is 0 or more, got {self}")


class ZeroMeanDiffusion(SampledDiffusion):
    """A network's mean, and samples of what is missing in it.

    Parameters
    ----------
    config : ZeroMeanConfig
        Shapes and sampling.
    """

    kind: ClassVar[str] = "zmd"
    learning_rate: ClassVar[float] = 1e-3
    config: ZeroMeanConfig

    #: Mean square of ``y - mu`` in training, on -1..1.
    residual_square: torch.Tensor

    def __init__(self, config: ZeroMeanConfig) -> None:
        super().__init__(config)
        self.mean = StepUNet(config.channels, 1, config.mean_channels, config.mean_multipliers)
        shape = FilmUNetShape(
            base_channels=config.base_channels,
            multipliers=config.multipliers,
            residual_blocks=config.residual_blocks,
            dropout=0.0,
            heads=config.heads,
            norm="batch",
        )
        self.network = FilmUNet(config.channels + 2, 1, shape, log_snr_embedding)
        self.register_buffer("residual_square", torch.tensor(_FIRST_RESIDUAL**2))

    @property
    def channels(self) -> int:
        """Number of colours or planes of a frame."""
        return self.config.channels

    @property
    def evaluations(self) -> int:
        """Evaluations of a network for one frame: the mean, and one for each step of each sample."""
        return 1 + super().evaluations

    def parts(self) -> dict[str, tuple[torch.Tensor, ...]]:
        """Return both networks without the sampler's loop, with examples of their inputs."""
        side, channels = self.config.grid_px, self.config.channels
        return {
            "mean": (torch.zeros((1, channels, side, side)),),
            "network": (torch.zeros((1, channels + 2, side, side)), torch.full((1,), 0.5)),
        }

    def condition(self, frame: torch.Tensor) -> torch.Tensor:
        """Return frames (b, c, frame_px, frame_px) around 0, and the mean on -1..1: (b, c + 1, grid_px, grid_px)."""
        cells = F.avg_pool2d(frame.float(), frame.shape[-1] // self.config.grid_px)
        colours = cells / (cells.mean((2, 3), keepdim=True) + 1e-6) - 1
        return torch.cat([colours, self.mean(colours).float()], 1)

    def mean_of(self, condition: torch.Tensor, samples: torch.Tensor) -> torch.Tensor:
        """Return the mean of all samples that are possible: that of the network, because the residual has none."""
        return self._in_rad(condition[:, -1:])

    def sampled(self, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return a sample, (b, 1, grid_px, grid_px) in radians, for each condition and its noise."""

        def predict_eps(y: torch.Tensor, gamma: torch.Tensor) -> torch.Tensor:
            return torch.as_tensor(self.network(torch.cat([y, condition], 1), gamma))

        residual = self.run_sampler(predict_eps, noise, clip=False)
        return self._in_rad(condition[:, -1:] + self._sigma * residual)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the squared errors of noise and mean, inside the field."""
        condition = self.condition(batch.frames)
        clean = 2 * batch.phase_rad / self.config.phase_range_rad - 1
        error = (clean - condition[:, -1:]) * self.inside
        if self.training and not self.config.residual_std:
            self.residual_square.lerp_(error.detach().square().mean() / self.inside.mean(), _MOMENTUM)
        residual, known = error.detach() / self._sigma, condition.detach()
        gamma = draw_gamma(len(clean)).to(clean.device)
        signal, eps = gamma[:, None, None, None], torch.randn(clean.shape).to(clean.device)
        estimate = self.network(torch.cat([signal.sqrt() * residual + (1 - signal).sqrt() * eps, known], 1), gamma).float()
        of_noise = ((estimate - eps) * self.inside).square().mean()
        return (of_noise + _MEAN_WEIGHT * error.square().mean()) / self.inside.mean()

    @property
    def _sigma(self) -> torch.Tensor:
        fixed = self.config.residual_std
        return self.residual_square.new_tensor(fixed) if fixed else self.residual_square.sqrt()

    def _in_rad(self, image: torch.Tensor) -> torch.Tensor:
        return (image + 1) / 2 * self.config.phase_range_rad
