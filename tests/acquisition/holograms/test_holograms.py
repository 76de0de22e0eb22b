"""Holograms: impossible requests are refused with the reason, and the iterations are those of slmsuite."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from acquisition.holograms.backends import TorchBackend
from acquisition.holograms.benchmark import hologram_ratio, slmsuite_hologram
from acquisition.holograms.closed_form import (
    HologramError,
    add,
    carrier,
    encode_field,
    far_field,
    fresnel_lens,
    grating,
    spot_grid,
)
from acquisition.holograms.gerchberg_saxton import METHODS, HologramResult, IterationSettings, Method, gerchberg_saxton
from drivers.base import Pattern
from drivers.displays.phase_lut import GreyEncoder, GreyLut

SHAPE = (48, 80)
TURN = 2 * np.pi
needs_slmsuite = pytest.mark.skipif(importlib.util.find_spec("slmsuite") is None, reason="slmsuite is not installed")


def start(shape: tuple[int, int] = SHAPE) -> NDArray[np.float32]:
    return np.random.default_rng(1).uniform(-np.pi, np.pi, shape).astype(np.float32)


def picture(shape: tuple[int, int] = SHAPE) -> NDArray[np.float32]:
    """A target that fills an off-centre box."""
    target = np.zeros(shape, np.float32)
    target[5:30, 12:62] = np.random.default_rng(2).uniform(0.2, 1, (25, 50))
    return target


def corners(shape: tuple[int, int] = SHAPE) -> NDArray[np.float32]:
    """A target whose box is the whole far field and almost dark."""
    target = np.zeros(shape, np.float32)
    target[0, 0], target[-1, -1], target[3, 7], target[-2, 4] = 1, 2, 1, 0.5
    return target


def full(shape: tuple[int, int] = SHAPE) -> NDArray[np.float32]:
    return np.random.default_rng(3).uniform(0.2, 1, shape).astype(np.float32)


def beam(shape: tuple[int, int] = SHAPE) -> NDArray[np.float32]:
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    return np.exp(-(x**2) - 2 * (y - 0.1) ** 2).astype(np.float32)


def test_phases_are_float32_between_0_and_2_pi_and_can_be_patterns() -> None:
    shown = carrier(SHAPE, (0.1, -0.3))
    for phase in (
        shown,
        grating(SHAPE, 4, 1.0),
        fresnel_lens(SHAPE, 300, 0.633, 8),
        add(shown, shown, np.full(SHAPE, -50, np.float32)),
        encode_field(full(), start(), shown),
        gerchberg_saxton(picture(), iterations=2).phase_rad,
    ):
        assert phase.shape == SHAPE
        assert phase.dtype == np.float32
        assert phase.min() >= 0
        assert phase.max() <= np.float32(TURN)
        Pattern(phase)


def test_a_carrier_on_a_large_panel_is_exact_to_a_fraction_of_a_grey_level() -> None:
    frequency = (0.31234567, 0.4987654)
    shown = carrier((1080, 1920), frequency)
    wanted = TURN * ((1079 * frequency[0] + 1919 * frequency[1]) % 1)
    assert shown[-1, -1] == pytest.approx(wanted, abs=1e-5)


def test_a_grating_of_four_pixels_has_four_grey_levels() -> None:
    grey = GreyEncoder(GreyLut.linear(TURN * 255 / 256))(grating((1, 8), 4))
    assert grey.tolist() == [[0, 64, 128, 192] * 2]


def test_adding_wraps_and_needs_one_shape() -> None:
    np.testing.assert_allclose(add(np.full((2, 2), 5, np.float32), np.full((2, 2), 4, np.float32)), 9 - TURN, rtol=1e-6)
    with pytest.raises(HologramError, match="one shape"):
        add(np.zeros((2, 2), np.float32), np.zeros((2, 3), np.float32))


@pytest.mark.parametrize("frequency", [(0.51, 0.0), (0.0, -0.6), (float("nan"), 0.0)])
def test_carriers_above_half_a_cycle_per_pixel_are_refused(frequency: tuple[float, float]) -> None:
    with pytest.raises(HologramError, match=r"0\.5 cycles/px"):
        carrier(SHAPE, frequency)


@pytest.mark.parametrize("period_px", [1.9, 0.0, -8.0, float("nan")])
def test_gratings_below_two_pixels_are_refused(period_px: float) -> None:
    with pytest.raises(HologramError, match="at least 2 px"):
        grating(SHAPE, period_px)


def test_too_strong_a_lens_is_refused_with_the_shortest_focal_length() -> None:
    with pytest.raises(HologramError, match="shortest focal length is") as refused:
        fresnel_lens((1080, 1920), 20, 0.633, 8)
    shortest_mm = float(str(refused.value).split(" mm")[-2].split()[-1])
    fresnel_lens((1080, 1920), -shortest_mm * 1.001, 0.633, 8)
    with pytest.raises(HologramError):
        fresnel_lens((1080, 1920), shortest_mm * 0.999, 0.633, 8)
    # Off the axis, the fringes at its far edge are narrower still.
    with pytest.raises(HologramError):
        fresnel_lens((1080, 1920), shortest_mm * 1.001, 0.633, 8, centre_px=(0, 100))


def test_the_strongest_lens_changes_by_pi_per_pixel_at_the_edge() -> None:
    # One row, so that only x counts: edge 39.5 px.
    lens = fresnel_lens((1, 80), 2 * 39.5 * 64 / 0.633 * 1e-3 * 1.0001, 0.633, 8)
    steps = np.angle(np.exp(1j * np.diff(lens[0].astype(float))))
    assert abs(steps).max() == pytest.approx(np.pi * 39 / 39.5, rel=1e-3)


@pytest.mark.parametrize("focal_length_mm", [0.0, float("nan")])
def test_impossible_lenses_are_refused(focal_length_mm: float) -> None:
    with pytest.raises(HologramError):
        fresnel_lens((1, 1), focal_length_mm, 0.633, 8)
    with pytest.raises(ValueError, match="positive"):
        fresnel_lens(SHAPE, 300, 0, 8)


def test_fields_that_cannot_be_encoded_are_refused() -> None:
    flat = np.zeros(SHAPE, np.float32)
    for amplitude in (flat + 1.01, flat - 0.01, flat + np.nan):
        with pytest.raises(HologramError, match=r"0\.\.1"):
            encode_field(amplitude, flat, flat)
    with pytest.raises(HologramError, match="one shape"):
        encode_field(flat[1:], flat, flat)


def test_a_grid_of_spots_is_centred_on_the_zero_order() -> None:
    target = spot_grid((9, 11), (3, 3), 2)
    assert np.argwhere(target).mean(axis=0).tolist() == [4, 5]
    assert target.sum() == 9
    with pytest.raises(HologramError, match="do not fit"):
        spot_grid((9, 11), (6, 3), 2)


@pytest.mark.parametrize(
    ("target", "source"),
    [
        (np.zeros(SHAPE, np.float32), None),
        (-full(), None),
        (np.full(SHAPE, np.nan, np.float32), None),
        (np.full(SHAPE, np.inf, np.float32), None),
        (np.ones(5, np.float32), None),
        (full(), np.zeros(SHAPE, np.float32)),
        (full(), np.ones((4, 4), np.float32)),
    ],
)
def test_impossible_amplitudes_are_refused(target: NDArray[np.float32], source: NDArray[np.float32] | None) -> None:
    with pytest.raises(HologramError, match="amplitude"):
        gerchberg_saxton(target, source)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(HologramError, match="start phase"):
        gerchberg_saxton(full(), phase0_rad=np.zeros((4, 4), np.float32))
    with pytest.raises(HologramError, match="use 'cpu'"):
        gerchberg_saxton(full(), settings=IterationSettings(device="nonsense"))
    with pytest.raises(ValueError, match="no hologram with iterations=0"):
        gerchberg_saxton(full(), iterations=0)
    for wrong in ({"method": "magic"}, {"exponent": 0.0}, {"fix_after": 0}):
        with pytest.raises(ValueError, match="no hologram by"):
            IterationSettings(**wrong)  # type: ignore[arg-type]


def test_arguments_are_not_changed_and_repeats_are_equal() -> None:
    target, source, phase0 = picture(), beam(), start()
    copies = target.copy(), source.copy(), phase0.copy()
    first, second = (
        gerchberg_saxton(target, source, 3, phase0_rad=phase0, settings=IterationSettings(method="wgs-kim", fix_after=2))
        for _ in range(2)
    )
    for argument, copy in zip((target, source, phase0), copies, strict=True):
        np.testing.assert_array_equal(argument, copy)
    np.testing.assert_array_equal(first.phase_rad, second.phase_rad)
    seeds = [gerchberg_saxton(target, iterations=1, settings=IterationSettings(seed=seed)).phase_rad for seed in (0, 0, 1)]
    np.testing.assert_array_equal(seeds[0], seeds[1])
    assert not np.array_equal(seeds[0], seeds[2])


def test_scales_and_integer_images_do_not_matter() -> None:
    image = (picture() * 200).astype(np.uint16)
    plain = gerchberg_saxton(image.astype(np.float32), iterations=3)
    np.testing.assert_allclose(gerchberg_saxton(image, iterations=3).efficiency, plain.efficiency, rtol=1e-6)  # type: ignore[arg-type]
    for scale in (1e-25, 1e25):
        scaled = gerchberg_saxton(image.astype(np.float32) * np.float32(scale), beam() * 0 + np.float32(7), 3)
        assert scaled.efficiency == pytest.approx(plain.efficiency, rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_a_start_with_dark_pixels_gives_finite_phases(method: Method) -> None:
    target = np.zeros((8, 8), np.float32)
    target[4, 2] = target[4, 6] = 1  # a cosine, whose zeros are pixels
    source = np.ones((8, 8), np.float32)
    source[0] = 0
    for start_rad in (0.0, 1.0):
        flat = np.full((8, 8), start_rad, np.float32)
        result = gerchberg_saxton(target, source, 30, phase0_rad=flat, settings=IterationSettings(method=method, record=True))
        assert np.isfinite(result.phase_rad).all()
        assert np.isfinite(result.history).all()


def test_the_history_equals_the_results_of_shorter_runs() -> None:
    long = gerchberg_saxton(picture(), iterations=4, settings=IterationSettings(method="wgs", record=True))
    assert len(long.history) == 4
    for count in (1, 2, 3):
        short = gerchberg_saxton(picture(), iterations=count, settings=IterationSettings(method="wgs"))
        assert long.history[count] == (short.efficiency, short.uniformity)
        assert short.history == ()


@pytest.mark.parametrize("target", [picture(), corners(), spot_grid(SHAPE, (5, 5), 6), full()])
def test_the_quality_is_the_one_of_the_hologram(target: NDArray[np.float32]) -> None:
    result = gerchberg_saxton(target, beam(), 5, settings=IterationSettings(method="wgs"))
    actual = abs(far_field(result.phase_rad, beam())).astype(float)
    wanted = target / np.linalg.norm(target)
    ratio = (actual[target > 0] / wanted[target > 0]) ** 2
    assert result.efficiency == pytest.approx((actual * wanted).sum() ** 2, rel=1e-5)
    assert result.uniformity == pytest.approx(1 - (ratio.max() - ratio.min()) / (ratio.max() + ratio.min()), abs=1e-4)


def on_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch compute on the CPU as it does on a GPU."""
    monkeypatch.setattr("acquisition.holograms.gerchberg_saxton.backend_for", TorchBackend)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("target", [picture(), corners()])
def test_torch_and_scipy_agree(method: Method, target: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch) -> None:
    ours = gerchberg_saxton(target, beam(), 4, settings=IterationSettings(method=method, fix_after=2))
    on_torch(monkeypatch)
    theirs = gerchberg_saxton(target, beam(), 4, settings=IterationSettings(method=method, fix_after=2))
    assert_equal_quality(ours, theirs)


def assert_equal_quality(ours: HologramResult, theirs: HologramResult, tolerance: float = 1e-5) -> None:
    assert ours.efficiency == pytest.approx(theirs.efficiency, abs=tolerance)
    assert ours.uniformity == pytest.approx(theirs.uniformity, abs=10 * tolerance)


@needs_slmsuite
@pytest.mark.parametrize("shape", [SHAPE, (45, 63)])
@pytest.mark.parametrize("source", [None, beam])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("draw", [picture, corners, full])
def test_it_iterates_as_slmsuite_does(shape: tuple[int, int], source: object, method: Method, draw: object) -> None:
    target, light = draw(shape), source and source(shape)  # type: ignore[operator]
    # In double precision: on images the weights of the darkest pixels grow without limit, and rounding errors with them.
    iterations = 20 if method == "gs" or draw is corners else 11
    ours = gerchberg_saxton(target, light, iterations, phase0_rad=start(shape), settings=IterationSettings(method=method))
    run = slmsuite_hologram(target, start(shape).astype(np.float64), iterations, method, light)
    assert run is not None
    assert_equal_quality(ours, run[1], 1e-5 if method == "gs" or draw is corners else 1e-4)
    # The same hologram, except for one phase that all pixels share.
    difference = np.exp(1j * (ours.phase_rad - run[1].phase_rad))
    assert abs(difference.mean()) > 0.9999


def test_the_comparison_measures_both_in_turns() -> None:
    numbers = hologram_ratio((32, 48), iterations=3, rounds=2)
    assert numbers["ours"]["ms_per_iteration"] > 0
    if numbers["slmsuite"] is None:
        assert numbers["ratio"] is None
    else:
        assert numbers["ratio_range"][0] <= numbers["ratio"] <= numbers["ratio_range"][1]
        assert numbers["ours"]["efficiency"] == pytest.approx(numbers["slmsuite"]["efficiency"], abs=1e-5)
        assert numbers["ours"]["uniformity"] == pytest.approx(numbers["slmsuite"]["uniformity"], abs=1e-4)


def test_the_comparison_works_without_slmsuite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "slmsuite.holography.algorithms", None)
    numbers = hologram_ratio((8, 8), iterations=1, rounds=1)
    assert numbers["slmsuite"] is None
    assert numbers["ratio"] is None
    assert numbers["ours"]["efficiency"] > 0
