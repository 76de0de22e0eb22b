"""The contract of every learned reconstructor: from a speckle frame to phase, by any network or sampler.

A reconstructor is a torch module. All of them are trained, saved, compiled and scored in the same way. They differ in how they
compute the phase of a frame (:meth:`Reconstructor.forward`) and in their loss (:meth:`Reconstructor.loss`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import nn

from acquisition.archive.validation import check_types
from reconstruction.data.batch import Batch
from reconstruction.field import field_mask

if TYPE_CHECKING:
    from reconstruction.data.batch import Pairs


@dataclass(frozen=True)
class NetworkConfig:
    """Settings of every reconstructor; each kind adds its own. They are saved beside the weights.

    Parameters
    ----------
    frame_px, grid_px : int
        Side of the frames and of the reconstructed phase.
    field_radius : float
        Radius of the fibre's disc as a fraction of half the frame.
    phase_range_rad : float
        What white means in the patterns. It scales networks that work on -1..1, and SSIM in the loss.
    """

    frame_px: int = 512
    grid_px: int = 128
    field_radius: float = 1.0
    phase_range_rad: float = 2.85

    def __post_init__(self) -> None:
        if self.frame_px % self.grid_px:
            raise ValueError(f"frame_px {self.frame_px} is no multiple of grid_px {self.grid_px}")

    def to_dict(self) -> dict[str, object]:
        """Return plain types, for YAML; :meth:`from_dict` reads them."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Make a configuration from plain types.

        Raises
        ------
        TypeError, ValueError
            A key is unknown, or a value is invalid.
        """
        for key, value in values.items():
            if isinstance(value, list):
                if not all(isinstance(item, int | float) for item in value):
                    raise ValueError(f"{key} must be numbers, got {value!r}")
                values = {**values, key: tuple(value)}
        config = cls(**values)
        check_types(asdict(config), cls)
        if not 0 < config.field_radius < math.inf or not 0 < config.phase_range_rad < math.inf:
            raise ValueError(
                f"field_radius {config.field_radius} and phase_range_rad {config.phase_range_rad} must be positive and finite"
            )
        return config


class Reconstructor(nn.Module, ABC):
    """A learned method that computes phase from counts.

    A subclass is built from its configuration alone, with random weights. Everything that training changes is in its
    ``state_dict``. Random numbers in :meth:`loss` come from torch's global generator, so that a resumed run gets the same ones.
    """

    #: Name in model cards and on the command line.
    kind: ClassVar[str]
    #: Whether it computes through the calibrated response of the fibre.
    needs_response: ClassVar[bool] = False
    #: Whether it learns from pairs that are simulated again for every batch, through this response.
    learns_from_stream: ClassVar[bool] = False
    #: Highest learning rate, unless the training configuration gives another one.
    learning_rate: ClassVar[float] = 2e-3

    #: Parts with another name in weights of version 0.1.0: old name, present name.
    renamed_parts: ClassVar[Mapping[str, str]] = {}

    #: Largest number of steps that :meth:`set_steps` accepts: 0 without steps, None for any number.
    most_steps: int | None = 0

    #: Numbers of steps that an operator chooses from; empty without a choice.
    step_choices: tuple[int, ...] = ()

    #: 1 in the fibre's disc, 0 elsewhere; shape (1, 1, grid_px, grid_px).
    inside: torch.Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        mask = torch.from_numpy(field_mask(config.grid_px, config.field_radius))
        self.register_buffer("inside", mask[None, None].float(), persistent=False)

    @property
    def channels(self) -> int:
        """Number of colours or planes of a frame."""
        return 1

    @property
    def evaluations(self) -> int:
        """Number of evaluations of a network for one frame."""
        return 1

    @property
    def exportable(self) -> bool:
        """Whether it can be exported as one graph for other engines than torch. If not, its :meth:`parts` can be exported."""
        return True

    @property
    def step_count(self) -> int:
        """Present number of the sampler's steps, see :meth:`set_steps`; 0 for kinds that draw no samples."""
        return 0

    @property
    def noise_channels(self) -> int:
        """Number of noise images that :meth:`drawn` needs for a sample; 0 for kinds without :meth:`drawn`."""
        return 0

    def set_steps(self, count: int) -> None:
        """Set the number of steps per frame: of a sampler, of a flow, or of a loop, which then takes its first steps only.

        Raises
        ------
        ValueError
            This reconstructor has no steps, or fewer.
        """
        raise ValueError(f"{type(self).__name__} has no steps to set; leave the number of steps out")

    @property
    def gives_sigma(self) -> bool:
        """Whether :meth:`with_sigma` also gives the standard deviation of the phase."""
        return False

    @property
    def planes(self) -> int:
        """Number of pictures that :meth:`with_sigma` gives for a frame: 1, or 2 with the standard deviation."""
        return 1 + self.gives_sigma

    def set_samples(self, count: int) -> None:
        """Draw ``count`` pictures of every frame; ignored by all but samplers, which always give the same picture."""

    @property
    def gives_samples(self) -> bool:
        """Whether :meth:`sample` draws different pictures of one frame."""
        return False

    def sample(self, frame: torch.Tensor, reference: torch.Tensor, seeds: Sequence[int]) -> torch.Tensor:
        """Draw a picture of one frame (1, channels, frame_px, frame_px) for each seed; a seed always gives the same picture.

        Returns
        -------
        tensor of float32, shape (seeds, ..., grid_px, grid_px)
            Phase in radians.

        Raises
        ------
        ValueError
            This reconstructor draws no samples.
        """
        raise ValueError(f"{type(self).__name__} gives one picture of a frame and draws no samples")

    def noise(self, seed: int) -> torch.Tensor:
        """Return unit normal noise for a sample, the same on every device: float32, (1, noise_channels, grid_px, grid_px)."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn((1, self.noise_channels, self.config.grid_px, self.config.grid_px), generator=generator)

    def drawn(self, frame: torch.Tensor, reference: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return a sample that depends on the noise alone, the mean of all samples, and their standard deviation.

        Kinds with ``noise_channels`` have it. It can be exported as one graph for each number of steps if the kind can.

        Parameters
        ----------
        frame, reference : tensor of float32, shape (b, channels, frame_px, frame_px)
            Raw camera counts.
        noise : tensor of float32, shape (1 or b, noise_channels, grid_px, grid_px)
            From :meth:`noise`. ``sample`` with the same seed gives the same picture.

        Returns
        -------
        tensor of float32, shape (b, 3, grid_px, grid_px)
            Sample, mean and standard deviation, in radians.

        Raises
        ------
        ValueError
            This kind draws no samples from noise.
        """
        raise ValueError(f"{type(self).__name__} draws no samples from noise")

    @property
    def truth_px(self) -> int:
        """Side of the phase images that :meth:`loss` takes."""
        return self.config.grid_px

    def prepare(self, pool: Pairs, on_progress: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Fit the parts that have a closed-form solution, before the first step; nothing by default."""

    def encoded_pairs(self, pool: Pairs, on_progress: Callable[[int, int], None] = lambda done, total: None) -> Pairs:
        """Return the pairs that :meth:`loss` takes in training; a kind with a frozen part may add what that part gives."""
        return pool

    @abstractmethod
    def forward(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Reconstruct a batch; the same input always gives the same output, also for samplers.

        Parameters
        ----------
        frame, reference : tensor of float32, shape (b, channels, frame_px, frame_px)
            Raw camera counts; one reference may serve the whole batch.

        Returns
        -------
        tensor of float32, shape (b, 1, grid_px, grid_px)
            Phase in radians.
        """

    @abstractmethod
    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the loss of a batch, a scalar. The module is in training mode; autocast may be on."""

    @classmethod
    def with_present_names(cls, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return weights of any version with the present names of their parts, for ``load_state_dict``."""
        present = {}
        for key, value in weights.items():
            part, dot, rest = key.partition(".")
            present[cls.renamed_parts.get(part, part) + dot + rest] = value
        return present

    def parts(self) -> dict[str, tuple[torch.Tensor, ...]]:
        """Return the submodules that an engine can run, by name, each with an example of its inputs.

        Kinds that cannot be exported as one graph have parts: the engine runs these, and torch everything between them.
        """
        return {}

    def with_sigma(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Return the phase of :meth:`forward` in radians, and its standard deviation where the model gives one.

        Returns
        -------
        tensor of float32, shape (b, planes, grid_px, grid_px)
            The phase comes first.
        """
        return torch.as_tensor(self(frame, reference))

    def deviation(self, frame: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Return phase and standard deviation in radians, both (b, 1, grid_px, grid_px); None without a standard deviation."""
        return None
