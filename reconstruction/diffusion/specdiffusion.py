"""SpecDiffusion as published: a diffusion model that draws phase images that are compatible with the speckle.

The input of the network is the speckle, averaged to the phase's grid, together with a noisy phase image. The network estimates
the noise. It has no reference as input, and its loss includes the grid outside the fibre's disc. Only the scaling of counts to
the condition differs from the publication.

Some options help where a training is short. The network can estimate the clean picture in place of the noise (``predicts``).
It can begin as a regressor (``mean_only``), which has nothing but the speckle. A fraction of the draws can be pure noise
(``pure_noise``): a network that sees little noise can do without the speckle, and learns late to use it. And batch norm can
replace group norm (``norm``), and residual blocks then start with random weights. The speckle of a fibre has a pattern that is
the same in every frame, and an object changes it a little. As published the network hardly learned this change. Regressors of
two million weights at 64 px, batches of 16 pairs: after 900 steps the correlation on held-out images was 0.45 with batch norm,
after 500 to 600 steps 0.0 as published, and 0.05 with batch norm but blocks that start as the identity.

A sample of the posterior has twice the squared error of the posterior's mean: more steps give more realistic images, not a
higher PSNR. Samples show texture and uncertainty (:meth:`SpecDiffusion.deviation`). The mean of K samples has 1 + 1/K times the
squared error of the posterior's mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

import torch
import torch.nn.functional as F

from reconstruction.data.batch import Batch
from reconstruction.diffusion.sampled import SampledDiffusion, SamplingConfig
from reconstruction.diffusion.schedules import GAMMA_NOISIEST, draw_gamma
from reconstruction.models.losses import phase_loss
from reconstruction.networks.film_unet import FilmUNet, FilmUNetShape, Norm, gamma_embedding, log_snr_embedding
from reconstruction.networks.speckle_only import shrunk_speckle

#: Factor on the condition. On the twin an object changes the condition by 0.13 of a frame's mean. With this factor the change
#: has a standard deviation of 0.5, about that of phase on -1..1, and the whole condition, with grain and dark rim, one of 2.6.
CONDITION_GAIN = 4.0


#: Largest weight of a picture's squared error, for estimates of the picture; the weight grows with the signal in the input.
_MOST_WEIGHT = 5.0


class Prediction(StrEnum):
    """What the network estimates."""

    #: As published.
    NOISE = "noise"
    PICTURE = "picture"


@dataclass(frozen=True)
class SpecDiffusionConfig(SamplingConfig):
    """Shape of the network, with the published defaults, and the default sampling.

    Parameters
    ----------
    base_channels, multipliers, residual_blocks, heads, dropout, norm
        See :class:`~reconstruction.networks.film_unet.FilmUNetShape`.
    predicts : str
        A value of :class:`Prediction`.
    pure_noise : float
        Fraction of the draws in training whose input is pure noise, 0 to 1; the others are drawn as published.
    mean_only : bool
        Whether the network is trained, and used, as a regressor: it estimates the picture from the speckle, with 0 in the place
        of the noisy picture and the loss of the other networks.
    """

    base_channels: int = 64
    multipliers: tuple[int, ...] = (2, 4, 8)
    residual_blocks: int = 2
    heads: int = 16
    dropout: float = 0.2
    predicts: str = Prediction.NOISE.value
    pure_noise: float = 0.0
    norm: str = Norm.GROUP.value
    mean_only: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.predicts not in list(Prediction) or not 0 <= self.pure_noise <= 1:
            raise ValueError(f"predicts is one of {', '.join(Prediction)} and pure_noise a number from 0 to 1, got {self}")
        if self.mean_only and self.predicts != Prediction.PICTURE:
            raise ValueError(f"a regressor (mean_only) predicts the picture, got predicts = {self.predicts!r}")
        halvings = len(self.multipliers) - 1
        if self.grid_px % 2**halvings:
            raise ValueError(f"grid_px {self.grid_px} cannot be halved {halvings} times")


class SpecDiffusion(SampledDiffusion):
    """Diffusion model of phase given speckle; ``sampler``, ``schedule`` and ``samples_per_frame`` may be changed at any time.

    Parameters
    ----------
    config : SpecDiffusionConfig
        Shape and sampling.
    """

    kind: ClassVar[str] = "specdiffusion"
    learning_rate: ClassVar[float] = 1e-4
    config: SpecDiffusionConfig

    def __init__(self, config: SpecDiffusionConfig) -> None:
        super().__init__(config)
        shape = FilmUNetShape(
            base_channels=config.base_channels,
            multipliers=config.multipliers,
            residual_blocks=config.residual_blocks,
            dropout=config.dropout,
            heads=config.heads,
            norm=config.norm,
        )
        self.predicts = Prediction(config.predicts)
        embedding = gamma_embedding if self.predicts is Prediction.NOISE else log_snr_embedding
        self.network = FilmUNet(2, 1, shape, embedding)

    def parts(self) -> dict[str, tuple[torch.Tensor, ...]]:
        """Return the network without the sampler's loop, with an example of its input."""
        return {"network": (torch.zeros((1, 2, self.config.grid_px, self.config.grid_px)), torch.full((1,), 0.5))}

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the error of the estimates: absolute for the noise, as published, or squared and weighted for the picture.

        That of a regressor is the loss of the other networks.
        """
        if self.config.mean_only:
            mean = self._in_rad(self._mean(self.condition(batch.frames)))
            return phase_loss(mean, batch.phase_rad, self.inside, self.config.phase_range_rad)
        clean = 2 * batch.phase_rad / self.config.phase_range_rad - 1
        gamma = draw_gamma(len(clean))
        # The part of the picture in the input; pure noise has none, though its level is the noisiest that sampling begins at.
        signal = gamma.clone()
        if self.config.pure_noise:
            pure = torch.rand(len(gamma)) < self.config.pure_noise
            gamma[pure], signal[pure] = GAMMA_NOISIEST, 0.0
        gamma, signal = gamma.to(clean.device), signal.to(clean.device)[:, None, None, None]
        eps = torch.randn(clean.shape).to(clean.device)
        noisy = signal.sqrt() * clean + (1 - signal).sqrt() * eps
        estimate = self.network(torch.cat([self.condition(batch.frames), noisy], 1), gamma)
        if self.predicts is Prediction.NOISE:
            return F.l1_loss(estimate, eps)
        weight = (1 / (1 - signal)).clamp(max=_MOST_WEIGHT)
        return ((estimate - clean).square() * weight).mean()

    def sampled(self, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return a sample, (b, 1, grid_px, grid_px) in radians, for each condition and its noise."""
        if self.config.mean_only:
            return self._in_rad(self._mean(condition))

        def predict_eps(y: torch.Tensor, gamma: torch.Tensor) -> torch.Tensor:
            estimate = torch.as_tensor(self.network(torch.cat([condition, y], 1), gamma))
            if self.predicts is Prediction.NOISE:
                return estimate
            level = gamma[:, None, None, None]
            return (y - level.sqrt() * estimate) / (1 - level).sqrt()

        return self._in_rad(self.run_sampler(predict_eps, noise, clip=True))

    def _mean(self, condition: torch.Tensor) -> torch.Tensor:
        """Return what the network makes of the condition (b, 1, grid_px, grid_px) alone, on -1..1."""
        level = condition.new_full((len(condition),), GAMMA_NOISIEST)
        return torch.as_tensor(self.network(torch.cat([condition, torch.zeros_like(condition)], 1), level))

    def _in_rad(self, image: torch.Tensor) -> torch.Tensor:
        return (image + 1) / 2 * self.config.phase_range_rad

    def condition(self, frame: torch.Tensor) -> torch.Tensor:
        """Average frames of counts (b, 1, frame_px, frame_px) to the condition (b, 1, grid_px, grid_px), of mean 0."""
        return CONDITION_GAIN * shrunk_speckle(frame, self.config.grid_px)
