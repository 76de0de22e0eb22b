"""Guided diffusion: samples lie around the phase of the loop and agree with its light."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from drivers.twin.optics import FibreOptics
from reconstruction.base import ReconstructionError
from reconstruction.calibrated.few_step import CalibratedFewStep, FewStepConfig
from reconstruction.calibrated.speckle_residual import SpeckleResidual
from reconstruction.data.pairs import PairPool
from reconstruction.diffusion.encoded_pairs import EncodedBatch
from reconstruction.diffusion.few_step_diffusion import FewStepDiffusion, FewStepDiffusionConfig
from reconstruction.diffusion.guided_diffusion import GuidedDiffusion, GuidedDiffusionConfig
from reconstruction.models.base import Reconstructor
from reconstruction.models.model import ModelCard, load_model, save_model
from reconstruction.training.config import TrainConfig
from reconstruction.training.loop import settle_batch_norm
from tests.helpers.small_instrument import FRAME_PX, GRID_PX, OPTICS, small_model

COUNTS = torch.distributions.Exponential(1 / 36)


def saved(folder: Path, network: Reconstructor, start: Path) -> None:
    first = load_model(start).card
    card = ModelCard(
        name=folder.name,
        fibre=first.fibre,
        field_radius=first.field_radius,
        phase_range_rad=2.85,
        network=network.config.to_dict(),
        kind=network.kind,
    )
    save_model(folder, network, card)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a start, a loop and a sampler."""
    root = tmp_path_factory.mktemp("models")
    small_model(root / "start", "fold")
    shape = {"frame_px": FRAME_PX, "grid_px": GRID_PX, "field_radius": load_model(root / "start").card.field_radius}
    torch.manual_seed(0)
    loop = CalibratedFewStep(FewStepConfig(**shape, start=str(root / "start"), steps=2, base_channels=4, hidden=2))  # type: ignore[arg-type]
    saved(root / "loop", loop, root / "start")
    sampler = FewStepDiffusion(
        FewStepDiffusionConfig(**shape, start=str(root / "start"), start_maps=4, encoder=(8, 8), denoiser=(8, 8))  # type: ignore[arg-type]
    )
    saved(root / "sampler", sampler.eval(), root / "start")
    return root


def config(models: Path, **changes: object) -> GuidedDiffusionConfig:
    loop = load_model(models / "loop").network.config
    shape = GuidedDiffusionConfig(**vars(loop) | {"loop": str(models / "loop"), "sampler": str(models / "sampler")})
    return replace(shape, **changes)  # type: ignore[arg-type]


def guided(models: Path, **changes: object) -> GuidedDiffusion:
    torch.manual_seed(0)
    network = GuidedDiffusion(config(models, **changes))
    network.encoded_pairs(pool(0))
    network.attach(fibre())
    return network.eval()


def fibre() -> SpeckleResidual:
    return SpeckleResidual(FibreOptics(OPTICS), OPTICS.background, GRID_PX)


def counts() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    frames = COUNTS.sample((3, 1, FRAME_PX, FRAME_PX))
    return frames[:2], frames[2:]


def pool(pairs: int) -> PairPool:
    rng = np.random.default_rng(0)
    speckle = rng.exponential(36, (pairs, FRAME_PX, FRAME_PX)).clip(0, 255).astype(np.uint8)
    phase = rng.uniform(0, 2, (pairs, GRID_PX, GRID_PX)).astype(np.float32)
    return PairPool(speckle=speckle, phase_rad=phase, reference=np.full((FRAME_PX, FRAME_PX), 36, np.float32), ready=pairs)


def test_mean_and_deviation_are_those_of_the_loop_and_noise_decides_the_sample(models: Path) -> None:
    network = guided(models)
    loop = load_model(models / "loop").network
    assert isinstance(loop, CalibratedFewStep)
    loop.attach(fibre())
    frames, reference = counts()
    with torch.inference_mode():
        planes = network.drawn(frames, reference, network.noise(5))
        assert torch.allclose(planes[:, 1:], loop.eval().with_sigma(frames, reference), atol=1e-4)
        drawn = network.sample(frames, reference, [5, 6])
        assert torch.allclose(drawn[0], planes[:, :1], atol=1e-4)
        assert (drawn[0] - drawn[1]).abs().mean() > 0.01
        opposite = network.sample(frames, reference, [6, 7]).mean(0)
        assert torch.allclose(opposite, planes[:, 1:2], atol=1e-4), "a spectrum that has not learned leaves the mean as it is"
        own = network.sample(frames, reference, [network.config.seed])[0]
        assert torch.allclose(network(frames, reference), own, atol=1e-4)
        network.set_steps(0)
        assert torch.equal(network(frames, reference), network.with_sigma(frames, reference)[:, :1])
        assert torch.allclose(network(frames, reference), planes[:, 1:2], atol=1e-4)


def test_guiding_takes_from_a_change_what_the_light_contradicts(models: Path) -> None:
    network = guided(models)
    frames, reference = counts()
    with torch.inference_mode():
        solution = network.solve(frames[:1], reference)
        torch.manual_seed(0)
        change = 0.3 * torch.nn.functional.avg_pool2d(torch.randn((1, 1, GRID_PX, GRID_PX)), 5, 1, 2) * network.inside
        assert network.guided(solution, torch.zeros_like(change), 3).abs().max() < 1e-4, "its own light contradicts nothing"

        def contradiction(changed: torch.Tensor) -> float:
            state = replace(solution.state, fine=solution.state.fine + changed)
            picture = torch.nn.functional.pixel_shuffle(state.fine, 2)
            picture = torch.nn.functional.interpolate(picture, (FRAME_PX, FRAME_PX), mode="bilinear", align_corners=False)
            return float(solution.fibre(solution.predicted, picture[:, 0], state.core_noise_rad).error)

        rates = network.rates[-1]
        rates[:5] *= 0.1  # small steps, which always descend
        rates[6] = 0.0
        after = [contradiction(network.guided(solution, change, descents)) for descents in (0, 1, 3)]
    assert after[0] > after[1] > after[2] > 0


def test_only_the_spectrum_learns_from_the_phase_of_the_loop(models: Path) -> None:
    network = guided(models)
    pairs = pool(4)
    batch = network.encoded_pairs(pairs).batch(np.arange(4), 0)
    assert isinstance(batch, EncodedBatch)
    assert batch.maps.shape[1] == 0
    plain = pairs.batch(np.arange(4), 0)
    with torch.inference_mode():
        network.set_steps(0)
        assert torch.allclose(batch.start_rad, network(plain.frames, plain.reference), atol=2e-3)
    assert network.loss(batch).item() == pytest.approx(network.loss(plain).item(), rel=0.05)
    network.train()
    network.loss(batch).backward()
    learning = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert learning == {name for name, _ in network.named_parameters() if name.startswith("spectrum.")}


def test_training_leaves_the_loop_as_it_was(models: Path) -> None:
    network = guided(models)
    loop = load_model(models / "loop").network.state_dict()
    torch.manual_seed(0)
    fresh = GuidedDiffusion(config(models))  # as a training begins, before anything was switched to evaluation
    fresh.attach(fibre())
    batch = fresh.encoded_pairs(pool(4)).batch(np.arange(4), 0)
    assert isinstance(batch, EncodedBatch)
    expected = network.encoded_pairs(pool(4)).batch(np.arange(4), 0)
    assert isinstance(expected, EncodedBatch)
    assert torch.equal(batch.start_rad, expected.start_rad)
    fresh.train()
    for pairs in (pool(4), fresh.encoded_pairs(pool(4))):
        settle_batch_norm(fresh, pairs, TrainConfig(batch=2), batches=2)
    kept = fresh.state_dict()
    assert all(torch.equal(kept[name], value) for name, value in loop.items())


def test_models_that_do_not_fit_are_refused(models: Path) -> None:
    with pytest.raises(ReconstructionError, match="of kind 'referenced'; it must be of kind 'calibrated'"):
        GuidedDiffusion(config(models, loop=str(models / "start"))).encoded_pairs(pool(0))
    with pytest.raises(ReconstructionError, match=r"another shape than this model; train it with --set hidden=2"):
        GuidedDiffusion(config(models, hidden=3)).encoded_pairs(pool(0))
    with pytest.raises(ReconstructionError, match=r"sampler .* is of kind 'calibrated'"):
        guided(models, sampler=str(models / "loop")).noise(0)
    with pytest.raises(ValueError, match="0 to 8 steps"):
        config(models, drawing_steps=9)
    with pytest.raises(ValueError, match="guiding_descents 1 or more"):
        config(models, guiding_descents=0)
