"""Training of the referenced U-Net: one loop for pools that are still being filled and for captured datasets."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim.swa_utils import AveragedModel

from reconstruction.base import ReconstructionError
from reconstruction.data import PairPool, shuffled_batches
from reconstruction.metrics import Scores, mean_scores, score
from reconstruction.networks.unet import ReferencedUNet


@dataclass(frozen=True)
class TrainConfig:
    """How to train; saved in the model card."""

    steps: int = 2000
    batch: int = 8
    learning_rate: float = 2e-3
    warm_up: int = 50
    weight_decay: float = 1e-4
    ema_decay: float = 0.995
    gradient_clip: float = 1.0
    bf16: bool = True
    seed: int = 0
    validate_every: int = 250

    def to_dict(self) -> dict[str, object]:
        """Plain types, for YAML."""
        return asdict(self)


@dataclass
class TrainReport:
    """What a training run did: validation scores (step, scores) and time."""

    validation: list[tuple[int, Scores]] = field(default_factory=list)
    seconds: float = 0.0
    steps: int = 0


def train(
    model: ReferencedUNet,
    pool: PairPool,
    validation: PairPool,
    mask: NDArray[np.bool_],
    range_rad: float,
    config: TrainConfig,
    on_progress: Callable[[int, float], None] = lambda step, loss: None,
    on_validation: Callable[[ReferencedUNet, TrainReport], None] = lambda average, report: None,
) -> tuple[ReferencedUNet, TrainReport]:
    """Train ``model`` and return its moving average, which is what ships.

    Parameters
    ----------
    model : ReferencedUNet
        Trained in place.
    pool, validation : PairPool
        Training pairs (``pool.ready`` may still grow) and held-out pairs.
    mask : ndarray of bool, shape (grid, grid)
        Where the fibre sees; the loss ignores the rest.
    range_rad : float
        Phase of white, for SSIM and PSNR.
    config : TrainConfig
        Steps, batch, rates.
    on_progress : callable
        Called after every step with ``(step, loss)``.
    on_validation : callable
        Called after every validation with the moving average, fit for saving, and the report so far.

    Raises
    ------
    ReconstructionError
        Fewer pairs than one batch, or a loss that is not finite.
    """
    if pool.ready < config.batch:
        raise ReconstructionError(f"training needs at least {config.batch} pairs, the pool holds {pool.ready}")
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, config))
    average = AveragedModel(model, avg_fn=warm_average(config.ema_decay), use_buffers=True)
    report, started, step = TrainReport(), time.monotonic(), 0
    while step < config.steps:
        for indices in shuffled_batches(pool.ready, config.batch, rng):
            batch = pool.batch(indices)
            model.train()
            with torch.autocast("cpu", torch.bfloat16, enabled=config.bf16):
                loss = model.loss(batch)
            if not torch.isfinite(loss):
                raise ReconstructionError(f"the loss is {loss.item()} at step {step}; lower the learning rate")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip)
            optimizer.step()
            schedule.step()
            average.update_parameters(model)
            step += 1
            on_progress(step, loss.item())
            if step % config.validate_every == 0 or step == config.steps:
                report.seconds, report.steps = time.monotonic() - started, step
                report.validation.append((step, validate(average.module, validation, mask, range_rad)))
                on_validation(cast(ReferencedUNet, average.module), report)
            if step == config.steps:
                break
    averaged = cast(ReferencedUNet, average.module)
    settle_batch_norm(averaged, pool, config.batch)
    return averaged.eval(), report


def settle_batch_norm(model: ReferencedUNet, pool: PairPool, batch: int, batches: int = 64) -> None:
    """Measure batch norm's statistics anew for averaged weights, which no batch has seen in training.

    Izmailov et al., "Averaging weights leads to wider optima and better generalization", UAI 2018, section 3.2.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over what follows
    model.train()
    with torch.inference_mode():
        for start in range(0, min(batches * batch, pool.ready - batch + 1), batch):
            chosen = pool.batch(np.arange(start, start + batch))
            model(chosen.frames, chosen.reference)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def warm_average(decay: float) -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor | int], torch.Tensor]:
    """Exponential average whose memory grows with the number of updates, so that early weights do not linger."""

    def average(old: torch.Tensor, new: torch.Tensor, updates: torch.Tensor | int) -> torch.Tensor:
        count = float(updates)
        return old.lerp(new, 1 - min(decay, (1 + count) / (10 + count))) if old.is_floating_point() else new

    return average


def learning_rate_factor(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then half a cosine to zero."""
    if step < config.warm_up:
        return (step + 1) / config.warm_up
    part = (step - config.warm_up) / max(1, config.steps - config.warm_up)
    return 0.5 * (1 + math.cos(math.pi * min(part, 1.0)))


def validate(model: nn.Module, pool: PairPool, mask: NDArray[np.bool_], range_rad: float) -> Scores:
    """Mean scores of ``model`` over a pool, one frame at a time as in live use."""
    model.eval()
    scores = []
    with torch.inference_mode():
        for index in range(pool.ready):
            pair = pool.batch(np.array([index]))
            phase = model(pair.frames, pair.reference)
            scores.append(score(phase[0, 0].numpy(), pair.phase_rad[0, 0].numpy(), mask, range_rad))
    return mean_scores(scores)
