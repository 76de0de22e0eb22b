"""The training loop of every reconstructor: for pairs in memory, and for twins that make them when asked."""

from __future__ import annotations

import time
from collections.abc import Callable
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
from reconstruction.models.reconstructor import Reconstructor
from reconstruction.training.config import PLATEAU_FACTOR, TrainConfig, TrainReport, learning_rate_factor
from reconstruction.training.distributed import World
from reconstruction.training.run import Run
from reconstruction.training.state import TrainState, step_seed
from reconstruction.training.validation import validate


class TrainingStoppedError(ReconstructionError):
    """Training was asked to stop and did; with a run folder it can go on from there."""

    def __init__(self, step: int) -> None:
        super().__init__(f"training was stopped at step {step}; go on with --resume")
        self.step = step


@dataclass(frozen=True)
class Callbacks:
    """What is called on the way, in the first process.

    ``progress(report, loss)`` after every step; ``validated(average, report)`` after every validation, with weights fit for
    saving; ``stop()`` says whether to end after this step.
    """

    progress: Callable[[TrainReport, float], None] = lambda report, loss: None
    validated: Callable[[Reconstructor, TrainReport], None] = lambda average, report: None
    stop: Callable[[], bool] = lambda: False


def train(
    model: Reconstructor,
    pairs: Pairs,
    validation: PairPool,
    config: TrainConfig,
    run: Run | None = None,
    callbacks: Callbacks | None = None,
    world: World | None = None,
) -> tuple[Reconstructor, TrainReport]:
    """Train ``model`` and return its moving average, which is what ships.

    Parameters
    ----------
    model : Reconstructor
        Trained in place, on the device of ``world``.
    pairs : Pairs
        Training pairs; their number may still grow.
    validation : PairPool
        Held-out pairs, their phase on the reconstructor's grid.
    config : TrainConfig
        Steps or minutes, batch, rates.
    run : Run, optional
        Folder for checkpoints and curves. One that was resumed goes on from its checkpoint, and on a CPU ends with the same
        weights, to the last bit, as if it had never been stopped (not with ``config.minutes``, which goes by the clock).
    callbacks : Callbacks, optional
        What to call on the way.
    world : World, optional
        The processes that train together. Each takes its share of the same batches.

    Raises
    ------
    ReconstructionError
        Fewer pairs than one batch, a batch that cannot be shared out evenly, a loss that is not finite, or a checkpoint of
        another network.
    TrainingStoppedError
        ``callbacks.stop`` asked for it; the checkpoint is written.
    """
    world, callbacks = world or World(), callbacks or Callbacks()
    if pairs.ready < config.batch:
        raise ReconstructionError(f"training needs at least {config.batch} pairs, the pool holds {pairs.ready}")
    if config.batch % world.size:
        raise ReconstructionError(f"a batch of {config.batch} is no multiple of {world.size} processes; change --batch")
    model.to(world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    learner = world.learner(model)
    state = TrainState(model, config)
    if run is not None and run.checkpoint is not None:
        state.restore(*run.checkpoint)
    record = run if world.first else None
    if record is not None:
        record.begin(state)
    order, report = state.batches(pairs, config), state.report
    started = time.monotonic() - report.seconds
    while not report.ended:
        batch_seed = step_seed(config.seed, report.steps, world.rank)
        share = next(order)[world.rank :: world.size]
        loss = _step(state, learner, pairs, share, batch_seed, config, world)
        mean_loss, stop, report.seconds = world.agree(loss, callbacks.stop(), time.monotonic() - started)
        if not np.isfinite(mean_loss):
            raise ReconstructionError(f"the loss is {mean_loss} at step {report.steps}; lower the learning rate")
        report.steps += 1
        if config.minutes is None and report.steps >= config.steps:
            report.ended = "steps"
        elif config.minutes is not None and report.seconds >= 60 * config.minutes:
            report.ended = "minutes"
        if world.first:
            callbacks.progress(report, mean_loss)
        if record is not None and report.steps % config.log_every == 0:
            record.log_step(report.steps, mean_loss, state.optimizer.param_groups[0]["lr"], report.seconds)
        watched = bool(report.ended) or report.steps % config.validate_every == 0
        if watched:
            _watch(state, validation, config, record, callbacks, world)
        if record is not None and (watched or stop or report.steps % config.checkpoint_every == 0):
            record.save(state)
        if stop and not report.ended:
            raise TrainingStoppedError(report.steps)
    averaged = cast(Reconstructor, state.average.module)
    if state.best:
        averaged.load_state_dict(state.best)
    settle_batch_norm(averaged, pairs, config)
    return averaged.eval().cpu(), report


def _step(
    state: TrainState, learner: nn.Module, pairs: Pairs, share: NDArray[np.int64], seed: int, config: TrainConfig, world: World
) -> float:
    report = state.report
    rate = state.rate * learning_rate_factor(report.steps, config, report.seconds)
    for group in state.optimizer.param_groups:
        group["lr"] = rate * PLATEAU_FACTOR**state.watch.lowered
    batch = pairs.batch(share, seed).to(world.device)
    torch.manual_seed(seed)
    learner.train()
    with torch.autocast(world.device.type, torch.bfloat16, enabled=config.bf16):
        loss = learner(batch)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(state.model.parameters(), config.gradient_clip)
    state.optimizer.step()
    state.average.update_parameters(state.model)
    return float(loss.detach())


def _watch(
    state: TrainState, validation: PairPool, config: TrainConfig, record: Run | None, callbacks: Callbacks, world: World
) -> None:
    average, report, error = cast(Reconstructor, state.average.module), state.report, 0.0
    if world.first:
        result = validate(average, validation, config.validation_images)
        report.validation.append((report.steps, result.scores))
        error = 1 - result.scores.ssim
        if record is not None:
            record.log_validation(report.steps, result)
        callbacks.validated(average, report)
    if state.watch.see(world.from_first(error), config) and config.early_stop:
        state.keep_best()
    if not report.ended and config.early_stop and state.watch.since_best >= config.early_stop:
        report.ended = "early stop"


def settle_batch_norm(model: Reconstructor, pairs: Pairs, config: TrainConfig, batches: int = 64) -> None:
    """Measure batch norm's statistics anew, where there are any, for averaged weights, which no batch has seen in training.

    Izmailov et al., "Averaging weights leads to wider optima and better generalization", UAI 2018, section 3.2.
    """
    model.train()
    # What is kept as it was taken over stays in evaluation mode.
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.training]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over what follows
    size = config.batch
    with torch.no_grad():
        for start in range(0, min(batches * size, pairs.ready - size + 1), size):
            seed = step_seed(config.seed, start)
            torch.manual_seed(seed)
            model.loss(pairs.batch(np.arange(start, start + size), seed).to(model.inside.device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
