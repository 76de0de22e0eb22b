"""The contract of everything that is learned: from a speckle frame to phase, whatever network or sampler is behind it.

A reconstructor is a torch module. Trained, saved, compiled and scored are all of them in the same way; what differs is how
they turn a frame into phase (:meth:`Reconstructor.forward`) and what they learn from (:meth:`Reconstructor.loss`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import nn

from reconstruction.data.batch import Batch
from reconstruction.field import field_mask

if TYPE_CHECKING:
    from reconstruction.data.batch import Pairs


@dataclass(frozen=True)
class NetworkConfig:
    """What every reconstructor has to know; each adds its own. Saved beside the weights.

    Parameters
    ----------
    frame_px, grid_px : int
        Side of the frames it takes and of the phase it gives.
    field_radius : float
        Radius of the fibre's disc as a fraction of half the frame.
    phase_range_rad : float
        Phase of white: the scale of networks that work on -1..1, and of SSIM in the loss.
    """

    frame_px: int = 512
    grid_px: int = 128
    field_radius: float = 1.0
    phase_range_rad: float = 2.85

    def __post_init__(self) -> None:
        if self.frame_px % self.grid_px:
            raise ValueError(f"frame_px {self.frame_px} is no multiple of grid_px {self.grid_px}")

    def to_dict(self) -> dict[str, object]:
        """Plain types, for YAML; :meth:`from_dict` takes them back."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Make one of plain types.

        Raises
        ------
        TypeError, ValueError
            An unknown key, or a value that makes no sense.
        """
        for key, value in values.items():
            if isinstance(value, list):
                if not all(isinstance(item, int | float) for item in value):
                    raise ValueError(f"{key} must be numbers, got {value!r}")
                values = {**values, key: tuple(value)}
        return cls(**values)


class Reconstructor(nn.Module, ABC):
    """A learned way from counts to phase.

    Subclasses are built from their configuration alone, with random weights. Everything that a trained one needs is in its
    ``state_dict``; random numbers in :meth:`loss` come from torch's global generator, so that a resumed run draws the same.
    """

    #: Name in cards and on the command line.
    kind: ClassVar[str]
    #: Whether it goes into one graph, for other engines than torch; if not, its :meth:`parts` may.
    exportable: ClassVar[bool] = True
    #: Highest learning rate, unless training is told another.
    learning_rate: ClassVar[float] = 2e-3

    #: Parts that were called otherwise in weights of version 0.1.0: old name, present name.
    renamed_parts: ClassVar[Mapping[str, str]] = {}

    #: How many steps :meth:`set_steps` can set: 0 where there are none, None for any number.
    most_steps: int | None = 0

    #: 1 in the fibre's disc, 0 where nothing can be seen: (1, 1, grid_px, grid_px).
    inside: torch.Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        mask = torch.from_numpy(field_mask(config.grid_px, config.field_radius))
        self.register_buffer("inside", mask[None, None].float(), persistent=False)

    @property
    def evaluations(self) -> int:
        """Evaluations of a network for one frame."""
        return 1

    def set_steps(self, count: int) -> None:
        """Take so many steps for a frame from now on: of a sampler, of a flow, or the first of a loop.

        Raises
        ------
        ValueError
            There are none, or not so many.
        """
        raise ValueError(f"{type(self).__name__} takes no steps that could be set")

    @property
    def truth_px(self) -> int:
        """Side of the phase images that :meth:`loss` learns from."""
        return self.config.grid_px

    def prepare(self, pool: Pairs, on_progress: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Fit what is fitted in closed form, before the first step; nothing by default."""

    @abstractmethod
    def forward(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Reconstruct; the same input gives the same output, whatever is random inside.

        Parameters
        ----------
        frame, reference : tensor of float32, shape (b, 1, frame_px, frame_px)
            Raw camera counts; one reference (1, 1, frame_px, frame_px) may serve the whole batch.

        Returns
        -------
        tensor of float32, shape (b, 1, grid_px, grid_px)
            Phase in radians.
        """

    @abstractmethod
    def loss(self, batch: Batch) -> torch.Tensor:
        """Return what training makes small, a scalar; called with the module in training mode, under autocast or not."""

    @classmethod
    def with_present_names(cls, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return weights of any version by today's names, as ``load_state_dict`` takes them."""
        present = {}
        for key, value in weights.items():
            part, dot, rest = key.partition(".")
            present[cls.renamed_parts.get(part, part) + dot + rest] = value
        return present

    def parts(self) -> dict[str, tuple[torch.Tensor, ...]]:
        """Return modules that engines may run for it, by their names, with an example of what each takes.

        For kinds that do not go into one graph: networks, mostly, that something else is done between.
        """
        return {}

    def deviation(self, frame: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Phase and its standard deviation in radians, both (b, 1, grid_px, grid_px); None where it has none to give."""
        return None
