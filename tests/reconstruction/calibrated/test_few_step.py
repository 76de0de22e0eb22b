"""The calibrated model: its inputs and outputs, that it learns, and that its training data belong together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from drivers.base import Pattern
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.sensor import SensorConfig
from reconstruction.base import ReconstructionError
from reconstruction.calibrated.few_step import CalibratedFewStep, FewStepConfig
from reconstruction.calibrated.speckle_residual import SpeckleResidual
from reconstruction.calibrated.twin_stream import StreamConfig, TwinStream, fresh_fibres
from reconstruction.field import field_mask
from reconstruction.models.losses import centred
from reconstruction.networks.piston import PistonNet, PistonTraining, fit_piston

OPTICS = OpticsConfig(image_px=128, field_radius_um=41.0)
SHAPE = FewStepConfig(frame_px=128, grid_px=32, field_radius=0.94, steps=2, base_channels=4, hidden=2)


@pytest.fixture(scope="module")
def stream() -> TwinStream:
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 2.85, (6, 8, 8)).astype(np.float32)
    pictures = [Pattern(picture) for picture in np.repeat(np.repeat(coarse, 16, 1), 16, 2)]
    return TwinStream(pictures, fresh_fibres(OPTICS, 64, 4, 2, 100), SensorConfig(), 0.01)


@pytest.fixture(scope="module")
def fibre() -> SpeckleResidual:
    return SpeckleResidual(FibreOptics(OPTICS), OPTICS.background, 32)


def network(seed: int = 0, shape: FewStepConfig = SHAPE) -> CalibratedFewStep:
    torch.manual_seed(seed)
    return CalibratedFewStep(shape)


def counts() -> tuple[torch.Tensor, torch.Tensor]:
    frames = torch.distributions.Exponential(1 / 36).sample((3, 1, 128, 128))
    return frames[:2], frames[2:]


def counts_of(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    frames = np.random.default_rng(seed).exponential(36, (2, 1, 1, 128, 128)).astype(np.float32)
    return torch.from_numpy(frames[0]), torch.from_numpy(frames[1])


def test_without_a_fibre_the_error_names_the_remedy() -> None:
    with pytest.raises(ReconstructionError, match="measure its response first"), torch.inference_mode():
        network().eval()(*counts())


def test_counts_become_phase_with_a_deviation(fibre: SpeckleResidual) -> None:
    loop = network().eval()
    loop.attach(fibre)
    with torch.inference_mode():
        frames, reference = counts()
        phase = loop(frames, reference)
        again, std = loop.deviation(frames, reference)
    assert phase.shape == std.shape == (2, 1, 32, 32)
    assert torch.allclose(phase, again)
    assert (std > 0).all()
    assert loop.evaluations == 2
    assert loop.truth_px == 64


@pytest.mark.parametrize("followed_modes", [0, 2])
def test_a_dim_frame_gives_the_same_phase(fibre: SpeckleResidual, followed_modes: int) -> None:
    loop = network(shape=replace(SHAPE, followed_modes=followed_modes)).eval()
    loop.attach(fibre)
    with torch.inference_mode():
        frames, reference = counts()
        usual, dim = (loop(light * frames, reference) for light in (1.0, 0.2))
    assert torch.allclose(usual, dim, atol=1e-4)


def test_fewer_steps_are_the_first_of_all(fibre: SpeckleResidual) -> None:
    loop = network().eval()
    loop.attach(fibre)
    with torch.inference_mode():
        frames, reference = counts()
        both = loop.run(fibre, frames, reference)[0]
        loop.set_steps(1)
        one = loop.run(fibre, frames, reference)[0]
    assert (loop.evaluations, loop.most_steps, len(one), len(both)) == (1, 2, 1, 2)
    assert torch.equal(one[0].phase_rad, both[0].phase_rad)
    with pytest.raises(ValueError, match="has 1 to 2 steps, got 3"):
        loop.set_steps(3)


def test_another_reference_is_not_mistaken_for_the_last_one(fibre: SpeckleResidual) -> None:
    loop = network().eval()
    loop.attach(fibre)
    for parameter in loop.parameters():  # the output layers start at zero
        torch.nn.init.normal_(parameter, std=0.2)
    with torch.inference_mode():
        frames, reference = counts()
        one, other, again = (
            loop.run(fibre, frames, given)[0][-1].phase_rad for given in (reference, reference.flip(2), reference)
        )
    assert (one - again).abs().max() < 0.01 * (one - other).abs().max()


def test_what_is_shown_lies_between_black_and_white(fibre: SpeckleResidual) -> None:
    loop = network().eval()
    loop.attach(fibre)
    piston_rad = loop.piston.guess[-1].bias
    assert isinstance(piston_rad, torch.Tensor)
    torch.nn.init.constant_(piston_rad, -1.0)  # far below black
    with torch.inference_mode():
        frames, reference = counts()
        dark = loop(frames, reference)
        torch.nn.init.constant_(piston_rad, 9.0)
        bright, _ = loop.deviation(frames, reference)
    assert dark.min() == 0
    assert bright.max() == pytest.approx(SHAPE.phase_range_rad)


def test_a_batch_depends_on_its_seed_alone(stream: TwinStream) -> None:
    indices = np.arange(3)
    one, two, other = stream.batch(indices, 5), stream.batch(indices, 5), stream.batch(indices, 6)
    assert torch.equal(one.frames, two.frames)
    assert torch.equal(one.phase_rad, two.phase_rad)
    assert not torch.equal(one.frames, other.frames)
    assert one.frames.shape == (3, 1, 64, 64)
    assert one.phase_rad.shape == (3, 1, 32, 32)
    assert one.reference.shape == (1, 1, 64, 64)


def test_its_speckle_belongs_to_its_fibre_phase_and_noise() -> None:
    picture = np.full((128, 128), 1.0, np.float32)
    picture[40:80] = 1.8
    fibres = fresh_fibres(OPTICS, 64, 4, 1, 100)
    stream = TwinStream([Pattern(picture)], fibres, SensorConfig(), 0.01, StreamConfig(error_rad=0.0))
    batch = stream.batch(np.zeros(2, np.int64), 3)
    fibre = batch.fibre
    amplitude = fibre.amplitude(batch.frames, batch.reference)
    with torch.no_grad():
        phase = F.interpolate(batch.phase_rad, (64, 64))[:, 0]
        right = fibre(amplitude, phase, batch.core_noise_rad)
        without = fibre(amplitude, phase, 0 * batch.core_noise_rad)
        flat = fibre(amplitude, 0 * phase, batch.core_noise_rad)
    assert (right.error < 0.5 * without.error).all()
    assert (right.error < 0.5 * flat.error).all()


@pytest.mark.slow
def test_it_can_learn_one_batch(stream: TwinStream) -> None:
    loop = network().train()
    adam = torch.optim.Adam(loop.parameters(), 5e-3)
    batch = stream.batch(np.arange(4), 1)
    losses = []
    for _ in range(25):
        loss = loop.loss(batch)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_descents_alone_come_nearer_to_speckle_and_picture(fibre: SpeckleResidual) -> None:
    """Before any training: more descents between the networks explain more of a frame."""
    rng = np.random.default_rng(3)
    picture = np.kron(rng.uniform(0, 1.5, (8, 8)), np.ones((16, 16))).astype(np.float32)
    batch = TwinStream([Pattern(picture)], [fibre], SensorConfig(), 0.01, StreamConfig(error_rad=0.0)).batch(
        np.zeros(1, np.int64), 1
    )
    truth = F.avg_pool2d(batch.phase_rad, 2)
    residuals, errors = [], []
    for descents in (1, 6):
        torch.manual_seed(0)
        loop = CalibratedFewStep(replace(SHAPE, descents=descents)).eval()
        with torch.inference_mode():
            last = loop.run(fibre, batch.frames, batch.reference)[0][-1]
            shown = F.interpolate(last.phase_rad, (128, 128), mode="bilinear")[:, 0]
            residuals.append(float(fibre(fibre.amplitude(batch.frames, batch.reference), shown, last.core_noise_rad).error))
            errors.append(float((centred(last.phase_rad - truth, fibre.inside) * fibre.inside).square().mean()))
    assert residuals[1] < 0.8 * residuals[0]
    assert errors[1] < 0.8 * errors[0]


def test_two_followed_modes_give_nearly_the_picture_of_all(fibre: SpeckleResidual) -> None:
    picture = np.kron(np.random.default_rng(3).uniform(0, 1.5, (8, 8)), np.ones((16, 16))).astype(np.float32)
    batch = TwinStream([Pattern(picture)], [fibre], SensorConfig(), 0.01).batch(np.zeros(1, np.int64), 1)
    phases = []
    for modes in (0, 2, 1):
        torch.manual_seed(0)
        loop = CalibratedFewStep(replace(SHAPE, followed_modes=modes)).eval()
        with torch.inference_mode():
            phases.append(loop.run(fibre, batch.frames, batch.reference)[0][-1].phase_rad[..., 10:22, 10:22])
    all_modes, two, one = (phase - phase.mean() for phase in phases)
    assert (two - all_modes).square().mean() < 0.1 * all_modes.square().mean()
    assert (two - all_modes).square().mean() < (one - all_modes).square().mean()


class EngineNetwork(nn.Module):
    """A network that an engine runs, and that sees how many threads torch has."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.threads: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.threads.append(torch.get_num_threads())
        return torch.as_tensor(self.network(x))


def test_beside_an_engine_torch_computes_with_one_core_in_each_thread(fibre: SpeckleResidual) -> None:
    torch.manual_seed(0)
    loop = CalibratedFewStep(replace(SHAPE, followed_modes=2)).eval()
    loop.attach(fibre)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with torch.inference_mode():
            alone = loop.deviation(*counts_of(5))
            networks = [EngineNetwork(network) for network in loop.steps]
            loop.steps = nn.ModuleList(networks)
            beside = loop.deviation(*counts_of(5))
    finally:
        torch.set_num_threads(before)
    for one, other in zip(alone, beside, strict=True):
        assert torch.allclose(one, other, atol=1e-4)
    assert [network.threads for network in networks] == [[1], [1]]


def test_pairs_without_known_noise_do_as_well(fibre: SpeckleResidual) -> None:
    from reconstruction.data.batch import Batch

    loop = network().train()
    loop.attach(fibre)
    frames, reference = counts()
    loss = loop.loss(Batch(frames, reference, torch.rand((2, 1, 64, 64))))
    assert torch.isfinite(loss)


def test_pistons_of_pictures_with_full_contrast_are_found() -> None:
    """Phase lies between 0 and white: if a picture contains both, only one piston is possible."""
    torch.manual_seed(0)
    rng = np.random.default_rng(1)
    pictures = np.where(rng.random((64, 32, 32)) < rng.random((64, 1, 1)), 2.85, 0).astype(np.float32)
    inside = torch.from_numpy(field_mask(32, 0.9))[None, None].float()
    assert fit_piston(PistonNet(), pictures, inside, PistonTraining(steps=150, batch=16)) < 0.25
    deviation = np.abs(pictures.mean((1, 2)) - pictures.mean()).mean()
    assert deviation > 0.4


@pytest.mark.parametrize(
    "wrong",
    [{"steps": 0}, {"descents": 0}, {"hidden": -1}, {"followed_modes": -1}, {"grid_px": 33}, {"multipliers": (1,) * 7}],
)
def test_shapes_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"step|halved|multiple"):
        replace(SHAPE, **wrong)  # type: ignore[arg-type]
