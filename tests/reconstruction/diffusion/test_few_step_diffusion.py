"""Few-step diffusion: noise decides the sample, and the frame is encoded once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import openvino
import pytest
import torch

from reconstruction.base import ReconstructionError
from reconstruction.data.pairs import PairPool
from reconstruction.diffusion.encoded_pairs import EncodedBatch
from reconstruction.diffusion.few_step_diffusion import FewStepDiffusion, FewStepDiffusionConfig
from reconstruction.engines.onnx.export import export_module
from reconstruction.models.model import ModelCard, load_model, save_model
from reconstruction.models.registry import build
from tests.helpers.small_instrument import FRAME_PX, GRID_PX, small_mean_flow, small_model

MIDDLE_RAD = 1.4
COUNTS = torch.distributions.Exponential(1 / 36)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start") / "start"
    small_model(folder, "fold")
    return folder


def config(folder: Path, **changes: object) -> FewStepDiffusionConfig:
    shape = FewStepDiffusionConfig(
        frame_px=FRAME_PX,
        grid_px=GRID_PX,
        field_radius=load_model(folder).network.config.field_radius,
        start=str(folder),
        start_maps=4,
        encoder=(8, 8),
        denoiser=(8, 8),
    )
    return replace(shape, **changes)  # type: ignore[arg-type]


def network(start: Path, **changes: object) -> FewStepDiffusion:
    """Return a network whose last layers are random, so that everything has an effect."""
    torch.manual_seed(0)
    made = FewStepDiffusion(config(start, **changes))
    for part in (made.encoder, made.denoiser):
        torch.nn.init.normal_(part.head.weight, std=0.1)
    return made.eval()


def untrained(start: Path) -> FewStepDiffusion:
    """Return a network as before training, whose mean lies between 0 and white: there nothing presses it inward."""
    torch.manual_seed(0)
    made = FewStepDiffusion(config(start))
    torch.nn.init.constant_(made.encoder.head.bias[:4], MIDDLE_RAD / 0.1)  # type: ignore[index]
    return made.eval()


def counts(batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    frames = COUNTS.sample((batch + 1, 1, FRAME_PX, FRAME_PX))
    return frames[:batch], frames[batch:]


def pool(pairs: int) -> PairPool:
    frames, reference = counts(pairs)
    phase = np.random.default_rng(0).uniform(0, 2, (pairs, GRID_PX, GRID_PX)).astype(np.float32)
    speckle = frames[:, 0].numpy().astype(np.uint8)
    return PairPool(speckle=speckle, phase_rad=phase, reference=reference[0, 0].numpy(), ready=pairs)


def test_one_noise_gives_one_sample_and_another_noise_another(start: Path) -> None:
    diffusion = network(start)
    frames, reference = counts()
    with torch.inference_mode():
        planes = diffusion.drawn(frames, reference, diffusion.noise(5))
        drawn = diffusion.sample(frames, reference, [5, 6])
        mean, std = diffusion.deviation(frames, reference)
        assert torch.equal(planes, torch.cat([drawn[0], mean, std], 1))
        assert (drawn[0] - drawn[1]).abs().mean() > 0.01
        assert torch.equal(diffusion(frames, reference), diffusion.sample(frames, reference, [diffusion.config.seed])[0])
        assert torch.equal(diffusion.with_sigma(frames, reference), torch.cat([diffusion(frames, reference), std], 1))
    assert (std > 0).all()


@pytest.mark.parametrize("made", [untrained, network])
def test_two_seeds_of_a_pair_deviate_in_opposite_directions(made: Callable[[Path], FewStepDiffusion], start: Path) -> None:
    diffusion = made(start)
    frames, reference = counts(1)
    assert torch.equal(diffusion.noise(6), -diffusion.noise(7))
    assert not torch.equal(diffusion.noise(6), diffusion.noise(8))
    with torch.inference_mode():
        drawn = diffusion.sample(frames, reference, [6, 7])
        assert torch.allclose(drawn.mean(0), diffusion.deviation(frames, reference)[0], atol=1e-5)


def test_the_number_of_steps_changes_the_sample_but_neither_mean_nor_deviation(start: Path) -> None:
    diffusion = network(start)
    frames, reference = counts()
    planes = []
    with torch.inference_mode():
        for steps in (1, 4):
            diffusion.set_steps(steps)
            assert (diffusion.step_count, diffusion.evaluations, diffusion.gives_samples) == (steps, 1 + steps, True)
            planes.append(diffusion.drawn(frames, reference, diffusion.noise(0)))
        diffusion.set_steps(0)
        assert torch.equal(diffusion(frames, reference), planes[0][:, 1:2])
    with pytest.raises(ValueError, match="0 to 8 steps, got 9"):
        diffusion.set_steps(9)
    assert not diffusion.gives_samples
    assert torch.equal(planes[0][:, 1:], planes[1][:, 1:])
    assert not torch.allclose(planes[0][:, :1], planes[1][:, :1])


def test_the_denoiser_runs_once_a_step_and_the_rest_once_a_frame(start: Path) -> None:
    diffusion = network(start, steps=4)
    frames, reference = counts(1)
    diffusion.eval()
    runs = {"encoder": 0, "denoiser": 0}
    for name in runs:
        diffusion.get_submodule(name).register_forward_hook(lambda *_, name=name: runs.update({name: runs[name] + 1}))
    with torch.inference_mode():
        diffusion(frames, reference)
    assert runs == {"encoder": 1, "denoiser": 4}


def test_without_training_the_mean_is_the_start_and_a_sample_is_noise_of_the_estimated_strength(start: Path) -> None:
    diffusion = untrained(start)
    frames, reference = counts(1)
    with torch.inference_mode():
        mean, std = diffusion.deviation(frames, reference)
        samples = diffusion.sample(frames, reference, range(64))
        phase = load_model(start).network(frames, reference)
    assert torch.allclose(mean, phase + MIDDLE_RAD, atol=1e-6)
    inside = diffusion.inside > 0
    assert torch.allclose((samples - mean).square().mean((0, 1))[inside[0]].mean().sqrt(), std[inside].mean(), rtol=0.1)


def test_all_parts_can_learn_one_batch(start: Path) -> None:
    torch.manual_seed(0)
    diffusion = FewStepDiffusion(config(start)).train()
    batch = diffusion.encoded_pairs(pool(4)).batch(np.arange(4), 0)
    adam = torch.optim.Adam(diffusion.parameters(), 1e-2)
    losses = []
    for _ in range(15):
        torch.manual_seed(1)
        loss = diffusion.loss(batch)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.5
    assert all(parameter.grad is not None for parameter in diffusion.parameters())


def test_pairs_are_encoded_once_with_what_the_start_gives(start: Path) -> None:
    diffusion = network(start).train()
    pairs = pool(3)
    done: list[tuple[int, int]] = []
    encoded = diffusion.encoded_pairs(pairs, lambda *each: done.append(each))
    indices = np.array([2, 0])
    batch, plain = encoded.batch(indices, 0), pairs.batch(indices, 0)
    assert isinstance(batch, EncodedBatch)
    assert done == [(1, 3), (2, 3), (3, 3)]
    assert torch.equal(batch.phase_rad, plain.phase_rad)
    assert torch.equal(torch.from_numpy(encoded.pictures_rad()), torch.from_numpy(pairs.pictures_rad()))
    with torch.inference_mode():
        assert torch.allclose(batch.start_rad, load_model(start).network(plain.frames, plain.reference), atol=2e-3)
    diffusion.eval()  # in training the first batch would change the statistics for the second one
    torch.manual_seed(1)
    loss = diffusion.loss(batch)
    torch.manual_seed(1)
    assert loss.item() == pytest.approx(diffusion.loss(plain).item(), rel=1e-2)


def test_it_is_saved_without_its_start_and_refused_after_the_start_has_changed(tmp_path: Path) -> None:
    first = small_model(tmp_path / "start", "fold")
    diffusion = network(tmp_path / "start")
    frames, reference = counts(1)
    card = ModelCard(
        name="diffusion",
        fibre=first.card.fibre,
        field_radius=first.card.field_radius,
        phase_range_rad=2.85,
        network=diffusion.config.to_dict(),
        kind=diffusion.kind,
    )
    saved = save_model(tmp_path / "diffusion", diffusion, card)
    assert not any("start." in key for key in saved.network.state_dict())
    with torch.inference_mode():
        assert torch.allclose(saved.network(frames, reference), diffusion(frames, reference), atol=0.02)
    small_model(tmp_path / "start", "correlate")
    with pytest.raises(ReconstructionError, match="has changed since this model was trained"):
        load_model(tmp_path / "diffusion")


def test_a_start_that_does_not_fit_is_refused(start: Path, tmp_path: Path) -> None:
    with pytest.raises(ReconstructionError, match=r"4 maps, this model needs .* 5 maps"):
        FewStepDiffusion(config(start, start_maps=5)).eval()
    small_mean_flow(tmp_path / "flow")
    with pytest.raises(ReconstructionError, match="is of kind 'mean-flow'"):
        FewStepDiffusion(config(start, start=str(tmp_path / "flow"))).eval()
    with pytest.raises(ReconstructionError, match="no model at"):
        FewStepDiffusion(config(start, start=str(tmp_path / "missing"))).eval()


@pytest.mark.parametrize(
    "wrong", [{"steps": -1}, {"steps": 9}, {"start": ""}, {"encoder": ()}, {"denoiser": (8, 8, 8, 8, 8, 8)}]
)
def test_settings_that_make_no_sense_are_refused(start: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"start must be a model|cannot be halved|has 0 to 8 steps"):
        config(start, **wrong)


@pytest.mark.slow
def test_openvino_computes_the_same_in_32_bits(start: Path) -> None:
    """With a transposed constant on the left of a product, OpenVINO 2026.4 gave another sample."""
    diffusion = network(start, steps=2)
    frames, reference = counts(1)
    noise = diffusion.noise(3)
    graph = export_module(_Drawn(diffusion).eval(), (frames, reference, noise), ["frame", "reference", "noise"], "planes")
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(graph.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    with torch.inference_mode():
        expected = diffusion.drawn(frames, reference, noise).numpy()
    assert np.abs(compiled([frames.numpy(), reference.numpy(), noise.numpy()])[0] - expected).max() < 1e-3


class _Drawn(torch.nn.Module):
    def __init__(self, diffusion: FewStepDiffusion) -> None:
        super().__init__()
        self.diffusion = diffusion

    def forward(self, frame: torch.Tensor, reference: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return self.diffusion.drawn(frame, reference, noise)


def test_it_is_a_kind_of_its_own(start: Path) -> None:
    assert type(build("few-step-diffusion", config(start))) is FewStepDiffusion
