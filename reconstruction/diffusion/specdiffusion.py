"""SpecDiffusion as published: a diffusion model that draws phase images that could have given the speckle.

The speckle, shrunk to the phase's grid, is put beside a noisy phase image; the network tells the noise. It sees no reference,
and its loss counts the whole grid, what the fibre cannot see included. Ours alone is the scaling of counts to the condition.

A sample of the posterior has twice the squared error of the posterior's mean: more steps buy realism, not PSNR. Samples are
for texture and for uncertainty (:meth:`SpecDiffusion.deviation`); their mean over K has 1 + 1/K of the mean's error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F

from reconstruction.base import ReconstructionError
from reconstruction.data.batch import Batch
from reconstruction.diffusion.samplers import SAMPLERS
from reconstruction.diffusion.schedules import draw_gamma, preset
from reconstruction.models.reconstructor import NetworkConfig, Reconstructor
from reconstruction.networks.film_unet import FilmUNet
from reconstruction.networks.speckle_only import shrunk_speckle

#: Of the condition. On the twin it gives what an object changes in the condition, 0.13 of a frame's mean, a standard deviation
#: of 0.5, about that of phase on -1..1; that of the whole condition, grain and dark rim included, is then 2.6.
CONDITION_GAIN = 4.0


@dataclass(frozen=True)
class SpecDiffusionConfig(NetworkConfig):
    """Shape of the network, published as the defaults, and how it samples unless told otherwise.

    Parameters
    ----------
    base_channels, multipliers, residual_blocks, heads, dropout
        Of :class:`~reconstruction.networks.film_unet.FilmUNet`.
    sampler, schedule : str
        Names in :data:`~reconstruction.diffusion.samplers.SAMPLERS` and for
        :func:`~reconstruction.diffusion.schedules.preset`.
    seed : int
        Of the noise to sample from.
    samples : int
        How many give a standard deviation; at least 2.
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

    def __post_init__(self) -> None:
        super().__post_init__()
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
    """Diffusion model of phase given speckle; ``sampler`` and ``schedule`` are attributes that may be changed at any time.

    Parameters
    ----------
    config : SpecDiffusionConfig
        Shape and sampling.
    """

    kind: ClassVar[str] = "specdiffusion"
    learning_rate: ClassVar[float] = 1e-4
    exportable: ClassVar[bool] = False  # the sampler's loop stays outside of any graph
    most_steps: int | None = None
    config: SpecDiffusionConfig

    def __init__(self, config: SpecDiffusionConfig) -> None:
        super().__init__(config)
        self.sampler, self.schedule = config.sampler, config.schedule
        self.network = FilmUNet(
            2, 1, config.base_channels, config.multipliers, config.residual_blocks, config.dropout, config.heads
        )

    @property
    def evaluations(self) -> int:
        """Evaluations of the network for one frame: one per step."""
        return len(preset(self.schedule).gammas)

    def set_steps(self, count: int) -> None:
        """Take a schedule of so many steps, uniform in log-SNR."""
        self.schedule = f"uniform-{count}"

    def parts(self) -> dict[str, tuple[torch.Tensor, ...]]:
        """Return the network; the sampler's loop is around it."""
        return {"network": (torch.zeros((1, 2, self.config.grid_px, self.config.grid_px)), torch.full((1,), 0.5))}

    def loss(self, batch: Batch) -> torch.Tensor:
        """Mean absolute error of the noise that is told, at noise levels drawn as published."""
        clean = 2 * batch.phase_rad / self.config.phase_range_rad - 1
        gamma = draw_gamma(len(clean)).to(clean.device)
        level = gamma[:, None, None, None]
        eps = torch.randn(clean.shape).to(clean.device)
        noisy = level.sqrt() * clean + (1 - level).sqrt() * eps
        return F.l1_loss(self.network(torch.cat([self.condition(batch.frames), noisy], 1), gamma), eps)

    def forward(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Draw one sample with the configured seed; see :class:`~reconstruction.models.reconstructor.Reconstructor`."""
        return self.sample(frame, reference, [self.config.seed])

    def deviation(self, frame: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation over ``config.samples`` samples, in radians, both (b, 1, grid_px, grid_px)."""
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
            Not looked at, as published.
        seeds : sequence of int
            One sample of every frame each; what a seed gives depends neither on the other seeds nor on the other frames.

        Returns
        -------
        tensor of float32, shape (b * len(seeds), 1, grid_px, grid_px)
            Phase in radians: all samples of the first frame, then of the next.

        Raises
        ------
        ReconstructionError
            ``self.sampler`` or ``self.schedule`` names nothing.
        """
        if self.sampler not in SAMPLERS:
            raise ReconstructionError(f"no sampler is named {self.sampler!r}; give one of {', '.join(SAMPLERS)}")
        condition = self.condition(frame).repeat_interleave(len(seeds), 0)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]

        def noise() -> torch.Tensor:
            # On the CPU and one image at a time, so that a seed means the same on every device and in every batch.
            drawn = [torch.randn(condition.shape[1:], generator=generator) for generator in generators]
            return torch.stack(drawn).repeat(len(frame), 1, 1, 1).to(condition.device)

        def predict_eps(y: torch.Tensor, gamma: torch.Tensor) -> torch.Tensor:
            return torch.as_tensor(self.network(torch.cat([condition, y], 1), gamma))

        image = SAMPLERS[self.sampler](predict_eps, noise(), preset(self.schedule).gammas, noise, True)
        return (image + 1) / 2 * self.config.phase_range_rad

    def condition(self, frame: torch.Tensor) -> torch.Tensor:
        """Shrink frames of counts (b, 1, frame_px, frame_px) to the condition (b, 1, grid_px, grid_px), of mean 0."""
        return CONDITION_GAIN * shrunk_speckle(frame, self.config.grid_px)
