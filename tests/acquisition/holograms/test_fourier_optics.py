"""What Fourier optics demands of holograms: energy, foci, orders, complex fields and the iterations' own laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from numpy.typing import NDArray

from acquisition.holograms.closed_form import add, carrier, encode_field, far_field, fresnel_lens, grating, spot_grid
from acquisition.holograms.gerchberg_saxton import IterationSettings, gerchberg_saxton

SHAPE = (96, 128)


def smooth(seed: int, shape: tuple[int, int], width_px: float) -> NDArray[np.float32]:
    """Random field in 0..1 whose details are ``width_px`` wide."""
    fy, fx = np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])
    noise = np.fft.fft2(np.random.default_rng(seed).standard_normal(shape))
    field = np.fft.ifft2(noise * np.exp(-2 * (np.pi * width_px) ** 2 * (fy**2 + fx**2))).real
    return ((field - field.min()) / np.ptp(field)).astype(np.float32)


def fresnel(field: NDArray[np.complex128], distance_um: float, wavelength_um: float, pitch_um: float) -> NDArray[np.complex128]:
    """Free space, by its transfer function (Goodman, 3rd ed., eq. 4-21)."""
    fy, fx = (np.fft.fftfreq(size, pitch_um) for size in field.shape)
    transfer = np.exp(-1j * np.pi * wavelength_um * distance_um * (fy[:, None] ** 2 + fx**2))
    return np.fft.ifft2(np.fft.fft2(field) * transfer)


@given(seed=st.integers(0, 2**16), height=st.integers(1, 40), width=st.integers(1, 40))
@examples(max_examples=25, deadline=None)
def test_no_light_is_lost_on_the_way_to_the_far_field(seed: int, height: int, width: int) -> None:
    phase = np.random.default_rng(seed).uniform(0, 6, (height, width)).astype(np.float32)
    assert np.sum(abs(far_field(phase)) ** 2) == pytest.approx(1, abs=1e-4)
    source = np.random.default_rng(seed + 1).uniform(0.1, 2, (height, width)).astype(np.float32)
    assert np.sum(abs(far_field(phase, source)) ** 2) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("moved", [(0, 0), (7, -20), (-48, 63), (30, 5)])
@pytest.mark.parametrize("shape", [SHAPE, (97, 131)])
def test_a_carrier_moves_the_spot_by_its_frequency_times_the_shape(moved: tuple[int, int], shape: tuple[int, int]) -> None:
    spot = abs(far_field(carrier(shape, (moved[0] / shape[0], moved[1] / shape[1])))) ** 2
    place = np.unravel_index(spot.argmax(), shape)
    assert place == (shape[0] // 2 + moved[0], shape[1] // 2 + moved[1])
    assert spot.max() == pytest.approx(1, abs=1e-5)


def test_a_grating_moves_the_light_along_its_angle() -> None:
    right = abs(far_field(grating(SHAPE, 8)))
    down = abs(far_field(grating(SHAPE, 8, np.pi / 2)))
    assert np.unravel_index(right.argmax(), SHAPE) == (48, 64 + 16)
    assert np.unravel_index(down.argmax(), SHAPE) == (48 + 12, 64)


@pytest.mark.parametrize("centre_px", [(0.0, 0.0), (20.0, -31.0)])
def test_a_lens_focuses_at_its_focal_length_behind_its_centre(centre_px: tuple[float, float]) -> None:
    shape, wavelength_um, pitch_um, focal_mm = (257, 257), 0.633, 8.0, 60.0
    lens = np.exp(1j * fresnel_lens(shape, focal_mm, wavelength_um, pitch_um, centre_px).astype(float))
    # Dark around the lens, so that the light that leaves does not come back on the other side.
    field = np.pad(lens, 128)
    distances_mm = np.array([50, 56, 59, 60, 61, 64, 70])
    planes = [abs(fresnel(field, mm * 1e3, wavelength_um, pitch_um)) ** 2 for mm in distances_mm]
    assert distances_mm[np.argmax([plane.max() for plane in planes])] == focal_mm
    focus = np.array(np.unravel_index(planes[3].argmax(), field.shape))
    np.testing.assert_allclose(focus - 256, centre_px, atol=1)
    # The width of an aperture's diffraction: lambda f / D is 2.3 px.
    y, x = np.indices(field.shape) - focus[:, None, None]
    assert planes[3][(abs(y) <= 3) & (abs(x) <= 3)].sum() > 0.75 * 257**2


def test_a_lens_and_its_opposite_cancel() -> None:
    total = add(fresnel_lens(SHAPE, 300, 0.633, 8), fresnel_lens(SHAPE, -300, 0.633, 8))
    np.testing.assert_allclose(np.exp(1j * total), 1, atol=1e-5)


CARRIER_PER_PX = (51 / 256, 128 / 512)


def first_order(phase: NDArray[np.float32]) -> NDArray[np.complex128]:
    """The field behind a 4f relay whose round stop lies on the carrier's order, with the order's tilt taken out."""
    fy, fx = (np.fft.fftfreq(size) for size in phase.shape)
    stop = np.hypot((fy - CARRIER_PER_PX[0])[:, None], fx - CARRIER_PER_PX[1]) <= 0.1
    y, x = np.indices(phase.shape)
    field = np.fft.ifft2(np.fft.fft2(np.exp(1j * phase.astype(float))) * stop)
    return field * np.exp(-2j * np.pi * (CARRIER_PER_PX[0] * y + CARRIER_PER_PX[1] * x))


def likeness(a: NDArray[np.complex128], b: NDArray[np.complex128]) -> float:
    return abs(np.vdot(a, b)) / (np.linalg.norm(a) * np.linalg.norm(b))


@pytest.mark.parametrize("seed", range(3))
def test_the_first_order_is_the_wanted_complex_field(seed: int) -> None:
    shape = (256, 512)
    amplitude, phase = smooth(seed, shape, 10), smooth(seed + 10, shape, 10) * np.float32(4 * np.pi)
    wanted = amplitude * np.exp(1j * phase)
    seen = first_order(encode_field(amplitude, phase, carrier(shape, CARRIER_PER_PX)))
    assert likeness(wanted, seen) > 0.995
    # Not only alike: the same brightness and the same phase.
    assert np.vdot(wanted, seen) / np.vdot(wanted, wanted) == pytest.approx(1, abs=0.01)
    assert np.mean(abs(seen) ** 2) == pytest.approx(np.mean(amplitude**2), rel=0.01)


def test_the_phase_does_not_follow_the_amplitude_as_without_correction() -> None:
    amplitude = smooth(3, (256, 512), 10)
    shown = carrier(amplitude.shape, CARRIER_PER_PX)
    bent = first_order(encode_field(amplitude, np.zeros_like(amplitude), shown))
    # A grating of varying depth alone, as in Davis et al. 1999, turns the phase with the amplitude.
    plain = first_order(amplitude * shown)
    assert likeness(amplitude + 0j, bent) > 0.995
    assert likeness(amplitude + 0j, plain) < 0.95


@pytest.mark.parametrize("level", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_amplitude_is_linear_and_dark_is_dark(level: float) -> None:
    shape = (16, 512)
    shown = encode_field(np.full(shape, level, np.float32), np.full(shape, 1, np.float32), carrier(shape, (0, 1 / 64)))
    order = np.fft.fft2(np.exp(1j * shown.astype(float)))[0, 8] / shown.size
    # 64 pixels a groove: nearly the smooth grating of the theory, but for half a pixel's phase.
    assert abs(order) == pytest.approx(level, abs=2e-3)
    if level:
        assert np.angle(order * np.exp(-1j)) == pytest.approx(0, abs=0.06)


@given(seed=st.integers(0, 2**16), lit=st.floats(0.02, 1))
@examples(max_examples=15, deadline=None)
def test_the_error_of_plain_iterations_never_rises(seed: int, lit: float) -> None:
    # Fienup, Appl. Opt. 21, 2758 (1982): error reduction. With unit powers the squared error is 2 - 2 sqrt(efficiency).
    rng = np.random.default_rng(seed)
    target = (rng.uniform(0.1, 1, (30, 44)) * (rng.random((30, 44)) < lit)).astype(np.float32)
    target[11, 17] = 1
    source = rng.uniform(0, 1, (30, 44)).astype(np.float32)
    result = gerchberg_saxton(target, source, 30, settings=IterationSettings(seed=seed, record=True))
    efficiency = [quality.efficiency for quality in result.history] + [result.efficiency]
    assert np.diff(efficiency).min() > -1e-5
    assert 0 < efficiency[0] < efficiency[-1] <= 1 + 1e-5


@pytest.mark.parametrize("method", ["wgs", "wgs-kim"])
def test_weights_make_spots_equally_bright(method: str) -> None:
    target = spot_grid((256, 320), (8, 8), 12)
    plain = gerchberg_saxton(target, iterations=30)
    weighted = gerchberg_saxton(target, iterations=30, settings=IterationSettings(method=method))  # type: ignore[arg-type]
    assert plain.uniformity < 0.8
    assert weighted.uniformity > 0.95
    # Even spots cost little light.
    spots = abs(far_field(weighted.phase_rad)[target > 0]) ** 2
    assert spots.sum() > 0.85
    assert np.ptp(spots) / spots.mean() < 0.1


def test_spots_of_two_brightnesses_get_their_share() -> None:
    target = spot_grid((128, 160), (4, 4), 12)
    target[:64] *= np.sqrt(2, dtype=np.float32)
    spots = abs(far_field(gerchberg_saxton(target, iterations=40, settings=IterationSettings(method="wgs")).phase_rad)) ** 2
    upper, lower = (spots[half][target[half] > 0] for half in (slice(64), slice(64, None)))
    assert upper.mean() / lower.mean() == pytest.approx(2, rel=0.02)


def test_a_picture_appears_where_it_was_wanted() -> None:
    # An L, which no mirror image or turn of the axes can pass for, away from the zero order.
    target = np.zeros(SHAPE, np.float32)
    target[20:40, 80:84] = target[36:40, 80:100] = 1
    seen = abs(far_field(gerchberg_saxton(target, iterations=30).phase_rad)) ** 2
    assert seen[target > 0].sum() > 0.85
    for other in (target[::-1], target[:, ::-1], target[::-1, ::-1]):
        assert seen[(other > 0) & (target == 0)].sum() < 0.05


def test_a_carrier_added_to_a_hologram_moves_its_picture() -> None:
    hologram = gerchberg_saxton(spot_grid(SHAPE, (3, 3), 8), iterations=5).phase_rad
    moved = far_field(add(hologram, carrier(SHAPE, (10 / 96, -6 / 128))))
    np.testing.assert_allclose(abs(moved), abs(np.roll(far_field(hologram), (10, -6), (0, 1))), atol=1e-4)
