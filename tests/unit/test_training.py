"""Simulated pools, dataset parts and the training loop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from app.config import InstrumentConfig, TwinConfig
from app.training import train_on_dataset, train_on_twin, twin_data
from reconstruction.base import ReconstructionError
from reconstruction.data import PairPool, part_of
from reconstruction.field import field_mask
from reconstruction.metrics import Scores
from reconstruction.model import load_model
from reconstruction.networks.unet import ReferencedUNet, UNetConfig
from reconstruction.simulate import TwinData, simulated_pool
from reconstruction.train import TrainConfig, TrainReport, learning_rate_factor, train
from tests.small import FRAME_PX, GRID_PX, OPTICS, small_network

CONFIG = InstrumentConfig(twin=TwinConfig(optics=OPTICS))
NETWORK = UNetConfig(frame_px=FRAME_PX, grid_px=GRID_PX, base_channels=4, multipliers=(1, 2, 4))


def data(pairs: int = 6, source: str = "mixed") -> TwinData:
    return twin_data(CONFIG, source, pairs, 3, GRID_PX)


def learn(pool: PairPool, steps: int, network: ReferencedUNet | None = None) -> tuple[ReferencedUNet, TrainReport, list[float]]:
    losses: list[float] = []
    config = TrainConfig(steps=steps, batch=4, warm_up=5, validate_every=steps, bf16=False)
    model, report = train(
        network or small_network("fold"),
        pool,
        pool,
        field_mask(GRID_PX, 0.9),
        2.85,
        config,
        lambda step, loss: losses.append(loss),
    )
    return model, report, losses


def test_simulated_pairs_do_not_depend_on_the_number_of_processes() -> None:
    wanted = data(60)  # more than one chunk
    with simulated_pool(wanted, 0) as here, simulated_pool(wanted, 2) as there:
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


def test_training_on_the_twin_writes_a_model_that_says_how(tmp_path: Path) -> None:
    config = TrainConfig(steps=4, batch=4, validate_every=2)
    stages: list[str] = []
    model, result = train_on_twin(
        CONFIG, tmp_path / "m", "cells", 64, 1, NETWORK, config, "specklescope train m", lambda stage, *_: stages.append(stage)
    )
    card = load_model(tmp_path / "m").card
    assert card.fibre.startswith("twin 1 (")
    assert card.command == "specklescope train m"
    assert card.scores["ssim"] == pytest.approx(result.scores.ssim, abs=1e-4)
    assert model.id == load_model(tmp_path / "m").id
    assert list(dict.fromkeys(stages)) == ["simulating pairs", "fitting the fibre's maps", "training"]


def test_training_on_a_captured_dataset_keeps_whole_patterns_apart(tmp_path: Path) -> None:
    import threading

    from acquisition.acquire import acquire, open_dataset
    from acquisition.plan import CapturePlan
    from app.rig import open_rig
    from drivers.clock import VirtualClock

    rig, fibre = open_rig(CONFIG, VirtualClock())
    plan = CapturePlan("cells", 110, seed=4)
    with open_dataset(tmp_path, "d", plan, rig, {"fibre": fibre}) as writer:
        acquire(rig, plan, writer, threading.Event())
    network = replace(NETWORK, front_end="fold")
    config = TrainConfig(steps=4, batch=4, validate_every=4)
    folder = tmp_path / "m"
    model, result = train_on_dataset(CONFIG, folder, writer.path, network, config, "specklescope train", lambda *_: None)
    assert model.card.fibre == fibre
    assert 2 <= result.images <= 30
    assert f"{writer.path.name}" in model.card.data
