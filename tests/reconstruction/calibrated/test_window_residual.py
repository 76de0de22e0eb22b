"""The cheaper residual: that of all modes where both can be compared, and what is left out."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from reconstruction.calibrated.speckle_residual import SpeckleResidual
from reconstruction.calibrated.window_residual import WindowResidual

N, GRID, FINE = 128, 32, 64
BACKGROUND = 0.035


@pytest.fixture(scope="module")
def optics() -> FibreOptics:
    return FibreOptics(OpticsConfig(image_px=N, field_radius_um=41.0))


@pytest.fixture(scope="module")
def fibre(optics: FibreOptics) -> SpeckleResidual:
    return SpeckleResidual(optics, BACKGROUND, GRID)


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def amplitude_of(fibre: SpeckleResidual, phase: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        flat, frame = (fibre.optics.intensity(p, noise)[:, None] + BACKGROUND for p in (torch.zeros_like(phase), phase))
    return fibre.amplitude(50 * frame, 50 * flat)


def middle_cores(optics: FibreOptics) -> torch.Tensor:
    """Cores whose light, and nearly all light of their neighbours, ends before the pixels that count for nothing."""
    reach = N / 2 - 3 * optics.margin_px
    return (torch.from_numpy(optics.core_positions_px).abs() < reach).all(1)


def alike(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])


def test_with_all_modes_it_is_the_residual_away_from_the_edge(optics: FibreOptics) -> None:
    fibre = SpeckleResidual(optics, BACKGROUND, GRID)
    rest = 2 * optics.margin_px  # brightness is compared where both are right, too
    fibre.lit[:rest], fibre.lit[-rest:], fibre.lit[:, :rest], fibre.lit[:, -rest:] = 0, 0, 0, 0
    amplitude = amplitude_of(fibre, 2 * drawn(1, 2, N, N), 0.4 * drawn(2, 2, optics.cores))
    assumed = 2 * drawn(3, 2, N, N), 0.4 * drawn(4, 2, optics.cores)
    with torch.no_grad():
        exact = fibre(amplitude, *assumed)
        window = WindowResidual(fibre, 3, FINE)(amplitude, *assumed)
    inside = middle_cores(optics)
    assert inside.sum() > 10
    for name in ("entering", "leaving", "power"):
        one, other = (torch.view_as_real(getattr(each, name)[:, inside] + 0j) for each in (exact, window))
        assert torch.allclose(one, other, rtol=0, atol=0.01 * float(one.abs().max())), name
    middle = slice(FINE // 2 - 4, FINE // 2 + 4)
    slope = F.avg_pool2d(exact.slope_rad[:, None], N // FINE)[:, 0]
    assert torch.allclose(slope[:, middle, middle], window.slope_rad[:, middle, middle], atol=0.02 * float(slope.abs().max()))


def test_the_true_phase_leaves_nothing_whatever_is_followed(optics: FibreOptics, fibre: SpeckleResidual) -> None:
    phase, noise = drawn(5, 1, N, N), 0.2 * drawn(6, 1, optics.cores)
    amplitude = amplitude_of(fibre, phase, noise)
    middle = slice(N // 2 - 16, N // 2 + 16)
    with torch.no_grad():
        for modes in (1, 2, 3):
            window = WindowResidual(fibre, modes, FINE)
            right, wrong = (window(amplitude, each, noise).difference[:, middle, middle] for each in (phase, 0 * phase))
            assert right.square().mean() < 0.02 * wrong.square().mean()


def test_two_modes_point_where_all_point(optics: FibreOptics, fibre: SpeckleResidual) -> None:
    """The third mode of this fibre has an eighth of the light."""
    phase, noise = 2 * drawn(7, 1, N, N), torch.zeros((1, optics.cores))
    amplitude = amplitude_of(fibre, phase, 0.4 * drawn(8, 1, optics.cores))
    inside = middle_cores(optics)
    with torch.no_grad():
        three, two, one = (WindowResidual(fibre, modes, FINE)(amplitude, phase, noise) for modes in (3, 2, 1))
    agreement = [alike(three.leaving.imag[:, inside], each.leaving.imag[:, inside]) for each in (two, one)]
    assert agreement[0] > 0.95
    assert agreement[1] < agreement[0]
    assert torch.allclose(three.difference, two.difference, atol=1e-4), "the light of all modes is predicted in any case"


def test_pixels_at_the_edge_count_for_nothing(optics: FibreOptics, fibre: SpeckleResidual) -> None:
    phase, noise = drawn(9, 1, N, N), torch.zeros((1, optics.cores))
    amplitude = amplitude_of(fibre, phase, noise)
    other = amplitude.clone()
    other[:, : optics.margin_px] += 1
    other[:, :, -optics.margin_px :] += 1
    window = WindowResidual(fibre, 2, FINE)
    with torch.no_grad():
        assert torch.equal(window(amplitude, phase, noise).leaving, window(other, phase, noise).leaving)
        inner = amplitude.clone()
        inner[:, optics.margin_px] += 1
        assert not torch.equal(window(amplitude, phase, noise).leaving, window(inner, phase, noise).leaving)


def test_the_followed_modes_are_the_strongest(optics: FibreOptics, fibre: SpeckleResidual) -> None:
    phase, noise = drawn(10, 1, N, N), torch.zeros((1, optics.cores))
    amplitude = amplitude_of(fibre, phase, noise)
    with torch.no_grad():
        powers = [float(WindowResidual(fibre, modes, FINE)(amplitude, phase, noise).power.mean()) for modes in (1, 2, 3)]
    weights = torch.tensor(optics.config.mode_weights).sort(descending=True).values.cumsum(0)
    assert [power / powers[2] for power in powers] == pytest.approx((weights / weights[2]).tolist(), rel=0.05)
