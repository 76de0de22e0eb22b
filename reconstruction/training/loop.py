"""The training loop of every reconstructor, for pairs in memory and for twins that simulate pairs on request."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from reconstruction.base import ReconstructionError
from reconstruction.data.batch import Pairs
from reconstruction.data.pairs import PairPool
from reconstruction.models.base import Reconstructor
from reconstruction.training.config import PLATEAU_FACTOR, FinishReason, TrainConfig, TrainReport, learning_rate_factor
from reconstruction.training.distributed import World
from reconstruction.training.resume_state import TrainState, step_seed
from reconstruction.training.run import Run
from reconstruction.training.validation import validate


class TrainingStoppedError(ReconstructionError):
    """Training stopped on request. A run with a run folder can be resumed."""

    def __init__(self, step: int) -> None:
        super().__init__(f"training was stopped at step {step}; go on with --resume")
        self.step = step


@dataclass(frozen=True)
class TrainingClock:
    """What counts as the time of a run, and as its minutes.

    Parameters
    ----------
    now : callable
        Returns a time in seconds. ``time.process_time`` counts the work of all cores of this process, so a run that shares its
        computer, or that is paused, gets as many steps as one that is alone.
    spent_s : float
        Time in seconds that was used before the first step, for instance by the model that the run starts from.
    """

    now: Callable[[], float] = time.monotonic
    spent_s: float = 0.0


@dataclass(frozen=True)
class Callbacks:
    """Functions that the first process calls during training.

    Parameters
    ----------
    progress : callable
        ``progress(report, loss)``, after every step.
    validated : callable
        ``validated(average, report)``, after every validation; the weights of ``average`` can be saved.
    stop : callable
        ``stop()``, after every step; returns whether to end the run here.
    clock : TrainingClock
        What the report's ``seconds`` and the configuration's ``minutes`` count.
    """

    progress: Callable[[TrainReport, float], None] = lambda report, loss: None
    validated: Callable[[Reconstructor, TrainReport], None] = lambda average, report: None
    stop: Callable[[], bool] = lambda: False
    clock: TrainingClock = TrainingClock()


class Trainer:
    """Trains one reconstructor.

    A run goes on until it has a :class:`~reconstruction.training.config.FinishReason`::

        running --+-- all steps done ---------------> STEPS_DONE  --+
                  +-- time used up -----------------> TIME_UP     --+--> the averaged weights are returned
                  +-- validation stopped improving -> NO_PROGRESS --+
                  +-- callbacks.stop() -------------> STOPPED --> TrainingStoppedError; resume from the run folder

    Parameters
    ----------
    model : Reconstructor
        Trained in place, on the device of ``world``.
    config : TrainConfig
        Steps or minutes, batch size, rates.
    run : Run, optional
        Folder for checkpoints and curves. A resumed run starts from its checkpoint. On a CPU it ends with exactly the same
        weights as a run that was never stopped, except with ``config.minutes``, which follows the clock.
    callbacks : Callbacks, optional
        Functions to call during training.
    world : World, optional
        The processes that train together. Each takes its share of the same batches.

    Raises
    ------
    ReconstructionError
        The batch cannot be divided evenly among the processes, or the checkpoint belongs to another network.
    """

    def __init__(
        self,
        model: Reconstructor,
        config: TrainConfig,
        *,
        run: Run | None = None,
        callbacks: Callbacks | None = None,
        world: World | None = None,
    ) -> None:
        self._config = config
        self._callbacks = callbacks or Callbacks()
        self._world = world or World()
        if config.batch % self._world.size:
            raise ReconstructionError(
                f"a batch of {config.batch} pairs is no multiple of {self._world.size} processes; change --batch"
            )
        model.to(self._world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._learner = self._world.learner(model)
        self._state = TrainState(model, config)
        self._state.report.seconds = self._callbacks.clock.spent_s
        if run is not None and run.checkpoint is not None:
            self._state.restore(*run.checkpoint)
        self._record = run if self._world.first else None

    def train(self, pairs: Pairs, validation: PairPool) -> tuple[Reconstructor, TrainReport]:
        """Train, and return the moving average of the weights (on the CPU) with the report of the run.

        Parameters
        ----------
        pairs : Pairs
            Training pairs; their number may still grow.
        validation : PairPool
            Held-out pairs, with their phase on the grid of the reconstructor.

        Raises
        ------
        ReconstructionError
            There are fewer pairs than one batch, or the loss is not finite.
        TrainingStoppedError
            ``callbacks.stop`` requested it. The checkpoint is written.
        """
        config, state = self._config, self._state
        if pairs.ready < config.batch:
            raise ReconstructionError(f"training needs at least {config.batch} pairs, the pool holds {pairs.ready}")
        if self._record is not None:
            self._record.begin(state)
        order, report = state.batches(pairs, config), state.report
        started = self._callbacks.clock.now() - report.seconds
        while report.finish_reason is None:
            stop = self._step(pairs, order, started)
            validate_now = report.finish_reason is not None or report.steps % config.validate_every == 0
            if validate_now:
                self._validate(validation)
            if stop and report.finish_reason is None:
                report.finish_reason = FinishReason.STOPPED
            if self._record is not None and (validate_now or stop or report.steps % config.checkpoint_every == 0):
                self._record.save(state)
        if report.finish_reason is FinishReason.STOPPED:
            raise TrainingStoppedError(report.steps)
        averaged = cast(Reconstructor, state.average.module)
        if state.best:
            averaged.load_state_dict(state.best)
        settle_batch_norm(averaged, pairs, config)
        return averaged.eval().cpu(), report

    def _step(self, pairs: Pairs, order: Iterator[NDArray[np.int64]], started: float) -> bool:
        """Do one step of all processes, and report it; return whether any process was asked to stop."""
        config, state, world = self._config, self._state, self._world
        report = state.report
        loss = self._learn(pairs, next(order)[world.rank :: world.size])
        mean_loss, stop, report.seconds = world.agree(loss, self._callbacks.clock.now() - started, stop=self._callbacks.stop())
        if not np.isfinite(mean_loss):
            raise ReconstructionError(f"the loss is {mean_loss} at step {report.steps}; lower the learning rate")
        report.steps += 1
        if config.minutes is None and report.steps >= config.steps:
            report.finish_reason = FinishReason.STEPS_DONE
        elif config.minutes is not None and report.seconds >= 60 * config.minutes:
            report.finish_reason = FinishReason.TIME_UP
        if world.first:
            self._callbacks.progress(report, mean_loss)
        # The first steps have a line each: a short training on a slow computer has a curve, too.
        if self._record is not None and (report.steps <= config.log_every or report.steps % config.log_every == 0):
            self._record.log_step(report.steps, mean_loss, state.optimizer.param_groups[0]["lr"], report.seconds)
        return stop

    def _learn(self, pairs: Pairs, share: NDArray[np.int64]) -> float:
        """Update the weights with this process's share of a batch; return its loss."""
        config, state, device = self._config, self._state, self._world.device
        rate = state.rate * learning_rate_factor(state.report.steps, config, state.report.seconds)
        for group in state.optimizer.param_groups:
            group["lr"] = rate * PLATEAU_FACTOR**state.progress.lowered
        seed = step_seed(config.seed, state.report.steps, self._world.rank)
        batch = pairs.batch(share, seed).to(device)
        torch.manual_seed(seed)
        self._learner.train()
        with torch.autocast(device.type, torch.bfloat16, enabled=config.bf16):
            loss = self._learner(batch)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(state.model.parameters(), config.gradient_clip)
        state.optimizer.step()
        state.average.update_parameters(state.model)
        return float(loss.detach())

    def _validate(self, validation: PairPool) -> None:
        """Score the averaged weights in the first process; every process decides from the same error whether to end."""
        config, state = self._config, self._state
        average, report, error = cast(Reconstructor, state.average.module), state.report, 0.0
        if self._world.first:
            result = validate(average, validation, config.validation_images)
            report.validation.append((report.steps, result.scores))
            error = 1 - result.scores.ssim
            if self._record is not None:
                self._record.log_validation(report.steps, result)
            self._callbacks.validated(average, report)
        if state.progress.add(self._world.from_first(error), config) and config.early_stop:
            state.keep_best()
        if report.finish_reason is None and config.early_stop and state.progress.since_best >= config.early_stop:
            report.finish_reason = FinishReason.NO_PROGRESS


def settle_batch_norm(model: Reconstructor, pairs: Pairs, config: TrainConfig, batches: int = 64) -> None:
    """Measure the statistics of batch norm for averaged weights, which no batch has passed through in training.

    Models without batch norm do not change. Method: Izmailov et al., "Averaging weights leads to wider optima and better
    generalization", UAI 2018, section 3.2.
    """
    model.train()
    # Layers that stay in evaluation mode keep the statistics they were loaded with.
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.training]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over the batches below
    size = config.batch
    with torch.no_grad():
        for start in range(0, min(batches * size, pairs.ready - size + 1), size):
            seed = step_seed(config.seed, start)
            torch.manual_seed(seed)
            model.loss(pairs.batch(np.arange(start, start + size), seed).to(model.inside.device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
