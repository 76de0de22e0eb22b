"""How to train: the settings of a run, its learning rate, its progress, and why it finished."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self

from acquisition.archive.old_names import with_present_names
from reconstruction.metrics import Scores


class Schedule(StrEnum):
    """How the learning rate falls."""

    #: To zero at the end of the run, along half a cosine.
    COSINE = "cosine"
    #: By :data:`PLATEAU_FACTOR` whenever validation stops improving.
    PLATEAU = "plateau"


class FinishReason(StrEnum):
    """Why a training run finished. The values are what checkpoints store."""

    #: All steps were done.
    STEPS_DONE = "steps"
    #: The time for the run was used up.
    TIME_UP = "minutes"
    #: Validation did not improve any more (early stop).
    NO_PROGRESS = "early stop"
    #: The run was asked to stop. Only such a run can be resumed; the other reasons are final.
    STOPPED = "stopped"


#: Factor by which the plateau schedule lowers the rate.
PLATEAU_FACTOR = 0.3


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How to train; saved in the model card.

    Parameters
    ----------
    steps : int
        Length of the run, unless ``minutes`` is given.
    minutes : float, optional
        Time for the run, instead of ``steps``. The schedule then follows the clock, so the result depends on the speed of the
        machine.
    batch : int
        Pairs in one step, over all processes.
    learning_rate : float, optional
        Highest rate. None means the default of the reconstructor.
    schedule : {"cosine", "plateau"}
        How the rate falls after the warm-up; see :class:`Schedule`.
    warm_up : int
        Steps in which the rate rises to its highest value.
    validate_every, checkpoint_every, log_every : int
        Steps between two validations, two checkpoints and two lines of the curve; each of the first ``log_every`` steps
        has a line.
    validation_images : int
        How many images are validated when one image takes more than eight evaluations of the network.
    plateau_validations : int
        The plateau schedule lowers the rate after this many validations without progress.
    early_stop : int
        The run ends after this many validations without progress, with the weights of the best validation. 0 switches this
        off.

    Raises
    ------
    ValueError
        The schedule is unknown.
    """

    steps: int = 2000
    minutes: float | None = None
    batch: int = 8
    learning_rate: float | None = None
    schedule: Schedule = Schedule.COSINE
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
        try:
            object.__setattr__(self, "schedule", Schedule(self.schedule))
        except ValueError as error:
            raise ValueError(f"schedule is one of {', '.join(Schedule)}, got {self.schedule!r}") from error

    def to_dict(self) -> dict[str, object]:
        """Return plain types, for YAML."""
        return {**asdict(self), "schedule": self.schedule.value}


def learning_rate_factor(step: int, config: TrainConfig, seconds: float = 0.0) -> float:
    """Return the learning rate of a step as a fraction of the highest rate.

    The warm-up is linear. Then the cosine schedule falls to zero at the end of the steps or of the minutes; the plateau
    schedule stays at 1 here.
    """
    if step < config.warm_up:
        return (step + 1) / config.warm_up
    if config.schedule is Schedule.PLATEAU:
        return 1.0
    if config.minutes is not None:
        part = seconds / (60 * config.minutes)
    else:
        part = (step - config.warm_up) / max(1, config.steps - config.warm_up)
    return 0.5 * (1 + math.cos(math.pi * min(part, 1.0)))


@dataclass(kw_only=True)
class ValidationProgress:
    """Whether validation still improves. The error is 1 - SSIM.

    Parameters
    ----------
    best : float, optional
        Smallest error so far.
    since_best : int
        Validations since the best one.
    since_change : int
        Validations since the best one, or since the plateau schedule last lowered the rate.
    lowered : int
        How often the plateau schedule lowered the rate.
    """

    best: float | None = None
    since_best: int = 0
    since_change: int = 0
    lowered: int = 0

    def add(self, error: float, config: TrainConfig) -> bool:
        """Count a validation and return whether it is the best so far."""
        if math.isfinite(error) and (self.best is None or error < self.best):
            self.best = error
            self.since_best = 0
            self.since_change = 0
            return True
        self.since_best += 1
        self.since_change += 1
        if config.schedule is Schedule.PLATEAU and self.since_change >= config.plateau_validations:
            self.lowered += 1
            self.since_change = 0
        return False


@dataclass(kw_only=True)
class TrainReport:
    """What a training run has done so far.

    Parameters
    ----------
    validation : list of (int, Scores)
        Step and scores of every validation.
    seconds : float
        Time spent on steps and validations.
    steps : int
        Steps done.
    finish_reason : FinishReason, optional
        Why the run finished; None while it goes on.
    """

    validation: list[tuple[int, Scores]] = field(default_factory=list)
    seconds: float = 0.0
    steps: int = 0
    finish_reason: FinishReason | None = None

    def to_dict(self) -> dict[str, object]:
        """Return plain types, for JSON; :meth:`from_dict` reads them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a report from plain types, of this version or of version 0.1.0.

        Raises
        ------
        KeyError, TypeError, ValueError
            The values are no report.
        """
        values = with_present_names(values, ended="finish_reason")
        validation = [(int(step), Scores(**scores)) for step, scores in values["validation"]]
        reason = FinishReason(values["finish_reason"]) if values["finish_reason"] else None
        return cls(**{**values, "validation": validation, "finish_reason": reason})
