"""Few-step diffusion: a regressor's mean, and a small network that draws what the mean lacks in 1, 2, 4 or 8 evaluations.

The frame is encoded once. A trained referenced model gives its phase and its last maps. An encoder refines the phase to the
mean, estimates how much piston, large and fine structures deviate from it (:mod:`reconstruction.diffusion.residual_bands`), and
gives maps for the denoiser. What the mean lacks, the residual, is drawn. Piston and large structures are noise of the estimated
strength. Fine structures come from a diffusion model (:mod:`reconstruction.diffusion.angle_sampler`), whose denoiser sees these
maps and works at half the grid, so an evaluation costs little.

An untrained denoiser already gives noise of the right strength at every pixel, with the right mean spectrum. What it learns is
which fine structures belong to this frame. In the end a sample gets the power spectrum that is estimated from the mean
(:mod:`reconstruction.networks.picture_spectrum`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from reconstruction.base import ReconstructionError
from reconstruction.data.batch import Batch, Pairs
from reconstruction.data.pairs import PairPool
from reconstruction.diffusion.angle_sampler import NOISE_ANGLE, sampled
from reconstruction.diffusion.encoded_pairs import EncodedBatch, EncodedPairs
from reconstruction.diffusion.residual_bands import SPECTRUM_KNOTS, BandStd, ResidualBands
from reconstruction.models.base import NetworkConfig, Reconstructor
from reconstruction.models.losses import phase_loss
from reconstruction.networks.conditioned_unet import ConditionedUNet
from reconstruction.networks.picture_spectrum import PictureSpectrum
from reconstruction.networks.referenced_unet import ReferencedUNet

#: Smallest and largest standard deviation of a pixel, in radians.
_LEAST_STD_RAD, _MOST_STD_RAD = 0.004, 1.0
#: Logarithms of the standard deviations (rad) of piston, large and fine structures before training, about those of the default
#: model.
_FIRST_LOG_STD = (-1.8, -2.7, -2.7)
#: Changes of the mean are small; the encoder gives them divided by this, in radians.
_MEAN_STEP_RAD = 0.1
#: The fraction that remains of a mean below 0 or above white: no pattern has such phase.
_BEYOND = 0.1
#: Weight of the likelihoods of the standard deviations beside the losses of mean and velocity.
_STD_WEIGHT = 0.2
#: Largest number of steps for a sample.
MOST_STEPS = 8
#: Bytes of the start's hash that the weights keep.
_HASH_BYTES = 16


@dataclass(frozen=True)
class FewStepDiffusionConfig(NetworkConfig):
    """Shape of the networks, and the default sampling.

    Parameters
    ----------
    start : str
        Name of the trained referenced model that encodes the frame first. It is not trained further.
    start_maps : int
        Number of its last maps.
    encoder, denoiser : tuple of int
        Channels of both networks at half the grid, at a quarter, and so on.
    steps : int
        Evaluations of the denoiser for a sample; 0 gives the mean.
    seed : int
        Seed of the noise of :meth:`FewStepDiffusion.forward`.
    """

    start: str = "default-twin"
    start_maps: int = 24
    encoder: tuple[int, ...] = (48, 64, 96)
    denoiser: tuple[int, ...] = (32, 64, 96)
    steps: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.start or not self.encoder or not self.denoiser:
            raise ValueError(f"start must be a model, and encoder and denoiser not empty, got {self}")
        check_steps(self.steps)
        halvings = max(len(self.encoder), len(self.denoiser))
        if self.grid_px % 2**halvings:
            raise ValueError(f"grid_px {self.grid_px} cannot be halved {halvings} times")


@dataclass(frozen=True, eq=False)
class Condition:
    """What is known of a frame before a sample is drawn.

    Parameters
    ----------
    mean : tensor of float32, shape (b, 1, grid_px, grid_px)
        Mean of all samples, in radians.
    std : BandStd
        How much they deviate from it.
    maps : tensor, shape (b, c, grid_px / 2, grid_px / 2)
        Condition of the denoiser.
    """

    mean: torch.Tensor
    std: BandStd
    maps: torch.Tensor


class DrawnInSteps(Reconstructor):
    """A model whose samples a denoiser draws in 1 to :data:`MOST_STEPS` steps around a mean; in 0 steps it gives the mean.

    Noise of the opposite sign gives what is opposite to the mean, exactly: the denoiser sees one of both alone, see
    :func:`one_of_opposites`. A denoiser by itself is not odd, and then the mean of few samples is not the mean.
    """

    most_steps: int | None = MOST_STEPS
    step_choices = (1, 2, 4, 8)
    noise_channels = 1
    _drawing_steps: int

    @property
    def gives_samples(self) -> bool:
        """Whether pictures of one frame differ: not without steps."""
        return self._drawing_steps > 0

    @property
    def step_count(self) -> int:
        """Number of steps for a sample."""
        return self._drawing_steps

    def set_steps(self, count: int) -> None:
        """Use so many evaluations of the denoiser for a sample; 0 gives the mean.

        Raises
        ------
        ValueError
            ``count`` is negative, or more than ``most_steps``.
        """
        check_steps(count)
        self._drawing_steps = count


class FewStepDiffusion(DrawnInSteps):
    """A trained regressor's mean, and samples around it from a small diffusion model of a few steps."""

    kind: ClassVar[str] = "few-step-diffusion"
    learning_rate: ClassVar[float] = 2e-3
    config: FewStepDiffusionConfig
    start_hash: torch.Tensor

    def __init__(self, config: FewStepDiffusionConfig) -> None:
        super().__init__(config)
        self._drawing_steps = config.steps
        self.encoder = ConditionedUNet(config.start_maps + 2, 1 + len(_FIRST_LOG_STD) + SPECTRUM_KNOTS, config.encoder)
        self.denoiser = ConditionedUNet(2, 1, config.denoiser, config.encoder[0])
        self.bands = ResidualBands(self.inside)
        self.spectrum = PictureSpectrum(self.inside, config.phase_range_rad)
        # The weights belong to those of the start, and a compiled graph contains both.
        self.register_buffer("start_hash", torch.zeros(_HASH_BYTES, dtype=torch.uint8))
        # In a list, because torch would add the weights of a module attribute to this model's weights.
        self._start: list[ReferencedUNet] = []

    @property
    def evaluations(self) -> int:
        """Evaluations of networks for one frame: one of start and encoder, and one for each step."""
        return 1 + self._drawing_steps

    @property
    def gives_sigma(self) -> bool:
        """Whether there is a standard deviation: that of all samples, from the encoder."""
        return True

    def noise(self, seed: int) -> torch.Tensor:
        """Return the noise of a sample; an odd seed has the negative of the noise before it (antithetic variates).

        Two such samples deviate from their mean in opposite directions, so the mean of an even number of them is that of all.
        """
        return super().noise(seed // 2) * (1 - 2 * (seed % 2))

    def train(self, mode: bool = True) -> FewStepDiffusion:  # noqa: FBT001, FBT002 (torch's signature)
        """Switch between training and evaluation; the start is loaded here, because an exporter cannot load it."""
        super().train(mode)
        if not self._start:
            self._load_start()
        return self

    def encoded_pairs(self, pool: Pairs, on_progress: Callable[[int, int], None] = lambda done, total: None) -> Pairs:
        """Return the pairs with what the start gives for them, which saves most of the time of a step.

        A stream of pairs, which differ every time, is returned as it is.
        """
        return EncodedPairs(pool, self._encoded_by_start, on_progress) if isinstance(pool, PairPool) else pool

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the errors of mean, velocity and spectrum, and the likelihood of the mean's errors."""
        if isinstance(batch, EncodedBatch):
            maps, phase = batch.maps, batch.start_rad
        else:
            maps, phase = self._encoded_by_start(batch.frames, batch.reference)
        known = self._condition(maps, phase)
        learned = phase_loss(known.mean, batch.phase_rad, self.inside, self.config.phase_range_rad)
        residual = self.bands.split(batch.phase_rad - known.mean.detach())
        std_loss = sum(
            self._likelihood(part, std)
            for part, std in (
                (residual.piston, known.std.piston),
                (residual.large, known.std.large),
                (residual.fine, known.std.fine),
            )
        )
        std_loss = std_loss + self.bands.spectrum_loss(residual, known.std)
        spectrum_loss = self.spectrum.loss(known.mean, batch.phase_rad)
        clean = self.bands.fine(self.bands.white(residual, known.std.detach()))
        noise = self.bands.fine(torch.randn(clean.shape).to(clean.device))
        count = len(clean)
        # One random angle from each of ``count`` equal intervals, so that every batch has all amounts of noise.
        angle = ((torch.randperm(count) + torch.rand(count)) / count * NOISE_ANGLE).to(clean.device)
        cos, sin = angle.cos()[:, None, None, None], angle.sin()[:, None, None, None]
        velocity = self.velocity(cos * clean + sin * noise, angle, known)
        return learned + _STD_WEIGHT * std_loss + spectrum_loss + (velocity - (cos * noise - sin * clean)).square().mean()

    def forward(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Draw the sample of the configured seed; see :class:`reconstruction.models.base.Reconstructor`."""
        known = self.condition(frame, reference)
        return self._drawn(known, self.noise(self.config.seed).to(frame.device)) if self._drawing_steps else known.mean

    def with_sigma(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Return the phase of :meth:`forward` and the standard deviation of all samples, (b, 2, grid_px, grid_px)."""
        known = self.condition(frame, reference)
        phase = self._drawn(known, self.noise(self.config.seed).to(frame.device)) if self._drawing_steps else known.mean
        return torch.cat([phase, known.std.total], 1)

    def deviation(self, frame: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean of all samples and its standard deviation, without drawing one."""
        known = self.condition(frame, reference)
        return known.mean, known.std.total

    def drawn(self, frame: torch.Tensor, reference: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return sample, mean and standard deviation; see :class:`reconstruction.models.base.Reconstructor`."""
        known = self.condition(frame, reference)
        return torch.cat([self._drawn(known, noise), known.mean, known.std.total], 1)

    @torch.no_grad()
    def sample(self, frame: torch.Tensor, reference: torch.Tensor, seeds: Sequence[int]) -> torch.Tensor:
        """Draw one sample of every frame for each seed: (seeds, b, 1, grid_px, grid_px) in radians."""
        known = self.condition(frame, reference)
        return torch.stack([self._drawn(known, self.noise(seed).to(frame.device)) for seed in seeds])

    def condition(self, frame: torch.Tensor, reference: torch.Tensor) -> Condition:
        """Encode frames of counts, (b, 1, frame_px, frame_px)."""
        return self._condition(*self._encoded_by_start(frame, reference))

    def _condition(self, maps: torch.Tensor, phase: torch.Tensor) -> Condition:
        scaled = phase / (self.config.phase_range_rad / 2)
        x = torch.cat([maps.float(), scaled, self.inside.expand_as(scaled)], 1)
        change, last = self.encoder(x, x.new_zeros(1))
        bands = len(_FIRST_LOG_STD)
        logs = change[:, 1 : 1 + bands] + torch.tensor(_FIRST_LOG_STD, device=x.device)[:, None, None]
        whole = self._whole(logs[:, :2]).exp().clamp(_LEAST_STD_RAD, _MOST_STD_RAD)
        piston, large = whole[:, :1], whole[:, 1:]
        fine = logs[:, 2:].exp().clamp(_LEAST_STD_RAD, _MOST_STD_RAD)
        log_spectrum = self._whole(change[:, 1 + bands :])[..., 0, 0]
        mean = self._within(phase + _MEAN_STEP_RAD * change[:, :1])
        return Condition(mean, BandStd(piston, large, fine, log_spectrum), last)

    def _whole(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the means of maps in the disc: numbers of the whole frame, (b, c, 1, 1)."""
        return (maps * self.inside).sum((2, 3), keepdim=True) / self.inside.sum()

    def _likelihood(self, residual: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
        """Return the negative logarithm of the likelihood in the disc for a normal distribution, without constants."""
        terms = (std.log() + 0.5 * (residual / std).square()) * self.inside
        return terms.mean() / self.inside.mean()

    def _drawn(self, known: Condition, noise: torch.Tensor) -> torch.Tensor:
        noise, sign = one_of_opposites(noise.expand(len(known.mean), -1, -1, -1))
        fine = self.bands.fine(noise)
        drawn = sampled(
            lambda state, angle: self.velocity(state, state.new_full((1,), angle), known), fine, self._drawing_steps
        )
        sample = known.mean + sign * self.bands.coloured(noise - fine + drawn, known.std)
        # Not pressed between 0 and white, because the mean of pressed samples would not be the mean.
        return self.spectrum.given_to(sample, known.mean, keeps_mean=True)

    def _within(self, phase: torch.Tensor) -> torch.Tensor:
        """Press a mean between 0 and white; the dark surroundings of cells are exactly 0."""
        within = phase.clamp(0.0, self.config.phase_range_rad)
        return within + _BEYOND * (phase - within)

    def velocity(self, state: torch.Tensor, angle: torch.Tensor, known: Condition) -> torch.Tensor:
        """Return the estimated velocity of a white state (b, 1, g, g) at an angle (1 or b,); see ``angle_sampler``."""
        velocity, _ = self.denoiser(torch.cat([state, self.inside.expand_as(state)], 1), angle, known.maps)
        return self.bands.fine(velocity)

    def _encoded_by_start(self, frame: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the start's last maps, and its phase in radians."""
        if not self._start:
            self._load_start()
        with torch.no_grad():
            return self._start[0].to(frame.device).last_maps_and_phase(frame, reference)

    def _load_start(self) -> None:
        """Load the start.

        Raises
        ------
        ReconstructionError
            It is missing, is no referenced model of this shape, or has other weights than those of the training.
        """
        from reconstruction.models.model import WEIGHTS, load_model, model_folder

        name, config = self.config.start, self.config
        start = load_model(name).network
        if not isinstance(start, ReferencedUNet):
            raise ReconstructionError(f"start {name!r} is of kind '{start.kind}'; a start must be of kind 'referenced'")
        shape = start.config
        maps = shape.base_channels * shape.multipliers[0]
        if (shape.frame_px, shape.grid_px, maps) != (config.frame_px, config.grid_px, config.start_maps):
            raise ReconstructionError(
                f"start {name!r} has frames of {shape.frame_px} px, a grid of {shape.grid_px} px and {maps} maps, this model "
                f"needs {config.frame_px} px, {config.grid_px} px and {config.start_maps} maps; choose another start"
            )
        digest = torch.tensor(list(_digest(model_folder(name) / WEIGHTS)), dtype=torch.uint8)
        if not self.start_hash.any():
            self.start_hash.copy_(digest)
        elif not torch.equal(self.start_hash.cpu(), digest):
            raise ReconstructionError(f"start {name!r} has changed since this model was trained; train it again")
        start.requires_grad_(requires_grad=False)
        self._start.append(start)


def one_of_opposites(noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return noise or its negative, the same for both, and the sign (b, 1, 1, 1) that turns it back."""
    sign = 1.0 - 2.0 * (noise.sum((1, 2, 3), keepdim=True) < 0).to(noise.dtype)
    return noise * sign, sign


def check_steps(count: int) -> None:
    """Raise ValueError unless a sample can be drawn in so many steps."""
    if not 0 <= count <= MOST_STEPS:
        raise ValueError(f"this model has 0 to {MOST_STEPS} steps, got {count}")


def _digest(weights: Path) -> bytes:
    return hashlib.sha256(weights.read_bytes()).digest()[:_HASH_BYTES]
