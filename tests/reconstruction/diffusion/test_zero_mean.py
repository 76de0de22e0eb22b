"""Zero-Mean Diffusion: its mean is the network's, its residual has none, and both learn from colour frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from drivers.twin.imaging.chromatic_defocus import ChromaticConfig, colour_frames
from reconstruction.base import ReconstructionError
from reconstruction.data.batch import Batch
from reconstruction.diffusion.zero_mean import ZeroMeanConfig, ZeroMeanDiffusion
from reconstruction.engines.choose import open_engine
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.models.model import ModelCard, load_model, save_model

SIDE, PHASE_RANGE_RAD = 32, 3.5
SHAPE = ZeroMeanConfig(
    frame_px=SIDE,
    grid_px=SIDE,
    field_radius=2.0,
    phase_range_rad=PHASE_RANGE_RAD,
    base_channels=8,
    multipliers=(1, 2),
    mean_channels=8,
    mean_multipliers=(1, 2),
    schedule="uniform-4",
)


def network(config: ZeroMeanConfig = SHAPE) -> ZeroMeanDiffusion:
    torch.manual_seed(4)
    return ZeroMeanDiffusion(config)


def batch(count: int, seed: int = 1) -> Batch:
    """Return discs of random phase, seen by a colour microscope."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    phase = np.zeros((count, SIDE, SIDE), np.float32)
    for image in phase:
        for _ in range(3):
            row, column = rng.uniform(4, SIDE - 4, 2)
            image[np.hypot(y - row, x - column) < rng.uniform(3, 7)] += rng.uniform(0.5, 1.2)
    truth = torch.from_numpy(phase.clip(0, PHASE_RANGE_RAD))
    config = ChromaticConfig(wavelengths=3, response_um=(0.0, 0.0, 0.0), defocus_um=(-2.0, 0.1, 2.0))
    frames = 50 * colour_frames(truth, config)
    return Batch(frames, frames.mean(0, keepdim=True), truth[:, None])


def test_the_mean_of_samples_is_the_network_and_samples_follow_their_seed() -> None:
    model, data = network().eval(), batch(2)
    torch.nn.init.normal_(model.network.head[-1].weight, std=0.1)
    with torch.no_grad():
        first, again, other = (model.drawn(data.frames, data.reference, model.noise(seed)) for seed in (3, 3, 5))
        mean = model.condition(data.frames)[:, -1:]
    assert first.shape == (2, 3, SIDE, SIDE)
    assert torch.equal(first, again)
    assert torch.allclose(first[:, 1:2], (mean + 1) / 2 * PHASE_RANGE_RAD)
    assert torch.allclose(first[:, 1], other[:, 1])
    assert not torch.allclose(first[:, 0], other[:, 0], atol=1e-3)
    assert torch.equal(model(data.frames, data.reference)[:, 0], model.drawn(data.frames, data.reference, model.noise(0))[:, 0])


def test_brightness_does_not_matter() -> None:
    model, data = network().eval(), batch(1)
    with torch.no_grad():
        assert torch.allclose(model.condition(data.frames), model.condition(7 * data.frames), atol=1e-4)


def test_mean_and_residual_are_learned() -> None:
    model, data = network(), batch(8)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    first = 0.0
    for step in range(40):
        torch.manual_seed(step)
        model.train()
        loss = model.loss(data)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        first = first or float(loss.detach())
    assert float(loss.detach()) < 0.6 * first
    model.eval()
    with torch.no_grad():
        mean = model.mean_of(model.condition(data.frames), torch.empty(0))
    assert np.corrcoef(mean.flatten(), data.phase_rad.flatten())[0, 1] > 0.6
    assert abs(float(model.residual_square) - 0.25) > 0.01, "it is measured"


def test_a_fixed_residual_stays() -> None:
    model = network(replace(SHAPE, residual_std=0.25))
    model.train().loss(batch(2))
    assert float(model.residual_square) == 0.25, "the first value: nothing was measured"


def test_it_is_saved_and_runs_on_an_engine_with_colour_frames(tmp_path: Path) -> None:
    card = ModelCard(
        name="colours",
        fibre="microscope",
        field_radius=2.0,
        phase_range_rad=PHASE_RANGE_RAD,
        network=SHAPE.to_dict(),
        kind="zmd",
    )
    save_model(tmp_path / "colours", network(), card)
    model = load_model(tmp_path / "colours")
    assert model.frame_shape == (3, SIDE, SIDE)
    frame, reference = (np.array(each[0]) for each in (batch(1).frames.numpy(), batch(1).reference.numpy()))
    model.check_frame(frame.shape)
    with pytest.raises(ReconstructionError, match="takes frames with 3 channels, the camera gives 1"):
        model.check_frame((SIDE, SIDE))
    with pytest.raises(ReconstructionError, match="takes frames of 32 x 32 px, the camera gives 16 x 16"):
        model.check_frame((3, 16, 16))
    expected = TorchEngine(model).run(frame, reference)
    for name in ("openvino", "onnxruntime"):
        engine = open_engine(model, name)
        assert engine.name.startswith(name)
        assert np.abs(engine.run(frame, reference) - expected).max() < 1e-3


@pytest.mark.parametrize(
    "wrong", [{"channels": 0}, {"residual_std": -1.0}, {"sampler": "none"}, {"grid_px": 34, "frame_px": 34}]
)
def test_shapes_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"channel|sampler|halved"):
        ZeroMeanConfig.from_dict({**SHAPE.to_dict(), "mean_multipliers": [1, 2, 4], **wrong})
