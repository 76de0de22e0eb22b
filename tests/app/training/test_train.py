"""Training on the twin and on a captured dataset, from the pairs to the saved model."""

from __future__ import annotations

from pathlib import Path

import pytest

from acquisition.capture.dataset_archive import open_dataset
from acquisition.capture.plan import CapturePlan
from acquisition.capture.runner import acquire
from app.instrument.config import InstrumentConfig, TwinConfig
from app.instrument.opening import open_rig
from app.training.train import Job, SimulatedPairs, train_on_dataset, train_on_twin
from drivers.clock import VirtualClock
from drivers.twin.imaging.bright_field import BrightFieldOptics
from drivers.twin.imaging.chromatic_defocus import ChromaticConfig
from reconstruction.base import ReconstructionError
from reconstruction.models.model import load_model
from reconstruction.training.config import TrainConfig
from tests.helpers.small_instrument import GRID_PX, OPTICS
from tests.helpers.virtual_bench import PX, VirtualBench
from tests.helpers.virtual_dataset import acquired

CONFIG = InstrumentConfig(twin=TwinConfig(optics=OPTICS))
NETWORK = {"grid_px": GRID_PX, "base_channels": 4, "multipliers": (1, 2, 4)}


def test_training_on_the_twin_writes_a_model_that_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.training.train.cores", lambda: 0)  # in this process: others would first import torch
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


def test_colour_frames_are_learned_by_a_kind_that_takes_them_and_refused_by_others(tmp_path: Path) -> None:
    optics = BrightFieldOptics(ChromaticConfig(wavelengths=3, defocus_um=(-3.0, 0.0, 3.0)), PX)
    plan = CapturePlan(source="cells", pairs=60, seed=4, min_reference_correlation=-1.0, min_frame_correlation=-1.0)
    path, _ = acquired(tmp_path, bench=VirtualBench(optics=optics), plan=plan)
    training = TrainConfig(steps=3, batch=4, validate_every=3)
    network = {"grid_px": 32, "base_channels": 8, "multipliers": (1, 2), "mean_channels": 4, "mean_multipliers": (1, 2)}
    job = Job(folder=tmp_path / "m", kind="zmd", network=network, training=training, command="specklescope train")
    trained = train_on_dataset(CONFIG, path, job, lambda *_: None)
    assert trained is not None
    assert load_model(tmp_path / "m").frame_shape == (3, PX, PX)
    other = Job(folder=tmp_path / "n", kind="unet", network={"grid_px": 32}, training=training, command="specklescope train")
    with pytest.raises(ReconstructionError, match="kind 'unet' takes frames with 1 channels, these frames have 3"):
        train_on_dataset(CONFIG, path, other, lambda *_: None)
    with pytest.raises(ReconstructionError, match="kind 'zmd' takes frames with 3 channels, these frames have 1"):
        train_on_twin(CONFIG, SimulatedPairs("cells", 8, 1), job, lambda *_: None)
