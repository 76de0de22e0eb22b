"""One contract for every engine on this machine, and what happens to one that breaks it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from reconstruction.engines import choose
from reconstruction.engines.base import EngineError
from reconstruction.engines.choose import RUNNERS, TOLERANCE_RAD, open_engine
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.export_onnx import cached_onnx
from reconstruction.model import Model
from tests.small import FRAME_PX, GRID_PX, small_model


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return small_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(autouse=True)
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECKLESCOPE_CACHE", str(cache))


def frames(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).exponential(36, (2, FRAME_PX, FRAME_PX)).astype(np.float32)


@pytest.mark.parametrize("name", RUNNERS)
def test_every_engine_computes_what_torch_computes(name: str, model: Model) -> None:
    engine, truth = RUNNERS[name](model), TorchEngine(model)
    for seed in range(3):
        made = engine.run(*frames(seed))
        assert made.shape == (GRID_PX, GRID_PX)
        assert made.dtype == np.float32
        assert np.abs(made - truth.run(*frames(seed))).max() <= TOLERANCE_RAD


@pytest.mark.parametrize("name", RUNNERS)
def test_a_result_stays_what_it_was(name: str, model: Model) -> None:
    engine = RUNNERS[name](model)
    first = engine.run(*frames(1))
    copy = first.copy()
    engine.run(*frames(2))
    assert np.array_equal(first, copy)


def test_auto_takes_the_fastest_and_says_so(model: Model) -> None:
    chosen = open_engine(model)
    assert chosen.reason.startswith("fastest here: ")
    assert chosen.engine.name in chosen.reason


def test_a_wrong_engine_is_replaced_by_torch_and_the_reason_kept(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(TorchEngine):
        name = "wrong"

        def run(self, frame: np.ndarray, reference: np.ndarray) -> np.ndarray:
            return super().run(frame, reference) + 0.01

    monkeypatch.setitem(choose.RUNNERS, "wrong", Wrong)
    chosen = open_engine(model, "wrong")
    assert chosen.engine.name == "torch f32"
    assert "wrong differs from torch by 0.01 rad" in chosen.reason


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_a_damaged_cache_is_refused_and_thrown_away(name: str, model: Model) -> None:
    path = cached_onnx(model)
    path.write_bytes(path.read_bytes()[:1000])
    chosen = open_engine(model, name)
    assert chosen.engine.name == "torch f32"
    assert "refused" in chosen.reason
    assert not path.exists()
    assert open_engine(model, name).engine.name.startswith(name)


def test_an_unknown_engine_is_refused_by_name(model: Model) -> None:
    with pytest.raises(EngineError, match="no engine named 'warp'; use auto"):
        open_engine(model, "warp")


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A calibrated model with its fibre, whose random steps do something small."""
    from drivers.optics import FibreOptics
    from reconstruction.calibrated.few_step import CalibratedFewStep, FewStepConfig
    from reconstruction.calibrated.speckle_residual import SpeckleResidual
    from reconstruction.model import ModelCard, save_model
    from tests.small import OPTICS

    folder = tmp_path_factory.mktemp("models")
    start = small_model(folder / "start")
    shape = FewStepConfig(
        frame_px=FRAME_PX,
        grid_px=GRID_PX,
        field_radius=start.card.field_radius,
        start=str(folder / "start"),
        steps=2,
        base_channels=4,
    )
    torch.manual_seed(1)
    network = CalibratedFewStep(shape)
    for step in network.steps:
        torch.nn.init.normal_(step.head.weight, std=0.3)
    card = ModelCard("loop", start.card.fibre, start.card.field_radius, 2.85, shape.to_dict(), "calibrated")
    model = save_model(folder / "loop", network, card)
    model.network.attach(SpeckleResidual(FibreOptics(OPTICS), OPTICS.background, GRID_PX))
    return model


def test_the_loop_computes_in_parts_what_torch_computes(calibrated: Model) -> None:
    chosen = open_engine(calibrated, "openvino")
    assert chosen.engine.name == "torch + openvino f32", chosen.reason
    truth = TorchEngine(calibrated)
    for seed in range(2):
        difference = chosen.engine.run(*frames(seed)) - truth.run(*frames(seed))
        assert np.abs(difference).max() <= TOLERANCE_RAD
    assert np.abs(truth.run(*frames(0)) - truth.run(*frames(1))).max() > 3 * TOLERANCE_RAD


def test_a_loop_does_not_go_into_one_graph(calibrated: Model) -> None:
    chosen = open_engine(calibrated, "onnxruntime")
    assert chosen.engine.name == "torch f32"
    assert "do not go into one graph" in chosen.reason
