"""Trainings of the experiment: in stages, by the minutes of one core, once, and from where they were stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from app.benchmarks.papers.plan import PairsPlan, PaperModel, Shelf, Stage
from app.benchmarks.papers.trainings import PapersFolder, measured_response, papers_pool, train_model
from app.instrument.config import InstrumentConfig, load_config, shipped_file
from app.instrument.kinds import InstrumentName
from drivers.base import SpeckleScopeError
from reconstruction.models.model import SHIPPED, load_model

PAIRS = PairsPlan(source="cells", pairs=32, seed=11)
NETWORK = {"grid_px": 64, "base_channels": 4, "multipliers": (1, 2)}


@pytest.fixture
def config() -> InstrumentConfig:
    return load_config(shipped_file(InstrumentName.FIBRE64))


@pytest.fixture(autouse=True)
def _threads() -> object:
    """Give the other tests their threads back: a training uses one."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def silent(stage: str, done: int, total: int, note: str = "") -> None:
    """Report nothing."""


@pytest.mark.slow
def test_a_model_of_two_stages_is_trained_once_for_its_minutes(config: InstrumentConfig, tmp_path: Path) -> None:
    folder = PapersFolder(tmp_path)
    network = {**NETWORK, "heads": 2, "residual_blocks": 1, "predicts": "picture", "schedule": "uniform-1"}
    stages = (Stage(part=0.5, network={"pure_noise": 1.0}), Stage(network={"pure_noise": 0.25}))
    model = PaperModel(name="small", kind="specdiffusion", network=network, data=PAIRS, minutes=0.02, stages=stages)
    train_model(config, folder, model, silent)
    trained = load_model(folder.place(model))
    assert folder.is_trained(model)
    assert folder.trained(model) == folder.place(model)
    assert trained.network.config.pure_noise == 0.25
    first = load_model(folder.stage(model, 0)).card
    assert 0.6 <= first.seconds < 1.2 <= trained.card.seconds < 2.5
    assert f"({load_model(folder.stage(model, 0)).id})" in trained.card.data
    stages_seen: list[str] = []
    train_model(config, folder, model, lambda stage, *_: stages_seen.append(stage))
    assert "training" not in stages_seen
    assert load_model(folder.place(model)).id == trained.id


def test_few_pairs_fine_tune_another_model(config: InstrumentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.benchmarks.papers.trainings.FINE_TUNING_STEPS", 3)
    folder = PapersFolder(tmp_path)
    base = PaperModel(name="base", kind="unet", network=NETWORK, shelf=Shelf.TRANSFER, data=PAIRS, minutes=0.005)
    second = PaperModel(name="second", kind="unet", shelf=Shelf.TRANSFER, data=PAIRS, base="base", few=10)
    with pytest.raises(SpeckleScopeError, match="starts from base, which is not trained yet"):
        train_model(config, folder, second, silent)
    for model in (base, second):
        train_model(config, folder, model, silent)
    card = load_model(folder.place(second)).card
    assert card.data.startswith("10 simulated pairs")
    assert card.scores["steps"] == 3
    assert card.training["batch"] == 10


def test_a_model_that_is_shipped_is_not_trained_again(tmp_path: Path) -> None:
    shipped = PaperModel(name="unet-twin", kind="unet")
    folder = PapersFolder(tmp_path)
    assert folder.is_trained(shipped)
    assert folder.trained(shipped) == SHIPPED / "unet-twin"
    assert not folder.is_trained(replace(shipped, name="unet-of-nobody"))


@pytest.mark.slow
def test_the_response_of_a_small_fibre_is_measured_once_and_its_time_counts(config: InstrumentConfig, tmp_path: Path) -> None:
    folder = PapersFolder(tmp_path)
    place, seconds = measured_response(config, folder, silent)
    assert seconds > 0
    written = {path: path.stat().st_mtime_ns for path in place.iterdir()}
    assert measured_response(config, folder, silent) == (place, seconds)
    assert {path: path.stat().st_mtime_ns for path in place.iterdir()} == written


def test_pairs_are_on_the_sampling_of_the_frame(config: InstrumentConfig, tmp_path: Path) -> None:
    pool = papers_pool(config, PapersFolder(tmp_path), PAIRS, silent)
    assert pool.speckle.shape == pool.phase_rad.shape == (32, 64, 64)
    assert np.ptp(pool.phase_rad) > 1
