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

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

import torch
import torch.nn.functional as F

from reconstruction.base import ReconstructionError
from reconstruction.data.batch import Batch
from reconstruction.diffusion.samplers import SAMPLERS, Denoiser
from reconstruction.diffusion.schedules import GAMMA_NOISIEST, draw_gamma, preset
from reconstruction.models.base import NetworkConfig, Reconstructor
from reconstruction.models.losses import phase_loss
from reconstruction.networks.film_unet import FilmUNet, FilmUNetShape, Norm, gamma_embedding, log_snr_embedding
from reconstruction.networks.speckle_only import shrunk_speckle

#: Factor on the condition. On the twin an object changes the condition by 0.13 of a frame's mean. With this factor the change
#: has a standard deviation of 0.5, about that of phase on -1..1, and the whole condition, with grain and dark rim, one of 2.6.
CONDITION_GAIN = 4.0


#: Largest weight of a picture's squared error, for estimates of the picture; the weight grows with the signal in the input.
_MOST_WEIGHT = 5.0

#: Samplers that draw new noise in every step but the last.
_NOISY_SAMPLERS = ("ancestral", "renoise")
#: With more steps the network is a graph of its own, and the sampler a loop in torch.
_MOST_STEPS_IN_GRAPH = 8


class Prediction(StrEnum):
    """What the network estimates."""

    #: As published.
    NOISE = "noise"
    PICTURE = "picture"


@dataclass(frozen=True)
class SpecDiffusionConfig(NetworkConfig):
    """Shape of the network, with the published defaults, and the default sampling.

    Parameters
    ----------
    base_channels, multipliers, residual_blocks, heads, dropout, norm
        See :class:`~reconstruction.networks.film_unet.FilmUNetShape`.
    sampler : str
        Name in :data:`~reconstruction.diffusion.samplers.SAMPLERS`.
    schedule : str
        Name for :func:`~reconstruction.diffusion.schedules.preset`.
    seed : int
        Seed of the noise from which a sample starts.
    samples : int
        Number of samples for a standard deviation, at least 2.
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
    sampler: str = "ancestral"
    schedule: str = "paper-100"
    seed: int = 0
    samples: int = 8
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
        if self.sampler not in SAMPLERS:
            raise ValueError(f"sampler is one of {', '.join(SAMPLERS)}, got {self.sampler!r}")
        if self.samples < 2:
            raise ValueError(f"samples must be at least 2 for a standard deviation, got {self.samples}")
        try:
            preset(self.schedule)
        except ReconstructionError as error:
            raise ValueError(str(error)) from error


class SpecDiffusion(Reconstructor):
    """Diffusion model of phase given speckle; ``sampler``, ``schedule`` and ``samples_per_frame`` may be changed at any time.

    Parameters
    ----------
    config : SpecDiffusionConfig
        Shape and sampling.
    """

    kind: ClassVar[str] = "specdiffusion"
    learning_rate: ClassVar[float] = 1e-4
    most_steps: int | None = None
    step_choices = (1, 2, 4, 8, 16, 32, 64)
    config: SpecDiffusionConfig

    def __init__(self, config: SpecDiffusionConfig) -> None:
        super().__init__(config)
        self.sampler = config.sampler
        self.schedule = config.schedule
        self.samples_per_frame = 1
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

    @property
    def evaluations(self) -> int:
        """Evaluations of the network for one frame: one per step."""
        return self.step_count * self.samples_per_frame

    @property
    def exportable(self) -> bool:
        """Whether the sampler's loop can be part of a graph: every step is a copy of the network there."""
        return self.step_count <= _MOST_STEPS_IN_GRAPH

    @property
    def step_count(self) -> int:
        """Steps of the schedule."""
        return len(preset(self.schedule).gammas)

    @property
    def noise_channels(self) -> int:
        """Noise images of all samples of a frame: one to begin with, and one for each further step of some samplers."""
        return self.samples_per_frame * self._noises_per_sample

    @property
    def _noises_per_sample(self) -> int:
        return self.step_count if self.sampler in _NOISY_SAMPLERS else 1

    @property
    def gives_sigma(self) -> bool:
        """Whether there is a standard deviation: the spread of the samples, if there are several of a frame."""
        return self.samples_per_frame > 1

    @property
    def gives_samples(self) -> bool:
        """Whether pictures of one frame differ: always, each begins with other noise."""
        return True

    def set_samples(self, count: int) -> None:
        """Draw ``count`` samples of every frame, which takes that many times as long."""
        self.samples_per_frame = count

    def set_steps(self, count: int) -> None:
        """Use a schedule of ``count`` steps: the configured one if it has as many, otherwise one that is uniform in log-SNR."""
        own = self.config.schedule
        self.schedule = own if len(preset(own).gammas) == count else f"uniform-{count}"

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

    def forward(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Draw one sample with the configured seed; see :class:`~reconstruction.models.base.Reconstructor`."""
        return self.sample(frame, reference, [self.config.seed])

    def with_sigma(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Return the first sample and the spread of all; see :class:`~reconstruction.models.base.Reconstructor`."""
        sample, _, sigma = self.drawn(frame, reference, self.noise(self.config.seed).to(frame.device)).split(1, 1)
        return torch.cat([sample, sigma], 1) if self.gives_sigma else sample

    def noise(self, seed: int) -> torch.Tensor:
        """Return the noise of all samples of a frame, whose seeds are ``seed`` and those after it."""
        seeds = range(seed, seed + self.samples_per_frame)
        return torch.cat([self._noise_of_sample(each) for each in seeds]).flatten(0, 1)[None]

    def _noise_of_sample(self, seed: int) -> torch.Tensor:
        """Return the noise of one sample, (1, noises, grid_px, grid_px)."""
        # On the CPU and one image at a time, so that a seed gives the same noise on every device and for any number of steps.
        generator = torch.Generator().manual_seed(seed)
        side = self.config.grid_px
        return torch.stack([torch.randn((side, side), generator=generator) for _ in range(self._noises_per_sample)])[None]

    def drawn(self, frame: torch.Tensor, reference: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return the first sample, and mean and spread of all; see :class:`~reconstruction.models.base.Reconstructor`.

        There are as many as :meth:`set_samples` says. Of one alone the spread is 0, and means nothing.
        """
        count, batch = self.samples_per_frame, len(frame)
        starts = noise.expand(batch, -1, -1, -1).unflatten(1, (count, self._noises_per_sample)).flatten(0, 1)
        samples = self._sampled(self.condition(frame).repeat_interleave(count, 0), starts).unflatten(0, (batch, count))
        sigma = samples.std(1) if count > 1 else torch.zeros_like(samples[:, 0])
        return torch.cat([samples[:, 0], samples.mean(1), sigma], 1)

    def deviation(self, frame: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and standard deviation over ``config.samples`` samples, in radians, both (b, 1, grid_px, grid_px)."""
        seeds = range(self.config.seed, self.config.seed + self.config.samples)
        samples = self.sample(frame, reference, seeds).unflatten(0, (len(frame), len(seeds)))
        return samples.mean(1), samples.std(1)

    @torch.no_grad()
    def sample(self, frame: torch.Tensor, reference: torch.Tensor, seeds: Sequence[int]) -> torch.Tensor:
        """Draw samples with ``self.sampler`` on ``self.schedule``.

        Parameters
        ----------
        frame : tensor of float32, shape (b, 1, frame_px, frame_px)
            Raw camera counts.
        reference : tensor
            Not used, as published.
        seeds : sequence of int
            One sample of every frame for each seed. A sample depends neither on the other seeds nor on the other frames.

        Returns
        -------
        tensor of float32, shape (b * len(seeds), 1, grid_px, grid_px)
            Phase in radians: all samples of the first frame, then of the next.

        Raises
        ------
        ReconstructionError
            ``self.sampler`` or ``self.schedule`` is not a known name.
        """
        if self.sampler not in SAMPLERS:
            raise ReconstructionError(f"no sampler has the name {self.sampler!r}; use one of {', '.join(SAMPLERS)}")
        condition = self.condition(frame).repeat_interleave(len(seeds), 0)
        noise = torch.cat([self._noise_of_sample(seed) for seed in seeds]).repeat(len(frame), 1, 1, 1)
        return self._sampled(condition, noise.to(condition.device))

    def _sampled(self, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return a sample, (b, 1, grid_px, grid_px) in radians, for each condition and its noise."""
        if self.config.mean_only:
            return self._in_rad(self._mean(condition))
        noises = iter(noise.split(1, 1))

        def predict_eps(y: torch.Tensor, gamma: torch.Tensor) -> torch.Tensor:
            estimate = torch.as_tensor(self.network(torch.cat([condition, y], 1), gamma))
            if self.predicts is Prediction.NOISE:
                return estimate
            level = gamma[:, None, None, None]
            return (y - level.sqrt() * estimate) / (1 - level).sqrt()

        start, gammas = next(noises), preset(self.schedule).gammas
        image = SAMPLERS[self.sampler](Denoiser(predict_eps), start, gammas, lambda: next(noises))
        return self._in_rad(image)

    def _mean(self, condition: torch.Tensor) -> torch.Tensor:
        """Return what the network makes of the condition (b, 1, grid_px, grid_px) alone, on -1..1."""
        level = condition.new_full((len(condition),), GAMMA_NOISIEST)
        return torch.as_tensor(self.network(torch.cat([condition, torch.zeros_like(condition)], 1), level))

    def _in_rad(self, image: torch.Tensor) -> torch.Tensor:
        return (image + 1) / 2 * self.config.phase_range_rad

    def condition(self, frame: torch.Tensor) -> torch.Tensor:
        """Average frames of counts (b, 1, frame_px, frame_px) to the condition (b, 1, grid_px, grid_px), of mean 0."""
        return CONDITION_GAIN * shrunk_speckle(frame, self.config.grid_px)
