"""What all models that draw samples by a noise schedule have in common: steps, noise, samples and their spread."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from reconstruction.base import ReconstructionError
from reconstruction.diffusion.samplers import SAMPLERS, Denoiser, PredictEps
from reconstruction.diffusion.schedules import preset
from reconstruction.models.base import NetworkConfig, Reconstructor

#: Samplers that draw new noise in every step but the last.
_NOISY_SAMPLERS = ("ancestral", "renoise")
#: With more steps the network is a graph of its own, and the sampler a loop in torch.
_MOST_STEPS_IN_GRAPH = 8


@dataclass(frozen=True)
class SamplingConfig(NetworkConfig):
    """The default sampling.

    Parameters
    ----------
    sampler : str
        Name in :data:`~reconstruction.diffusion.samplers.SAMPLERS`.
    schedule : str
        Name for :func:`~reconstruction.diffusion.schedules.preset`.
    seed : int
        Seed of the noise from which a sample starts.
    samples : int
        Number of samples for a standard deviation, at least 2.
    """

    sampler: str = "ancestral"
    schedule: str = "paper-100"
    seed: int = 0
    samples: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sampler not in SAMPLERS:
            raise ValueError(f"sampler is one of {', '.join(SAMPLERS)}, got {self.sampler!r}")
        if self.samples < 2:
            raise ValueError(f"samples must be at least 2 for a standard deviation, got {self.samples}")
        try:
            preset(self.schedule)
        except ReconstructionError as error:
            raise ValueError(str(error)) from error


class SampledDiffusion(Reconstructor):
    """A diffusion model; ``sampler``, ``schedule`` and ``samples_per_frame`` may be changed at any time.

    Parameters
    ----------
    config : SamplingConfig
        Sampling.
    """

    most_steps: int | None = None
    step_choices = (1, 2, 4, 8, 16, 32, 64)
    config: SamplingConfig

    def __init__(self, config: SamplingConfig) -> None:
        super().__init__(config)
        self.sampler = config.sampler
        self.schedule = config.schedule
        self.samples_per_frame = 1

    @abstractmethod
    def condition(self, frame: torch.Tensor) -> torch.Tensor:
        """Return what a sample depends on beside the noise, (b, k, grid_px, grid_px), for frames of counts."""

    @abstractmethod
    def sampled(self, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return a sample, (b, 1, grid_px, grid_px) in radians, for each condition and its noise."""

    def run_sampler(self, predict_eps: PredictEps, noise: torch.Tensor, *, clip: bool) -> torch.Tensor:
        """Return what the sampler makes of noise (b, noises, grid_px, grid_px); see :class:`Denoiser` for ``clip``."""
        noises = iter(noise.split(1, 1))
        start, gammas = next(noises), preset(self.schedule).gammas
        return SAMPLERS[self.sampler](Denoiser(predict_eps, clip=clip), start, gammas, lambda: next(noises))

    def mean_of(self, condition: torch.Tensor, samples: torch.Tensor) -> torch.Tensor:
        """Return the mean (b, 1, grid_px, grid_px) of all samples that are possible: here that of those drawn, (b, n, ...)."""
        return samples.mean(1)

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
        condition = self.condition(frame)
        samples = self.sampled(condition.repeat_interleave(count, 0), starts).unflatten(0, (batch, count))
        sigma = samples.std(1) if count > 1 else torch.zeros_like(samples[:, 0])
        return torch.cat([samples[:, 0], self.mean_of(condition, samples), sigma], 1)

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
        frame : tensor of float32, shape (b, channels, frame_px, frame_px)
            Raw camera counts.
        reference : tensor
            Not used.
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
        return self.sampled(condition, noise.to(condition.device))
