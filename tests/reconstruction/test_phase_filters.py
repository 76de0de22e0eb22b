"""View filters of a phase, on phases whose result is known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reconstruction.field import field_mask
from reconstruction.phase_filters import circular_mean, into_turn, remove_tilt, tilt, unwrap, wrapped_difference

N = 96
Y, X = np.indices((N, N))
MASK = field_mask(N, 0.9)
HILL = (11 * np.exp(-((X - 48) ** 2 + (Y - 44) ** 2) / 900)).astype(np.float32)  # three and a half rings


@pytest.mark.parametrize("low_rad", [0.0, -math.pi])
def test_a_wrapped_hill_is_unwrapped_up_to_whole_turns(low_rad):
    wrapped = into_turn(HILL, low_rad)
    assert np.abs(np.diff(wrapped, axis=1)).max() > 5
    result = unwrap(wrapped, MASK)
    turns = (result - HILL)[MASK] / (2 * math.pi)
    np.testing.assert_allclose(turns, turns[0], atol=1e-5)
    assert turns[0] == pytest.approx(round(turns[0]), abs=1e-5)
    np.testing.assert_array_equal(result[~MASK], wrapped[~MASK])
    assert np.median((result - wrapped)[MASK]) == pytest.approx(0.0, abs=1e-5)


def test_unwrapping_leaves_pixels_that_are_not_numbers_and_a_phase_without_jumps():
    gentle = (HILL / 4).astype(np.float32)
    np.testing.assert_allclose(unwrap(gentle, MASK), gentle, atol=1e-6)
    holed = into_turn(HILL, 0.0)
    holed[40:44, 40:44] = np.nan
    result = unwrap(holed, MASK)
    np.testing.assert_array_equal(np.isnan(result), np.isnan(holed))
    nothing = np.full((8, 8), np.nan, np.float32)
    np.testing.assert_array_equal(unwrap(nothing, np.ones((8, 8), bool)), nothing)


def test_the_tilt_is_that_of_the_plane_and_only_it_is_removed():
    bumps = (0.3 * np.cos(2 * math.pi * X / 8) * np.cos(2 * math.pi * Y / 8)).astype(np.float32)
    tilted = (bumps + 0.05 * X - 0.02 * Y + 1.5).astype(np.float32)
    assert tilt(tilted, MASK) == pytest.approx((0.05, -0.02), abs=2e-4)
    flat = remove_tilt(tilted, MASK)
    assert tilt(flat, MASK) == pytest.approx((0.0, 0.0), abs=1e-6)
    assert flat[MASK].mean() == pytest.approx(tilted[MASK].mean(), abs=1e-4)
    np.testing.assert_allclose((flat - flat[MASK].mean())[MASK], (bumps - bumps[MASK].mean())[MASK], atol=0.02)
    np.testing.assert_array_equal(flat[~MASK], tilted[~MASK])


def test_the_tilt_depends_on_no_pixel_outside_the_disc_and_on_no_nan():
    plane = (0.03 * X + 0.01 * Y).astype(np.float32)
    wild = np.where(MASK, plane, 1e4).astype(np.float32)
    wild[50, 50] = np.nan
    assert tilt(wild, MASK) == pytest.approx((0.03, 0.01), abs=1e-5)
    assert tilt(wild, np.zeros_like(MASK)) == (0.0, 0.0)


def test_the_mean_of_phases_beside_the_jump_lies_at_the_jump():
    two = np.array([[[0.1, 1.0]], [[2 * math.pi - 0.3, 2.0]]])
    mean = circular_mean(two, 0.0)
    np.testing.assert_allclose(mean, [[2 * math.pi - 0.1, 1.5]], atol=1e-6)
    np.testing.assert_allclose(circular_mean(two, -math.pi), [[-0.1, 1.5]], atol=1e-6)


def test_a_difference_of_wrapped_phases_is_the_shortest_angle():
    np.testing.assert_allclose(wrapped_difference(np.array([0.1]), np.array([6.2])), [0.1 - 6.2 + 2 * math.pi], atol=1e-6)
    np.testing.assert_allclose(wrapped_difference(np.array([2.0]), np.array([0.5])), [1.5], atol=1e-6)
