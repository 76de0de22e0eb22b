"""How long a training still takes: with everything before and after the steps that are counted in minutes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from app.training.process import TrainingOrder

#: Time in seconds until the process begins to work: libraries and the dataset are loaded.
_START_S: Final = 12.0
#: Time in seconds to simulate one pair, until it was measured on this computer.
_PAIR_S: Final = 0.08
#: Time in seconds for the scores at the end, and to write the model.
_END_S: Final = 25.0
#: Time in seconds to compile the model for this computer.
_COMPILE_S: Final = 45.0
#: A line of progress as the command prints it: ``simulating pairs: 600 of 6000``.
_LINE: Final = re.compile(r"^([^:]+): (\d+) of ([1-9]\d*)")


class Stage(Enum):
    """What a training process is doing, for people."""

    STARTING = "starting: libraries and pairs are loaded"
    SIMULATING = "simulating pairs"
    FITTING = "fitting in closed form"
    TRAINING = "training"
    SCORING = "computing the scores on held-out pictures"
    COMPILING = "compiling for this computer"


_STAGES: Final = {stage.value: stage for stage in (Stage.SIMULATING, Stage.FITTING, Stage.TRAINING)}


@dataclass(frozen=True, kw_only=True)
class TrainingProgress:
    """How far a training is.

    Parameters
    ----------
    stage : Stage
        What it is doing.
    done, total : int
        Steps of this stage; for :attr:`Stage.TRAINING` in seconds, unless a number of steps is trained.
    seconds_left : float
        Until the model can be used; NaN when a number of steps is trained.
    fraction : float
        Part of the whole that is done, 0 to 1.
    """

    stage: Stage = Stage.STARTING
    done: int = 0
    total: int = 0
    seconds_left: float = 0.0
    fraction: float = 0.0


def estimated_s(order: TrainingOrder) -> float:
    """Return how long a training takes from its start to the finished model, in seconds; NaN for a number of steps."""
    if not order.minutes:
        return math.nan
    return _START_S + _simulation_s(order) + 60 * order.minutes + _END_S + _COMPILE_S


class TimeLeft:
    """Follows the output of one training process, and then of the one that compiles its model.

    Parameters
    ----------
    order : TrainingOrder
        What it trains.
    now_s : float
        The time of a monotonic clock when the process was started.
    trained_s : float
        Time that the run was trained before, in seconds, if it is resumed.
    """

    def __init__(self, order: TrainingOrder, now_s: float, trained_s: float = 0.0) -> None:
        self._order = order
        self._started_s = now_s
        self._stage = Stage.STARTING
        self._stage_s = now_s
        self._counts = (0, 0)
        self._trained = (trained_s, now_s)  # and when this was so

    def update(self, now_s: float, line: str, trained_s: float) -> TrainingProgress:
        """Return how far the training is.

        Parameters
        ----------
        now_s : float
            The time of the same clock.
        line : str
            The last line that the process has printed.
        trained_s : float
            The time that the run has trained so far, as its curve says.
        """
        self._read(now_s, line, trained_s)
        return self._progress(now_s)

    def compiling(self, now_s: float, done: int, total: int) -> TrainingProgress:
        """Return how far it is while ``done`` of ``total`` engines are compiled."""
        self._enter(Stage.COMPILING, now_s)
        self._counts = (done, total)
        return self._progress(now_s)

    def _progress(self, now_s: float) -> TrainingProgress:
        left_s = self._left_s(now_s) if self._order.minutes else math.nan
        spent_s = now_s - self._started_s
        return TrainingProgress(
            stage=self._stage,
            done=self._counts[0],
            total=self._counts[1],
            seconds_left=left_s,
            fraction=min(1.0, spent_s / max(spent_s + left_s, 1e-9)) if self._order.minutes else self._part(),
        )

    def _part(self) -> float:
        """Return the part of the present stage that is done."""
        return self._counts[0] / self._counts[1] if self._counts[1] else 0.0

    def _read(self, now_s: float, line: str, trained_s: float) -> None:
        counts = _LINE.match(line)
        stage = _STAGES.get(counts[1]) if counts else None
        if counts and stage:
            self._enter(stage, now_s)
            self._counts = (int(counts[2]), int(counts[3]))
        if trained_s != self._trained[0]:
            self._trained = (trained_s, now_s)
            self._enter(Stage.TRAINING, now_s)
        if self._stage is Stage.TRAINING and self._order.minutes:
            total_s = 60 * self._order.minutes
            done_s = min(total_s, self._trained[0] + now_s - self._trained[1])
            self._counts = (int(done_s), int(total_s))
            if done_s >= total_s:
                self._enter(Stage.SCORING, now_s)

    def _enter(self, stage: Stage, now_s: float) -> None:
        later = list(Stage).index(stage) > list(Stage).index(self._stage)
        if later:
            self._stage = stage
            self._stage_s = now_s
            self._counts = (0, 0)
            if stage is Stage.TRAINING:
                self._trained = (self._trained[0], now_s)

    def _left_s(self, now_s: float) -> float:
        """Return the time left: that of the present stage, and those of the later ones."""
        spent_s = now_s - self._stage_s
        if self._stage is Stage.COMPILING:
            return _rest_s(self._counts, spent_s, _COMPILE_S)
        return self._training_left_s(now_s) + _COMPILE_S

    def _training_left_s(self, now_s: float) -> float:
        """Return the time until the training process ends."""
        spent_s = now_s - self._stage_s
        training_s = max(0.0, 60 * self._order.minutes - self._trained[0])
        if self._stage is Stage.STARTING:
            return max(1.0, _START_S - spent_s) + _simulation_s(self._order) + training_s + _END_S
        if self._stage is Stage.SIMULATING:
            return _rest_s(self._counts, spent_s, _simulation_s(self._order)) + training_s + _END_S
        if self._stage is Stage.FITTING:
            return _rest_s(self._counts, spent_s, 0.0) + training_s + _END_S
        if self._stage is Stage.TRAINING:
            return float(self._counts[1] - self._counts[0]) + _END_S
        return max(1.0, _END_S - spent_s)


def _rest_s(counts: tuple[int, int], spent_s: float, expected_s: float) -> float:
    """Return the rest of a stage from its rate so far; from what was expected before there is one."""
    done, total = counts
    if not done:
        return max(1.0, expected_s - spent_s)
    return spent_s / done * (total - done)


def _simulation_s(order: TrainingOrder) -> float:
    return 0.0 if order.dataset is not None else order.pairs * _PAIR_S
