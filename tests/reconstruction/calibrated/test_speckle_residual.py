"""The residual, at the cores and in the picture, is the gradient that automatic differentiation of the fibre gives."""

from __future__ import annotations

import pytest
import torch

from drivers.twin.optics import CoreResponse, FibreOptics
from drivers.twin.optics_config import OpticsConfig
from reconstruction.calibrated.speckle_residual import SpeckleResidual

N, GRID = 64, 16
BACKGROUND = 0.035


@pytest.fixture(scope="module")
def optics() -> FibreOptics:
    return FibreOptics(OpticsConfig(image_px=N, field_radius_um=20.0))


@pytest.fixture(scope="module")
def fibre(optics: FibreOptics) -> SpeckleResidual:
    return SpeckleResidual(optics, BACKGROUND, GRID)


def speckle_of(
    optics: FibreOptics, fibre: SpeckleResidual, phase: torch.Tensor, noise: torch.Tensor | None = None
) -> torch.Tensor:
    with torch.no_grad():
        flat, frame = (optics.intensity(p, noise)[:, None] + BACKGROUND for p in (torch.zeros_like(phase), phase))
    return fibre.amplitude(50 * frame, 50 * flat)


def test_the_true_phase_leaves_nothing(optics: FibreOptics, fibre: SpeckleResidual) -> None:
    phase = torch.rand((2, N, N), generator=torch.Generator().manual_seed(1))
    noise = 0.2 * torch.randn((2, optics.cores), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        frame = optics.intensity(phase, noise)[:, None] + BACKGROUND
        flat = optics.intensity(torch.zeros((1, N, N)))[:, None] + BACKGROUND
        right = fibre(fibre.amplitude(frame, flat), phase, noise)
        wrong = fibre(fibre.amplitude(frame, flat), phase, 0 * noise)
    assert right.error.max() < 1e-6
    assert right.leaving.abs().max() < 1e-2 * wrong.leaving.abs().max()
    assert wrong.error.min() > 1e-3


def test_all_gradients_agree_with_automatic_differentiation(optics: FibreOptics, fibre: SpeckleResidual) -> None:
    target = speckle_of(optics, fibre, torch.rand((1, N, N), generator=torch.Generator().manual_seed(3)))
    guess = torch.rand((1, N, N), generator=torch.Generator().manual_seed(4)).requires_grad_()
    noise = torch.zeros((1, optics.cores), requires_grad=True)
    # A separate phase for each core, added to the light that enters the core.
    entering = torch.zeros((1, optics.cores), requires_grad=True)
    with torch.enable_grad():
        launched = optics.launch(guess) * torch.polar(torch.ones_like(entering), entering)
        forward = optics.transmission() / fibre_mean(optics) ** 0.5
        mixed = torch.einsum("bck,mck->bmc", launched[:, optics.neighbours], forward)
        field = optics.propagate(mixed * torch.polar(torch.ones_like(noise), noise)[:, None])
        power = (field.real.square() + field.imag.square()).sum(1) + BACKGROUND / fibre_mean(optics) + 1e-4
        loss = 0.5 * (target - power.sqrt()).square().sum()
        by_noise, by_entering, by_pixel = torch.autograd.grad(loss, (noise, entering, guess))
    with torch.no_grad():
        residual = fibre(target, guess.detach(), torch.zeros((1, optics.cores)))
    inside = fibre.from_grid(torch.ones((1, 1, GRID, GRID)))[0, 0] > 0
    for automatic, ours in ((by_noise, residual.leaving.imag), (by_entering, residual.entering.imag)):
        a, b = automatic[0][inside], -ours[0][inside]
        assert torch.corrcoef(torch.stack([a, b]))[0, 1] > 0.999
    middle = slice(N // 4, -N // 4)  # the light is the same there, except where pixels lie between cores
    by_pixel, slope = by_pixel[0, middle, middle], -residual.slope_rad[0, middle, middle]
    lit = by_pixel != 0
    assert torch.equal(by_pixel[lit].sign(), slope[lit].sign())
    assert torch.corrcoef(torch.stack([by_pixel[lit], slope[lit]]))[0, 1] > 0.8


def test_light_launched_back_is_the_transpose(optics: FibreOptics) -> None:
    phase = torch.rand((2, N, N), generator=torch.Generator().manual_seed(5))
    cores = torch.randn((2, optics.cores), dtype=torch.complex64, generator=torch.Generator().manual_seed(6))
    field = torch.polar(torch.ones_like(phase), phase)
    there = (cores.conj() * optics.launch(phase)).sum(1)
    back = (optics.launch_back(cores).conj() * field).sum((1, 2))
    assert torch.allclose(there, back, rtol=1e-4)


def fibre_mean(optics: FibreOptics) -> float:
    residual = SpeckleResidual(optics, BACKGROUND, GRID)
    with torch.no_grad():
        flat = optics.intensity(torch.zeros((1, N, N)))[0] + BACKGROUND
    return float(flat[residual.disc].mean())


def test_exposure_and_laser_power_do_not_matter(optics: FibreOptics, fibre: SpeckleResidual) -> None:
    frame, flat = torch.rand((1, 1, N, N)), torch.rand((1, 1, N, N)) + 1
    assert torch.allclose(fibre.amplitude(frame, flat), fibre.amplitude(7 * frame, 7 * flat))


def test_light_that_has_changed_since_the_reference_does_not_matter(optics: FibreOptics, fibre: SpeckleResidual) -> None:
    phase, noise = torch.rand((1, N, N), generator=torch.Generator().manual_seed(7)), torch.zeros((1, optics.cores))
    with torch.no_grad():
        frame, flat = (optics.intensity(each, noise)[:, None] + BACKGROUND for each in (phase, 0 * phase))
        usual, dim, bright = (fibre(fibre.amplitude(light * frame, flat), 0 * phase, noise) for light in (1.0, 0.15, 1.5))
    for each in (dim, bright):
        assert torch.allclose(each.difference, usual.difference, atol=1e-5)
        assert torch.allclose(each.leaving, usual.leaving, atol=1e-5)


def test_a_fibre_on_another_device_has_no_tensor_left_behind(fibre: SpeckleResidual) -> None:
    def devices(value: object) -> set[str]:
        if isinstance(value, torch.Tensor):
            return {value.device.type}
        if isinstance(value, SpeckleResidual | FibreOptics | CoreResponse):
            return set().union(*(devices(part) for part in vars(value).values()))
        return set()

    assert devices(fibre.to("meta")) == {"meta"}
    assert devices(fibre) == {"cpu"}, "the original stays where it is"


def test_core_values_go_to_the_grid_and_come_back(fibre: SpeckleResidual) -> None:
    values = torch.randn((1, 1, fibre.optics.cores))
    back = fibre.from_grid(fibre.to_grid(values))
    alone = fibre.from_grid(fibre.occupied)[0, 0] > 0
    same = (back - values).abs()[0, 0][alone] < 1e-6
    assert same.float().mean() > 0.7  # the others share their cell with a neighbour
    assert fibre.to_grid(torch.ones_like(values)).unique().tolist() == [0.0, 1.0]
