"""What the tests of engines share: one small model, check frames of its fibre, and caches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from app.training.train import twin_data
from reconstruction.data.pairs import PairPool
from reconstruction.data.simulation import simulated_pool
from reconstruction.engines.check_frames import CheckFrames
from reconstruction.models.model import Model, save_model
from reconstruction.training.config import TrainConfig
from reconstruction.training.loop import settle_batch_norm
from tests.helpers.small_instrument import GRID_PX, small_instrument, small_model


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PairPool]:
    """Simulated pairs of the small instrument's fibre."""
    config = small_instrument(tmp_path_factory.mktemp("instrument"))
    with simulated_pool(twin_data(config, "validation", 4, 4, GRID_PX), 0) as pool:
        yield pool


@pytest.fixture(scope="session")
def model(pairs: PairPool, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model of random weights whose phase depends on the frame.

    With the initial statistics of batch norm its phase would be the same for every frame, to a thousandth of a radian: then a
    wrong engine would look right. The smaller head gives differences of a few tenths of a radian, as trained networks do.
    """
    folder = tmp_path_factory.mktemp("models") / "small"
    untrained = small_model(folder)
    settle_batch_norm(untrained.network, pairs, TrainConfig(batch=4))
    with torch.no_grad():
        untrained.network.get_submodule("head").weight.mul_(0.25)
    return save_model(folder, untrained.network.eval(), untrained.card)


@pytest.fixture(scope="session")
def check_frames(pairs: PairPool) -> CheckFrames:
    """Frames of the fibre that ``model`` is for."""
    return CheckFrames.of_pool(pairs)


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory, exported_once: None) -> Path:
    """A cache folder that no test damages."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def in_shared_cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the shared cache."""
    monkeypatch.setenv("SPECKLESCOPE_CACHE", str(shared_cache))


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported_once: None) -> Path:
    """Use an empty cache, which the test may damage."""
    monkeypatch.setenv("SPECKLESCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
