"""Conditional mean flow: one evaluation gives the mean of the posterior, a few more turn it into a sample of the posterior.

This is posterior-mean rectified flow (Ohayon, Michaeli and Elad, ICLR 2025). A regressor gives the mean ``mu``. A little noise
is added, and a straight flow leads from there to pictures. The flow starts at the mean, never at the speckle. A sample has up
to twice the squared error of the mean, so forward() with ``flow_steps`` 0 has the best scores. Samples show texture and
variation.

A separate head gives the standard deviation of the mean in one evaluation. It is trained with the likelihood of the errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F

from reconstruction.data.batch import Batch, Pairs
from reconstruction.models.base import Reconstructor
from reconstruction.models.losses import uncertain_loss
from reconstruction.networks.referenced_unet import ReferencedUNet, UNetConfig
from reconstruction.networks.step_unet import StepUNet

#: Weight of the likelihood beside the other losses. It trains its own network only, but all share one limit of the gradient's
#: norm.
_SIGMA_WEIGHT = 0.1


@dataclass(frozen=True)
class MeanFlowConfig(UNetConfig):
    """Shape of the regressor and of the flow.

    Parameters
    ----------
    mean : str
        Name of a trained referenced model that becomes the regressor and is not trained further. Without it the regressor is
        trained together with the flow.
    start_std : float
        Standard deviation of the noise on the mean, on a scale where phase goes from -1 to 1.
    flow_steps : int
        Euler steps from the mean to a sample; 0 gives the mean.
    flow_channels : int
        Width of the flow's network.
    seed : int
        Seed of the noise on the mean.
    samples : int
        Number of samples that :meth:`MeanFlow.sampled_deviation` draws.
    """

    mean: str = ""
    start_std: float = 0.1
    flow_steps: int = 4
    flow_channels: int = 16
    seed: int = 0
    samples: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.flow_steps < 0 or self.start_std <= 0 or self.samples < 2:
            raise ValueError(f"flow_steps must be 0 or more, start_std positive, and samples 2 or more, got {self}")


class MeanFlow(Reconstructor):
    """The regressor, the head for its standard deviation, and the flow; ``flow_steps`` may be changed at any time."""

    kind: ClassVar[str] = "mean-flow"
    renamed_parts: ClassVar[Mapping[str, str]] = {"spread": "sigma_head"}
    learning_rate: ClassVar[float] = 5e-4
    most_steps: int | None = None
    step_choices = (1, 2, 4, 8)
    noise_channels = 1
    config: MeanFlowConfig

    def __init__(self, config: MeanFlowConfig) -> None:
        super().__init__(config)
        self.flow_steps = config.flow_steps
        self.mean = ReferencedUNet(config)
        maps = self.mean.features.channels
        multipliers = config.multipliers[:3]
        self.flow = StepUNet(maps + 3, 1, config.flow_channels, multipliers)
        self.sigma_head = StepUNet(maps + 1, 1, max(8, config.flow_channels // 2), multipliers)
        self.register_buffer("start", self.noise(config.seed), persistent=False)

    start: torch.Tensor

    @property
    def evaluations(self) -> int:
        """Evaluations of networks for one frame: one of the regressor, and one for each step of the flow."""
        return 1 + self.flow_steps

    @property
    def step_count(self) -> int:
        """Steps of the flow."""
        return self.flow_steps

    @property
    def gives_sigma(self) -> bool:
        """Whether there is a standard deviation: that of the mean, from the head."""
        return True

    @property
    def gives_samples(self) -> bool:
        """Whether pictures of one frame differ: not without the flow, which gives the mean."""
        return self.flow_steps > 0

    def set_steps(self, count: int) -> None:
        """Set the number of the flow's steps."""
        self.flow_steps = count

    def prepare(self, pool: Pairs, on_progress: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Load the trained regressor, or fit the part of a new one that has a closed form."""
        if not self.config.mean:
            self.mean.prepare(pool, on_progress)
            return
        from reconstruction.models.model import load_model

        self.mean.load_state_dict(load_model(self.config.mean).network.state_dict())

    def train(self, mode: bool = True) -> MeanFlow:  # noqa: FBT001, FBT002 (torch's signature)
        """Switch between training and evaluation; a loaded regressor never changes, including its running statistics."""
        super().train(mode)
        if self.config.mean:
            self.mean.eval().requires_grad_(requires_grad=False)
        return self

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the squared error of the velocity at stratified times, and the likelihood of the mean's errors."""
        inside, scale = self.inside, self.config.phase_range_rad / 2
        learned = self.mean.loss(batch) if not self.config.mean else torch.zeros((), device=batch.frames.device)
        with torch.no_grad():
            maps = self.mean.features(batch.frames, batch.reference)
            mean = self.mean(batch.frames, batch.reference)
        sigma = uncertain_loss(mean, self._std(maps, mean), batch.phase_rad, inside)
        count = len(mean)
        # One random time from each of ``count`` equal intervals, so that every batch has early and late times.
        time = ((torch.randperm(count) + torch.rand(count)) / count).to(mean.device)[:, None, None, None]
        clean = batch.phase_rad / scale
        start = mean / scale + self.config.start_std * torch.randn(mean.shape).to(mean.device)
        state = (1 - time) * start + time * clean
        error = (self._velocity(maps, mean, state, time) - (clean - start)) * inside
        return learned + _SIGMA_WEIGHT * sigma + error.square().mean() / inside.mean() / self.config.start_std**2

    def forward(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Reconstruct; see :class:`reconstruction.models.base.Reconstructor`."""
        return self._reconstructed(*self.mean.maps_and_phase(frame, reference))

    def with_sigma(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Return the phase and the standard deviation of the mean; see :class:`reconstruction.models.base.Reconstructor`."""
        maps, mean = self.mean.maps_and_phase(frame, reference)
        return torch.cat([self._reconstructed(maps, mean), self._std(maps, mean)], 1)

    def deviation(self, frame: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean and its standard deviation from the head, with one evaluation of each."""
        maps, mean = self.mean.maps_and_phase(frame, reference)
        return mean, self._std(maps, mean)

    def sampled_deviation(self, frame: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and standard deviation over ``config.samples`` samples."""
        drawn = self.sample(frame, reference, range(self.config.seed, self.config.seed + self.config.samples))
        return drawn.mean(0), drawn.std(0)

    def sample(self, frame: torch.Tensor, reference: torch.Tensor, seeds: Sequence[int]) -> torch.Tensor:
        """Draw one sample of every frame for each seed: (seeds, b, 1, grid_px, grid_px) in radians."""
        with torch.no_grad():
            maps, mean = self.mean.maps_and_phase(frame, reference)
            return torch.stack([self._flowed(maps, mean, self.noise(seed).to(frame.device)) for seed in seeds])

    def drawn(self, frame: torch.Tensor, reference: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return sample, mean and standard deviation of the mean; see :class:`reconstruction.models.base.Reconstructor`."""
        maps, mean = self.mean.maps_and_phase(frame, reference)
        return torch.cat([self._flowed(maps, mean, noise), mean, self._std(maps, mean)], 1)

    def _reconstructed(self, maps: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        return self._flowed(maps, mean, self.start.expand(len(mean), -1, -1, -1)) if self.flow_steps else mean

    def _flowed(self, maps: torch.Tensor, mean: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        scale = self.config.phase_range_rad / 2
        state = mean / scale + self.config.start_std * noise
        for step in range(self.flow_steps):
            time = torch.full((len(mean), 1, 1, 1), step / self.flow_steps, device=mean.device)
            state = state + self._velocity(maps, mean, state, time) / self.flow_steps
        return state * scale

    def _velocity(self, maps: torch.Tensor, mean: torch.Tensor, state: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        x = torch.cat([maps, mean, state, time.expand_as(state)], 1)
        return self.flow(x).float() + mean / (self.config.phase_range_rad / 2) - state

    def _std(self, maps: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(0.2 * F.softplus(self.sigma_head(torch.cat([maps, mean], 1)).float()) + 0.005)
