"""The training loop: steps, learning rate, validation, and why a run finishes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from app.instrument.config import InstrumentConfig, TwinConfig
from app.training.train import twin_data
from reconstruction.base import ReconstructionError
from reconstruction.data.batch import Batch
from reconstruction.data.pairs import PairPool
from reconstruction.data.simulation import simulated_pool
from reconstruction.metrics import Scores
from reconstruction.models.base import NetworkConfig, Reconstructor
from reconstruction.training.config import (
    FinishReason,
    Schedule,
    TrainConfig,
    TrainReport,
    ValidationProgress,
    learning_rate_factor,
)
from reconstruction.training.distributed import World
from reconstruction.training.loop import Callbacks, Trainer, TrainingClock, settle_batch_norm
from tests.helpers.small_instrument import FRAME_PX, GRID_PX, OPTICS, small_network


@pytest.fixture(scope="module")
def pool() -> Iterator[PairPool]:
    """Eight simulated pairs; tests do not change them."""
    config = InstrumentConfig(twin=TwinConfig(optics=OPTICS))
    with simulated_pool(twin_data(config, "cells", 8, 3, GRID_PX), 0) as pool:
        yield pool


def learn(
    pool: PairPool, steps: int, network: Reconstructor | None = None, clock: TrainingClock | None = None, **changes: object
) -> tuple[Reconstructor, TrainReport, list[float]]:
    losses: list[float] = []
    usual = {"steps": steps, "batch": 4, "warm_up": 5, "validate_every": steps, "bf16": False}
    config = TrainConfig(**{**usual, **changes})  # type: ignore[arg-type]
    callbacks = Callbacks(lambda report, loss: losses.append(loss), clock=clock or TrainingClock())
    model, report = Trainer(network or small_network("fold"), config, callbacks=callbacks).train(pool, pool)
    return model, report, losses


@pytest.mark.slow
def test_the_loop_learns_a_pool_by_heart(pool: PairPool) -> None:
    _, report, losses = learn(pool, 60)
    assert np.mean(losses[-5:]) < 0.75 * np.mean(losses[:5])
    assert report.steps == 60
    assert report.finish_reason is FinishReason.STEPS_DONE
    assert isinstance(report.validation[-1][1], Scores)


def test_the_same_seed_learns_the_same(pool: PairPool) -> None:
    one, two = (learn(pool, 4)[0] for _ in range(2))
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_pool_smaller_than_a_batch_is_refused(pool: PairPool) -> None:
    with pytest.raises(ReconstructionError, match="at least 4 pairs, the pool holds 3"):
        learn(replace(pool, ready=3), 2)


def test_a_loss_that_is_not_finite_is_an_error(pool: PairPool) -> None:
    phase_rad = np.array(pool.phase_rad[:4])
    phase_rad[0, 16, 16] = np.nan
    with pytest.raises(ReconstructionError, match="loss is nan at step 0"):
        learn(replace(pool, phase_rad=phase_rad, ready=4), 2)


def test_the_rate_warms_up_and_ends_at_nothing() -> None:
    config = TrainConfig(steps=100, warm_up=10)
    rates = [learning_rate_factor(step, config) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0.0, abs=1e-9)


def test_the_rate_goes_by_the_clock_where_minutes_are_given() -> None:
    config = TrainConfig(steps=1, warm_up=10, minutes=2.0)
    assert learning_rate_factor(10**6, config, 0.0) == pytest.approx(1.0)
    assert learning_rate_factor(10**6, config, 60.0) == pytest.approx(0.5)
    assert learning_rate_factor(10, config, 120.0) == pytest.approx(0.0, abs=1e-9)


def test_a_run_by_the_clock_ends_by_the_clock(pool: PairPool) -> None:
    seconds = itertools.count()
    _, report, losses = learn(pool, 1, clock=TrainingClock(lambda: float(next(seconds))), minutes=0.1)
    assert report.finish_reason is FinishReason.TIME_UP
    assert 6.0 <= report.seconds < 8.0
    assert report.steps == len(losses) > 1


def progress_of(errors: list[float], config: TrainConfig) -> ValidationProgress:
    progress = ValidationProgress()
    for error in errors:
        progress.add(error, config)
    return progress


def test_a_plateau_lowers_the_rate_and_progress_does_not() -> None:
    config = TrainConfig(schedule=Schedule.PLATEAU, plateau_validations=2)
    assert progress_of([0.9, 0.8, 0.7, 0.6], config).lowered == 0
    assert progress_of([0.9, 0.95, 0.85, 0.95], config).lowered == 0
    assert progress_of([0.9, 0.95, 0.9, 0.9, float("nan")], config).lowered == 2
    assert progress_of([0.9, 0.95, 0.9], replace(config, schedule=Schedule.COSINE)).lowered == 0


def test_early_stop_ends_the_run_with_the_best_weights(pool: PairPool) -> None:
    spoil = replace(pool, phase_rad=-pool.phase_rad)  # whatever the network learns, the scores only get worse
    config = TrainConfig(steps=60, batch=4, warm_up=1, validate_every=3, early_stop=2, ema_decay=0.0, bf16=False)
    kept: list[torch.Tensor] = []

    def validated(average: Reconstructor, report: TrainReport) -> None:
        kept.append(average.state_dict()["conv.weight"].clone())

    model, report = Trainer(PlainConv(), config, callbacks=Callbacks(validated=validated)).train(pool, spoil)
    assert report.finish_reason is FinishReason.NO_PROGRESS
    ssims = [scores.ssim for _, scores in report.validation]
    best = int(np.argmax(ssims))
    assert report.steps == 3 * (best + 3) < 60
    assert torch.equal(model.state_dict()["conv.weight"], kept[best])


def test_batch_norm_is_measured_where_there_is_any_and_nothing_else_changes(pool: PairPool) -> None:
    learned, _, _ = learn(pool, 2, network=PlainConv(), ema_decay=0.0)
    again = PlainConv()
    again.load_state_dict(learned.state_dict())
    settle_batch_norm(again, pool, TrainConfig(batch=4))
    assert all(torch.equal(a, b) for a, b in zip(learned.parameters(), again.parameters(), strict=True))
    network = small_network("fold")
    before = network.stem[1].running_mean.clone()
    settle_batch_norm(network, pool, TrainConfig(batch=4))
    assert not torch.equal(network.stem[1].running_mean, before)
    assert network.stem[1].momentum == 0.1


def test_a_batch_that_cannot_be_shared_out_is_refused() -> None:
    world = World(rank=0, size=3)
    with pytest.raises(ReconstructionError, match="no multiple of 3 processes"):
        Trainer(PlainConv(), TrainConfig(batch=4), world=world)


class PlainConv(Reconstructor):
    """The smallest network that can learn, without batch norm; its loss contains random noise."""

    kind: ClassVar[str] = "plain"

    def __init__(self) -> None:
        super().__init__(NetworkConfig(frame_px=FRAME_PX, grid_px=GRID_PX))
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 1, 5, padding=2)

    def forward(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.conv(F.avg_pool2d(frame - reference, FRAME_PX // GRID_PX) / 36))

    def loss(self, batch: Batch) -> torch.Tensor:
        phase = self(batch.frames, batch.reference)
        return F.mse_loss(phase + 0.1 * torch.randn(phase.shape), batch.phase_rad)


def test_minutes_are_those_of_the_clock_with_what_was_spent_before(pool: PairPool) -> None:
    ticks = iter(range(0, 10_000, 10))  # ten seconds pass between two looks at the clock
    clock = TrainingClock(lambda: float(next(ticks)), spent_s=30.0)
    config = TrainConfig(minutes=1, batch=4, bf16=False, validate_every=100)
    _, report = Trainer(small_network("fold"), config, callbacks=Callbacks(clock=clock)).train(pool, pool)
    assert report.finish_reason is FinishReason.TIME_UP
    assert report.steps == 3
    assert report.seconds == 60
