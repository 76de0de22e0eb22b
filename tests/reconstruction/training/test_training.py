"""Simulated pools, dataset parts and the training loop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from app.instrument.config import InstrumentConfig, TwinConfig
from app.training.train import Job, SimulatedPairs, train_on_dataset, train_on_twin, twin_data
from reconstruction.base import ReconstructionError
from reconstruction.data.batch import Batch
from reconstruction.data.pairs import PairPool, part_of
from reconstruction.data.simulation import TwinData, simulated_pool
from reconstruction.metrics import Scores
from reconstruction.models.model import load_model
from reconstruction.models.reconstructor import NetworkConfig, Reconstructor
from reconstruction.training.config import (
    FinishReason,
    Schedule,
    TrainConfig,
    TrainReport,
    ValidationProgress,
    learning_rate_factor,
)
from reconstruction.training.distributed import World
from reconstruction.training.loop import Callbacks, Trainer, settle_batch_norm
from tests.helpers.small_instrument import FRAME_PX, GRID_PX, OPTICS, small_network

CONFIG = InstrumentConfig(twin=TwinConfig(optics=OPTICS))
NETWORK = {"grid_px": GRID_PX, "base_channels": 4, "multipliers": (1, 2, 4)}


def data(pairs: int = 6, source: str = "mixed") -> TwinData:
    return twin_data(CONFIG, source, pairs, 3, GRID_PX)


def learn(
    pool: PairPool, steps: int, network: Reconstructor | None = None, **changes: object
) -> tuple[Reconstructor, TrainReport, list[float]]:
    losses: list[float] = []
    usual = {"steps": steps, "batch": 4, "warm_up": 5, "validate_every": steps, "bf16": False}
    config = TrainConfig(**{**usual, **changes})  # type: ignore[arg-type]
    callbacks = Callbacks(lambda report, loss: losses.append(loss))
    model, report = Trainer(network or small_network("fold"), config, callbacks=callbacks).train(pool, pool)
    return model, report, losses


def test_simulated_pairs_do_not_depend_on_the_number_of_processes() -> None:
    sixty = data(60)  # more than one chunk
    with simulated_pool(sixty, 0) as here, simulated_pool(sixty, 2) as there:
        assert here.ready == there.ready == 60
        assert np.array_equal(here.speckle, there.speckle)
        assert np.array_equal(here.phase_rad, there.phase_rad)
        assert np.array_equal(here.reference, there.reference)


def test_a_pool_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with simulated_pool(data(), 0):
        assert any(tmp_path.iterdir())
    assert not any(tmp_path.iterdir())


def test_a_pool_too_large_for_the_disk_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ReconstructionError, match="no room for 1000000000 simulated pairs"), simulated_pool(data(10**9), 0):
        pass


def test_patterns_are_shared_out_whole_and_in_proportion() -> None:
    parts = [part_of(f"{number:x}") for number in range(3000)]
    assert part_of("abc") == part_of("abc")
    shares = {part: parts.count(part) / len(parts) for part in ("training", "validation", "test")}
    assert shares["training"] == pytest.approx(0.8, abs=0.03)
    assert shares["test"] == pytest.approx(0.1, abs=0.03)


def test_the_loop_learns_a_pool_by_heart() -> None:
    with simulated_pool(data(8, "cells"), 0) as pool:
        _, report, losses = learn(pool, 60)
    assert np.mean(losses[-5:]) < 0.75 * np.mean(losses[:5])
    assert report.steps == 60
    assert report.finish_reason is FinishReason.STEPS_DONE
    assert isinstance(report.validation[-1][1], Scores)


def test_the_same_seed_learns_the_same() -> None:
    with simulated_pool(data(8, "cells"), 0) as pool:
        one, two = (learn(pool, 4)[0] for _ in range(2))
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_pool_smaller_than_a_batch_and_a_loss_that_explodes_are_errors() -> None:
    few = "at least 4 pairs, the pool holds 3"
    with simulated_pool(data(3, "cells"), 0) as pool, pytest.raises(ReconstructionError, match=few):
        learn(pool, 2)
    with simulated_pool(data(4, "cells"), 0) as pool:
        pool.phase_rad[0, 16, 16] = np.nan
        with pytest.raises(ReconstructionError, match="loss is nan at step 0"):
            learn(pool, 2)


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


def test_a_run_by_the_clock_ends_by_the_clock() -> None:
    with simulated_pool(data(4, "cells"), 0) as pool:
        _, report, losses = learn(pool, 1, minutes=0.01)
    assert report.finish_reason is FinishReason.TIME_UP
    assert 0.6 <= report.seconds < 30
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


def test_early_stop_ends_the_run_with_the_best_weights() -> None:
    with simulated_pool(data(8, "cells"), 0) as pool:
        spoil = replace(pool, phase_rad=-pool.phase_rad)  # whatever is learned, here it only gets worse
        config = TrainConfig(steps=60, batch=4, warm_up=1, validate_every=3, early_stop=2, ema_decay=0.0, bf16=False)
        kept: list[torch.Tensor] = []
        network = PlainConv()

        def validated(average: Reconstructor, report: TrainReport) -> None:
            kept.append(average.state_dict()["conv.weight"].clone())

        model, report = Trainer(network, config, callbacks=Callbacks(validated=validated)).train(pool, spoil)
    assert report.finish_reason is FinishReason.NO_PROGRESS
    ssims = [scores.ssim for _, scores in report.validation]
    best = int(np.argmax(ssims))
    assert report.steps == 3 * (best + 3) < 60
    assert torch.equal(model.state_dict()["conv.weight"], kept[best])


def test_batch_norm_is_settled_where_there_is_any_and_nothing_else_moves() -> None:
    with simulated_pool(data(8, "cells"), 0) as pool:
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
    """The least that can learn, without batch norm; its loss draws noise."""

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


def test_training_on_the_twin_writes_a_model_that_says_how(tmp_path: Path) -> None:
    config = TrainConfig(steps=4, batch=4, validate_every=2)
    stages: list[str] = []
    job = Job(folder=tmp_path / "m", kind="referenced", network=NETWORK, training=config, command="specklescope train m")
    model, result = train_on_twin(CONFIG, SimulatedPairs("cells", 64, 1), job, lambda stage, *_: stages.append(stage))
    card = load_model(tmp_path / "m").card
    assert card.fibre.startswith("twin 1 (")
    assert card.parameters > 1000
    assert card.evaluations == 1
    assert card.device.startswith("1 x ")
    assert card.training["learning_rate"] == 2e-3
    readme = (tmp_path / "m" / "README.md").read_text("utf-8")
    assert "U-Net" in readme
    assert card.device in readme
    assert card.command == "specklescope train m"
    assert card.scores["ssim"] == pytest.approx(result.scores.ssim, abs=1e-4)
    assert model.id == load_model(tmp_path / "m").id
    assert list(dict.fromkeys(stages)) == ["simulating pairs", "fitting in closed form", "training"]


def test_training_on_a_captured_dataset_keeps_whole_patterns_apart(tmp_path: Path) -> None:

    from acquisition.capture.dataset_archive import open_dataset
    from acquisition.capture.plan import CapturePlan
    from acquisition.capture.runner import acquire
    from app.instrument.opening import open_rig
    from drivers.clock import VirtualClock

    rig, fibre = open_rig(CONFIG, VirtualClock())
    plan = CapturePlan(source="cells", pairs=110, seed=4)
    with open_dataset(tmp_path, "d", plan, rig, {"fibre": fibre}) as writer:
        acquire(rig, plan, writer)
    network = {**NETWORK, "front_end": "fold"}
    config = TrainConfig(steps=4, batch=4, validate_every=4)
    folder = tmp_path / "m"
    job = Job(folder=folder, kind="referenced", network=network, training=config, command="specklescope train")
    model, result = train_on_dataset(CONFIG, writer.path, job, lambda *_: None)
    assert model.card.fibre == fibre
    assert 2 <= result.images <= 30
    assert f"{writer.path.name}" in model.card.data
