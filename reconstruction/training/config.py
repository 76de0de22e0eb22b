"""How to train, how the learning rate goes, and what a run has shown so far."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self, get_args

from reconstruction.metrics import Scores

#: ``cosine`` falls to nothing at the end of the run; ``plateau`` falls whenever validation stops getting better.
ScheduleName = Literal["cosine", "plateau"]
#: What the plateau schedule multiplies the rate with.
PLATEAU_FACTOR = 0.3


@dataclass(frozen=True)
class TrainConfig:
    """How to train; saved in the model card.

    Parameters
    ----------
    steps : int
        Length of the run, unless ``minutes`` is given.
    minutes : float, optional
        Time for the run instead; the schedule then goes by the clock, so that no two machines learn the same.
    batch : int
        Pairs in one step, of all processes together.
    learning_rate : float, optional
        Highest rate; None is the reconstructor's own.
    warm_up : int
        Steps that the rate takes to get there.
    validate_every, checkpoint_every, log_every : int
        Steps between two validations, checkpoints and lines of the curve.
    validation_images : int
        How many images are validated where one takes more than eight evaluations of the network.
    plateau_validations : int
        Validations without progress after which the plateau schedule lowers the rate.
    early_stop : int
        Validations without progress after which the run ends, with the weights of the best; 0 never does.
    """

    steps: int = 2000
    minutes: float | None = None
    batch: int = 8
    learning_rate: float | None = None
    schedule: ScheduleName = "cosine"
    warm_up: int = 50
    weight_decay: float = 1e-4
    ema_decay: float = 0.995
    gradient_clip: float = 1.0
    bf16: bool = True
    seed: int = 0
    validate_every: int = 250
    validation_images: int = 4
    plateau_validations: int = 3
    early_stop: int = 0
    checkpoint_every: int = 100
    log_every: int = 10

    def __post_init__(self) -> None:
        if self.schedule not in get_args(ScheduleName):
            raise ValueError(f"schedule is one of {', '.join(get_args(ScheduleName))}, got {self.schedule!r}")

    def to_dict(self) -> dict[str, object]:
        """Plain types, for YAML."""
        return asdict(self)


def learning_rate_factor(step: int, config: TrainConfig, seconds: float = 0.0) -> float:
    """Linear warm-up, then half a cosine to zero, over steps or over the minutes; for plateau it stays up."""
    if step < config.warm_up:
        return (step + 1) / config.warm_up
    if config.schedule == "plateau":
        return 1.0
    if config.minutes is not None:
        part = seconds / (60 * config.minutes)
    else:
        part = (step - config.warm_up) / max(1, config.steps - config.warm_up)
    return 0.5 * (1 + math.cos(math.pi * min(part, 1.0)))


@dataclass
class Watch:
    """What validation says about progress; the error watched is 1 - SSIM.

    ``since_best`` counts validations since the best, ``since_change`` since the best or the last lowering, ``lowered`` how
    often the rate was lowered.
    """

    best: float | None = None
    since_best: int = 0
    since_change: int = 0
    lowered: int = 0

    def see(self, error: float, config: TrainConfig) -> bool:
        """Take note of a validation; return whether it is the best so far."""
        if math.isfinite(error) and (self.best is None or error < self.best):
            self.best, self.since_best, self.since_change = error, 0, 0
            return True
        self.since_best += 1
        self.since_change += 1
        if config.schedule == "plateau" and self.since_change >= config.plateau_validations:
            self.lowered, self.since_change = self.lowered + 1, 0
        return False


@dataclass
class TrainReport:
    """What a training run did: validation scores (step, scores), time, and why it ended; empty while it goes on."""

    validation: list[tuple[int, Scores]] = field(default_factory=list)
    seconds: float = 0.0
    steps: int = 0
    ended: Literal["", "steps", "minutes", "early stop"] = ""

    def to_dict(self) -> dict[str, object]:
        """Plain types, for JSON; :meth:`from_dict` takes them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make one of plain types."""
        validation = [(int(step), Scores(**scores)) for step, scores in values["validation"]]
        return cls(**{**values, "validation": validation})
