"""Samples of a calibrated fibre: a diffusion model draws them, and the measured speckle guides it from step to step.

The loop of a calibrated model (:mod:`reconstruction.calibrated.few_step`) finds the phase that fits the light. What this lacks
is drawn by a few-step diffusion model (:mod:`reconstruction.diffusion.few_step_diffusion`). Between two steps of that model,
gradient descent through the fibre takes from the drawn structures what the light contradicts. Samples are compared with the
light that the phase of the loop predicts, because the loop has already set the noise of the frame aside. So all samples lie
around the phase of the loop, and their mean is as good as that phase.

This is a posterior sampler like diffusion posterior sampling (Chung et al., ICLR 2023), with a residual in place of the
picture. In the end a sample gets the power spectrum that such a picture has (:mod:`reconstruction.networks.picture_spectrum`).
Training learns this spectrum alone; the networks of loop and sampler are trained before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, sin
from typing import ClassVar

import torch

from reconstruction.base import ReconstructionError
from reconstruction.calibrated.few_step import CalibratedFewStep, FewStepConfig, Solution
from reconstruction.data.batch import Batch, Pairs
from reconstruction.data.pairs import PairPool
from reconstruction.diffusion.angle_sampler import angles
from reconstruction.diffusion.encoded_pairs import EncodedBatch, EncodedPairs
from reconstruction.diffusion.few_step_diffusion import (
    MOST_STEPS,
    Condition,
    DrawnInSteps,
    FewStepDiffusion,
    check_steps,
    one_of_opposites,
)
from reconstruction.networks.picture_spectrum import PictureSpectrum


@dataclass(frozen=True)
class GuidedDiffusionConfig(FewStepConfig):
    """Shape of the loop, and how samples are drawn.

    Parameters
    ----------
    loop : str
        Name of the calibrated model whose loop this is; training copies its weights and does not change them.
    sampler : str
        Name of the few-step diffusion model that draws.
    drawing_steps : int
        Evaluations of its denoiser for a sample; 0 gives the phase of the loop.
    guiding_descents : int
        Gradient steps through the fibre after each of them.
    seed : int
        Seed of the noise of :meth:`GuidedDiffusion.forward`.
    """

    start: str = "default-twin"
    steps: int = 3
    loop: str = "calibrated-twin"
    sampler: str = "diffusion-twin"
    drawing_steps: int = 4
    guiding_descents: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_steps(self.drawing_steps)
        if not self.loop or not self.sampler or self.guiding_descents < 1:
            raise ValueError(f"loop and sampler must be models, and guiding_descents 1 or more, got {self}")


class GuidedDiffusion(DrawnInSteps, CalibratedFewStep):
    """The phase of a calibrated loop, and samples around it that agree with the light."""

    kind: ClassVar[str] = "guided-diffusion"
    learns_from_stream: ClassVar[bool] = False
    gives_sigma = True
    config: GuidedDiffusionConfig

    def __init__(self, config: GuidedDiffusionConfig) -> None:
        super().__init__(config)
        self.requires_grad_(requires_grad=False)
        self.spectrum = PictureSpectrum(self.inside, config.phase_range_rad)
        self.most_steps = MOST_STEPS
        self._drawing_steps = config.drawing_steps
        # In a list, because torch would add the weights of a module attribute to this model's weights.
        self._sampler: list[FewStepDiffusion] = []
        self.steps.eval()
        self.sigma_head.eval()
        self.piston.eval()

    @property
    def evaluations(self) -> int:
        """Evaluations of networks for one frame: of the loop, and of the sampler."""
        return super().evaluations + (1 + self._drawing_steps if self._drawing_steps else 0)

    @property
    def truth_px(self) -> int:
        """Side of the phase images for the loss."""
        return self.config.grid_px

    def train(self, mode: bool = True) -> GuidedDiffusion:  # noqa: FBT001, FBT002 (torch's signature)
        """Switch the spectrum between training and evaluation; the loop is never trained.

        The sampler is loaded here, so that a missing one is told at once.
        """
        super().train(mode=False)
        self.training = mode
        self.spectrum.train(mode)
        self._loaded_sampler()
        return self

    def noise(self, seed: int) -> torch.Tensor:
        """Return the noise of a sample, in pairs of opposite sign; see :meth:`FewStepDiffusion.noise`."""
        return self._loaded_sampler().noise(seed)

    def prepare(self, pool: Pairs, on_progress: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Fit nothing: the piston network comes with the loop."""

    def encoded_pairs(self, pool: Pairs, on_progress: Callable[[int, int], None] = lambda done, total: None) -> Pairs:
        """Copy the weights of the loop, and return the pairs with its phase; a stream of pairs is returned as it is.

        Raises
        ------
        ReconstructionError
            The model of the loop is missing, or has another shape.
        """
        self._copy_loop()
        return EncodedPairs(pool, self._encoded, on_progress) if isinstance(pool, PairPool) else pool

    def _copy_loop(self) -> None:
        from reconstruction.models.model import load_model

        name = self.config.loop
        loop = load_model(name).network
        if type(loop) is not CalibratedFewStep:
            raise ReconstructionError(f"loop {name!r} is of kind '{loop.kind}'; it must be of kind '{CalibratedFewStep.kind}'")
        mine, its = self.config.to_dict(), loop.config.to_dict()
        if other := [key for key, value in its.items() if mine[key] != value]:
            wanted = " ".join(f"--set {key}={its[key]}" for key in other)
            raise ReconstructionError(f"loop {name!r} has another shape than this model; train it with {wanted}")
        self.load_state_dict(loop.state_dict(), strict=False)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the error of the spectrum that is estimated from the phase of the loop."""
        phase = batch.start_rad if isinstance(batch, EncodedBatch) else self._encoded(batch.frames, batch.reference)[1]
        return self.spectrum.loss(phase, batch.phase_rad)

    def _encoded(self, frame: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return no maps, and the phase of the loop."""
        with torch.no_grad():
            phase = self._within(self.solve(frame, reference).phase_rad)
        return phase[:, :0], phase

    def forward(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Draw the sample of the configured seed; see :class:`reconstruction.models.base.Reconstructor`."""
        return self.with_sigma(frame, reference)[:, :1]

    def with_sigma(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Return the phase of :meth:`forward` and the standard deviation of all samples, (b, 2, grid_px, grid_px)."""
        drawn = self.drawn(frame, reference, self.noise(self.config.seed).to(frame.device))
        return torch.cat([drawn[:, :1], drawn[:, 2:]], 1)

    def drawn(self, frame: torch.Tensor, reference: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return sample, mean and standard deviation; see :class:`reconstruction.models.base.Reconstructor`."""

        def planes() -> torch.Tensor:
            solution = self.solve(frame, reference)
            mean = self._within(solution.phase_rad)
            sample = self._drawn(solution, self._condition(frame, reference), noise) if self._drawing_steps else mean
            return torch.cat([sample, mean, solution.std_rad], 1)

        return self._computed(planes, frame)

    @torch.no_grad()
    def sample(self, frame: torch.Tensor, reference: torch.Tensor, seeds: Sequence[int]) -> torch.Tensor:
        """Draw one sample of every frame for each seed: (seeds, b, 1, grid_px, grid_px) in radians."""
        solution, known = self.solve(frame, reference), self._condition(frame, reference)
        return torch.stack([self._drawn(solution, known, self.noise(seed).to(frame.device)) for seed in seeds])

    def _condition(self, frame: torch.Tensor, reference: torch.Tensor) -> Condition:
        return self._loaded_sampler().to(frame.device).condition(frame, reference)

    def _drawn(self, solution: Solution, known: Condition, noise: torch.Tensor) -> torch.Tensor:
        sampler = self._loaded_sampler()
        bands = sampler.bands
        noise, sign = one_of_opposites(noise.expand(len(solution.phase_rad), -1, -1, -1))
        state = bands.fine(noise)
        large, angle = noise - state, angles(self._drawing_steps)
        change = torch.zeros_like(solution.phase_rad)
        for now, after in zip(angle, [*angle[1:], 0.0], strict=True):
            velocity = sampler.velocity(state, state.new_full((1,), now), known)
            clean, rest = cos(now) * state - sin(now) * velocity, sin(now) * state + cos(now) * velocity
            change = self.guided(solution, bands.coloured(large + clean, known.std), self.config.guiding_descents)
            white = bands.white(bands.split(change), known.std)
            clean = bands.fine(white)
            large, state = white - clean, cos(after) * clean + sin(after) * rest
        piston_rad = solution.piston_std_rad * noise.sum((2, 3), keepdim=True) / noise.shape[-1]
        mean = self._within(solution.phase_rad)
        return self.spectrum.given_to(mean + sign * (change + piston_rad * self.inside), mean, keeps_mean=False)

    def _within(self, phase: torch.Tensor) -> torch.Tensor:
        return phase.clamp(0.0, self.config.phase_range_rad)

    def _loaded_sampler(self) -> FewStepDiffusion:
        """Return the sampler.

        Raises
        ------
        ReconstructionError
            It is missing, is no few-step diffusion model, or has another grid.
        """
        if not self._sampler:
            from reconstruction.models.model import load_model

            sampler = load_model(self.config.sampler).network
            if not isinstance(sampler, FewStepDiffusion):
                raise ReconstructionError(
                    f"sampler {self.config.sampler!r} is of kind '{sampler.kind}'; it must be of kind '{FewStepDiffusion.kind}'"
                )
            if sampler.config.grid_px != self.config.grid_px:
                raise ReconstructionError(
                    f"sampler {self.config.sampler!r} has a grid of {sampler.config.grid_px} px, this model one of "
                    f"{self.config.grid_px} px; choose another sampler"
                )
            sampler.requires_grad_(requires_grad=False)
            self._sampler.append(sampler)
        return self._sampler[0]
