"""The twin's optics obey physical laws: energy, linearity, reciprocity, a Gaussian beam, gradients and symmetries."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from app.instrument.opening import fibre_name
from drivers.base import DeviceError, WrongPatternError
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig

PX = 128
CONFIG = OpticsConfig(image_px=PX, field_radius_um=20.0)
#: A few cores far apart and without coupling: the mode of every core is a whole Gaussian.
LONELY = replace(CONFIG, field_radius_um=30.0, core_pitch_um=25.0, mode_radius_um=2.5, coupling_sigma_um=0.1)
SEEDS = st.integers(0, 2**31 - 1)


@cache
def fibre(config: OpticsConfig = CONFIG) -> FibreOptics:
    """Return one shared fibre per configuration; tests that change its drift make their own."""
    return FibreOptics(config)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def phases(seed: int, batch: int = 1) -> torch.Tensor:
    return 2 * torch.pi * torch.rand((batch, PX, PX), generator=generator(seed), dtype=torch.float64)


def normal(shape: tuple[int, ...], seed: int, dtype: torch.dtype = torch.complex128) -> torch.Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=dtype)


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(np.corrcoef(a.ravel().numpy(), b.ravel().numpy())[0, 1])


# ---- energy


def test_propagation_neither_makes_nor_loses_light() -> None:
    # A fibre well inside the image: all light that leaves the facet reaches the camera.
    optics = fibre(replace(CONFIG, field_radius_um=14.0, edge_um=1.0))
    amplitude = normal((2, 3, optics.cores), 0)
    at_facet = fibre(replace(optics.config, distance_um=0.0)).propagate(amplitude).abs().square().sum((-1, -2))
    at_camera = optics.propagate(amplitude).abs().square().sum((-1, -2))
    assert torch.allclose(at_camera, at_facet, rtol=1e-3)


def test_light_that_leaves_the_image_does_not_come_back_on_the_other_side() -> None:
    # The core nearest to an edge sends light over that edge; a periodic FFT without margin would return it.
    optics = fibre(replace(CONFIG, field_radius_um=60.0, coupling_sigma_um=0.1))
    x = optics.core_positions_px[:, 1]
    amplitude = torch.zeros((1, 1, optics.cores), dtype=torch.complex64)
    amplitude[..., int(np.argmin(np.abs(x - (PX / 2 - 2)) + np.abs(optics.core_positions_px[:, 0])))] = 1
    columns = optics.propagate(amplitude).abs().square().sum((0, 1, 2))
    assert columns[-PX // 4 :].sum() > 0.9 * columns.sum()
    assert columns[: PX // 4].sum() < 1e-3 * columns.sum()


def test_coupling_keeps_the_mean_power_of_every_mode() -> None:
    optics = fibre(replace(CONFIG, field_radius_um=30.0))
    angle = 2 * torch.pi * torch.rand((64, optics.cores), generator=generator(1))
    power = optics.couple(torch.polar(torch.ones_like(angle), angle)).abs().square().mean((0, 2))
    # About 500 cores x 64 draws of exponentially distributed power: 0.6 % standard error, less what neighbours share.
    assert power.tolist() == pytest.approx([1.0] * 3, abs=0.04)


def test_without_coupling_every_core_keeps_its_light() -> None:
    optics = fibre(replace(CONFIG, coupling_sigma_um=0.0))
    amplitude = normal((2, optics.cores), 2)
    assert torch.equal(optics.couple(amplitude), amplitude[:, None].expand(-1, 3, -1))


def test_the_mean_over_the_fibre_and_background_is_one() -> None:
    levels = []
    for seed in range(12):
        optics = FibreOptics(replace(CONFIG, image_px=96, field_radius_um=22.0, seed=seed))
        noise = 2 * torch.pi * torch.rand((16, optics.cores), generator=generator(seed))
        light = optics.intensity(torch.zeros((1, 96, 96)).expand(16, -1, -1), noise)
        inside_px = math.pi * (optics.config.field_radius_um / optics.config.pixel_um) ** 2
        levels.append(float(light.sum(-1).sum(-1).mean()) / inside_px + optics.config.background)
    # One fibre of 300 cores is uncertain by some 4 %, the mean of twelve by 1 %.
    assert np.mean(levels) == pytest.approx(1.0, abs=0.05)


# ---- linearity and reciprocity


@examples(max_examples=15)
@given(first=SEEDS, second=SEEDS, mask=SEEDS)
def test_launch_is_linear_in_the_field_on_the_slm(first: int, second: int, mask: int) -> None:
    a, b = phases(first), phases(second)
    where = torch.rand((1, PX, PX), generator=generator(mask)) < 0.5
    # Swapping pixels between two phase images leaves the sum of their fields as it was.
    one, other = torch.where(where, a, b), torch.where(where, b, a)
    launch = fibre().launch
    assert torch.allclose(launch(one) + launch(other), launch(a) + launch(b), atol=1e-12)


def test_a_flat_phase_launches_unit_amplitude_everywhere() -> None:
    launched = fibre().launch(torch.full((1, PX, PX), 0.7, dtype=torch.float64))
    assert torch.allclose(launched, torch.polar(torch.ones_like(launched.real), torch.full_like(launched.real, 0.7)), atol=1e-6)


def operators() -> dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], tuple[int, ...]]]:
    optics = fibre()
    return {"propagate": (optics.propagate, (1, 3, optics.cores)), "couple": (optics.couple, (1, optics.cores))}


@pytest.mark.parametrize("name", ["propagate", "couple"])
def test_linear_operators_agree_with_their_adjoints(name: str) -> None:
    operator, shape = operators()[name]
    x, other = normal(shape, 3), normal(shape, 4)
    image = operator(x)
    factor = 0.3 - 1.7j
    assert torch.allclose(operator(factor * x + other), factor * image + operator(other), atol=1e-10)
    y = normal(tuple(image.shape), 5)
    _, adjoint = torch.autograd.functional.vjp(operator, x, y)
    forward = torch.vdot(y.flatten(), image.flatten())
    backward = torch.vdot(adjoint.flatten(), x.flatten())
    assert abs(complex(forward - backward)) < 1e-9 * float(y.norm() * image.norm())


def test_propagating_back_undoes_propagation() -> None:
    # Without loss the adjoint is the inverse: the light of a core returns to it with the power of its mode.
    optics = fibre(LONELY)
    power = math.pi * (LONELY.mode_radius_um / LONELY.pixel_um) ** 2 / 2
    x = normal((1, 1, optics.cores), 6)
    centred = torch.as_tensor(np.hypot(*optics.core_positions_px.T) < PX / 3)
    x[..., ~centred] = 0
    _, returned = torch.autograd.functional.vjp(optics.propagate, x, optics.propagate(x))
    assert int(centred.sum()) >= 2
    assert torch.allclose(returned[..., centred] / power, x[..., centred], atol=2e-3)


# ---- diffraction


@pytest.mark.parametrize("distance_um", [0.0, 20.0, 49.5, 90.0])
def test_one_core_spreads_as_a_gaussian_beam(distance_um: float) -> None:
    optics = fibre(replace(LONELY, distance_um=distance_um))
    core = int(np.argmin(np.hypot(*optics.core_positions_px.T)))
    amplitude = torch.zeros((1, 1, optics.cores), dtype=torch.complex64)
    amplitude[..., core] = 1
    light = optics.propagate(amplitude).abs().square()[0, 0].double().numpy()
    light /= light.sum()
    axis = np.arange(PX)
    rayleigh_um = math.pi * LONELY.mode_radius_um**2 / LONELY.wavelength_um
    waist_um = LONELY.mode_radius_um * math.sqrt(1 + (distance_um / rayleigh_um) ** 2)
    for profile, position in zip((light.sum(1), light.sum(0)), optics.core_positions_px[core], strict=True):
        centre = float(profile @ axis)
        width_um = 2 * math.sqrt(float(profile @ (axis - centre) ** 2)) * LONELY.pixel_um
        # The analytic law is paraxial; at a divergence of 0.07 rad it is good to theta^2 / 2.
        assert width_um == pytest.approx(waist_um, rel=4e-3)
        assert centre == pytest.approx(position + (PX - 1) / 2, abs=0.02)


# ---- gradients


def test_the_gradient_agrees_with_finite_differences() -> None:
    optics = fibre(replace(CONFIG, image_px=96, field_radius_um=16.0))
    phase, direction = phases(7)[:, :96, :96].contiguous(), normal((1, 96, 96), 8, torch.float64)
    weight = normal((1, 96, 96), 9, torch.float64)

    def merit(x: torch.Tensor) -> torch.Tensor:
        return (optics.intensity(x) * weight).sum()

    phase.requires_grad_()
    (gradient,) = torch.autograd.grad(merit(phase), phase)
    step = 1e-5
    with torch.no_grad():
        difference = float(merit(phase + step * direction) - merit(phase - step * direction)) / (2 * step)
    assert float((gradient * direction).sum()) == pytest.approx(difference, rel=1e-7)


def test_single_precision_is_accurate_enough_for_training() -> None:
    phase = phases(10)
    exact, fast = fibre().intensity(phase), fibre().intensity(phase.float())
    assert fast.dtype == torch.float32
    assert float((fast - exact).abs().max() / exact.max()) < 1e-5


# ---- symmetries


@examples(max_examples=10)
@given(offset_rad=st.floats(-100, 100))
def test_a_global_phase_changes_nothing(offset_rad: float) -> None:
    phase = phases(11)
    assert torch.allclose(fibre().intensity(phase + offset_rad), fibre().intensity(phase), atol=1e-10)


def test_whole_turns_of_single_pixels_change_nothing() -> None:
    phase = phases(12)
    turns = torch.randint(-3, 4, phase.shape, generator=generator(13))
    assert torch.allclose(fibre().intensity(phase + 2 * torch.pi * turns), fibre().intensity(phase), atol=1e-10)


def test_a_batch_is_its_images_one_by_one() -> None:
    batch = phases(14, 3)
    singly = torch.cat([fibre().intensity(image[None]) for image in batch])
    assert torch.allclose(fibre().intensity(batch), singly, atol=1e-12)


def test_a_shifted_fibre_sees_a_shifted_image() -> None:
    shifted = fibre(replace(CONFIG, shift_px=(3.0, -2.0)))
    phase = phases(15)
    assert torch.allclose(shifted.launch(phase.roll((3, -2), (1, 2))), fibre().launch(phase), atol=1e-6)


def test_a_turned_fibre_sees_a_turned_image() -> None:
    turned = fibre(replace(CONFIG, rotation_deg=90.0))
    phase = phases(16)
    assert torch.allclose(turned.launch(torch.rot90(phase, 1, (1, 2))), fibre().launch(phase), atol=1e-6)


def test_a_mirrored_fibre_sees_a_mirrored_image() -> None:
    pose = replace(CONFIG, shift_px=(2.0, 4.0), rotation_deg=17.0, scale=1.05)
    mirrored = fibre(replace(pose, flip=True, shift_px=(2.0, -4.0)))
    phase = phases(20)
    assert torch.allclose(mirrored.launch(phase.flip(-1)), fibre(pose).launch(phase), atol=1e-6)
    assert not torch.allclose(mirrored.launch(phase), fibre(pose).launch(phase), atol=0.1)


def test_a_mirror_changes_the_fibres_name_and_without_one_it_stays() -> None:
    # Models and datasets carry the name that the default fibre had before mirrors existed.
    assert fibre_name(OpticsConfig()) == "twin 1 (bdbc301d)"
    assert fibre_name(OpticsConfig(flip=True)) != fibre_name(OpticsConfig())


# ---- which fibre


def test_a_seed_is_a_fibre() -> None:
    phase = torch.zeros((1, PX, PX))
    again, other = FibreOptics(CONFIG), FibreOptics(replace(CONFIG, seed=2))
    assert torch.equal(again.intensity(phase), fibre().intensity(phase))
    assert abs(correlation(other.intensity(phase)[..., 40:88, 40:88], fibre().intensity(phase)[..., 40:88, 40:88])) < 0.2


def test_drift_lowers_the_correlation_steadily_and_is_reversible() -> None:
    optics, flat = FibreOptics(CONFIG), torch.zeros((1, PX, PX))
    still = optics.intensity(flat)
    drifts_rad = (0.0, 0.2, 0.4, 0.7, 1.0, 1.4)
    correlations = []
    for drift_rad in drifts_rad:
        optics.set_drift(drift_rad)
        correlations.append(correlation(optics.intensity(flat), still))
    assert correlations[0] == pytest.approx(1.0, abs=1e-6)
    assert all(later < earlier - 0.01 for earlier, later in itertools.pairwise(correlations)), correlations
    optics.set_drift(0.0)
    assert torch.equal(optics.intensity(flat), still)


def test_drift_has_the_stated_size_and_its_own_seed() -> None:
    one, other = (FibreOptics(replace(CONFIG, drift_rad=0.5, drift_seed=seed)) for seed in (1, 2))
    step = one.core_phase - fibre().core_phase
    assert float(step.std()) == pytest.approx(0.5, rel=0.1)
    assert abs(correlation(step, other.core_phase - fibre().core_phase)) < 0.2


def test_shot_noise_is_drawn_per_core_and_can_be_repeated() -> None:
    optics = fibre()
    noise = optics.shot_noise_rad(200, generator(17))
    assert noise.shape == (200, optics.cores)
    assert float(noise.std()) == pytest.approx(CONFIG.phase_noise_rad, rel=0.02)
    assert torch.equal(optics.shot_noise_rad(200, generator(17)), noise)
    phase = phases(18).float().expand(2, -1, -1)
    one, other = optics.intensity(phase, noise[:2])
    assert 0.5 < correlation(one, other) < 0.999


def test_background_takes_its_share_of_the_light() -> None:
    phase = phases(19)
    dark, bright = fibre(replace(CONFIG, background=0.0)), fibre(replace(CONFIG, background=0.25))
    assert torch.allclose(bright.intensity(phase), 0.75 * dark.intensity(phase), rtol=1e-6)


def test_relief_and_edge_shape_the_transmission_of_the_cores() -> None:
    even = fibre(replace(CONFIG, gain_relief=0.0))
    radius_um = np.hypot(*even.core_positions_px.T) * CONFIG.pixel_um
    edge = 1 / (1 + np.exp((radius_um - CONFIG.field_radius_um) / CONFIG.edge_um))
    assert even.core_gain.square().numpy() == pytest.approx(edge, abs=1e-6)
    # Relief multiplies the power of the same cores by 1 +- gain_relief.
    relief = fibre().core_gain.square().numpy() / edge
    assert (relief.mean(), relief.std()) == pytest.approx((1.0, CONFIG.gain_relief), abs=1e-3)


def test_cores_keep_their_distance_and_density() -> None:
    positions_um = fibre().core_positions_px * CONFIG.pixel_um
    distance = np.hypot(*(positions_um[:, None] - positions_um[None]).T) + np.eye(len(positions_um)) * 1e9
    assert distance.min() > 0.55 * CONFIG.core_pitch_um - 1e-9
    reach_um = CONFIG.field_radius_um + 3 * CONFIG.edge_um
    hexagonal = math.pi * reach_um**2 / (CONFIG.core_pitch_um**2 * math.sqrt(3) / 2)
    assert 0.75 * hexagonal < len(positions_um) <= 1.02 * hexagonal


# ---- refusals


@pytest.mark.parametrize("shape", [(PX, PX), (1, PX, PX + 1), (1, 64, 64), (1, 1, PX, PX)])
def test_a_phase_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(WrongPatternError, match=r"need a phase \(b, 128, 128\).*resize"):
        fibre().intensity(torch.zeros(shape))


@pytest.mark.parametrize("weights", [(), (1.0, 0.0), (1.0, -0.5)])
def test_mode_weights_have_to_be_positive(weights: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="mode_weights"):
        OpticsConfig(mode_weights=weights)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_px", 10**6), ("image_px", 64.5), ("pixel_um", "0.7"), ("pixel_um", 0.0), ("pixel_um", math.nan),
        ("field_radius_um", 1e9), ("core_pitch_um", 1e-9), ("coupling_sigma_um", 1e3), ("relief_sigma_um", 1e12),
        ("lattice_grains", 10**9), ("distance_um", 1e30), ("mode_weights", (1.0, math.inf)), ("mode_weights", (1.0,) * 99),
        ("shift_px", (1.0,)), ("seed", -1), ("flip", "yes"),
    ],
)  # fmt: skip
def test_optics_that_cannot_be_simulated_are_refused_with_name_and_value(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        replace(CONFIG, **{name: value})


def test_a_fibre_without_cores_is_refused() -> None:
    with pytest.raises(DeviceError, match="field_radius_um larger than core_pitch_um"):
        FibreOptics(replace(CONFIG, core_jitter=1e6))


def test_a_response_with_other_neighbours_is_refused() -> None:
    response = fibre().response
    with pytest.raises(ValueError, match="a response must be for"):
        fibre().with_response(response.gain[None], response.rest_phase_rad[:1], response.coupling[:1, :, :1])
