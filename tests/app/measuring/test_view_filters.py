"""The filters of a picture on the screen: what they do, and that they say so."""

from __future__ import annotations

import math

import numpy as np
import pytest

from app.measuring.view_filters import FilterSettings, Quantity, ViewFilters
from reconstruction.field import field_mask
from reconstruction.phase_filters import circular_mean, into_turn, remove_tilt, unwrap

MASK = field_mask(48, 0.95)
Y, X = np.indices((48, 48))
COUNTS = Quantity()
WRAPPED = Quantity(is_phase=True, wrapped_from_rad=0.0)


def noisy(k, shape=(48, 48)):
    return np.random.default_rng(k).integers(0, 255, shape).astype(np.uint8)


def test_without_filters_the_picture_itself_is_shown():
    filters = ViewFilters(COUNTS)
    picture = noisy(0)
    assert filters.apply(picture, MASK) is picture
    assert filters.active == ()


def test_the_average_is_that_of_the_last_frames():
    filters = ViewFilters(COUNTS)
    filters.set_settings(FilterSettings(averaged_frames=3))
    for k in range(5):
        result = filters.apply(noisy(k), MASK)
        assert filters.active == (f"mean of {min(k + 1, 3)} of 3 frames",)
    np.testing.assert_allclose(result, np.mean([noisy(k) for k in (2, 3, 4)], axis=0), atol=1e-5)


def test_a_frame_without_numbers_does_not_spoil_the_average():
    filters = ViewFilters(COUNTS)
    filters.set_settings(FilterSettings(averaged_frames=4))
    good = noisy(1).astype(np.float32)
    filters.apply(good, MASK)
    np.testing.assert_array_equal(filters.apply(np.full((48, 48), np.nan, np.float32), MASK), good)


@pytest.mark.parametrize("quantity", [Quantity(is_phase=True), WRAPPED])
def test_pixels_outside_the_disc_do_not_keep_a_phase_from_being_averaged(quantity):
    filters = ViewFilters(quantity)
    filters.set_settings(FilterSettings(averaged_frames=2))
    mask = field_mask(48, 0.6)
    for k in (1, 2):
        result = filters.apply(np.where(mask, noisy(k) / 100, np.nan).astype(np.float32), mask)
    assert filters.active == ("mean of 2 of 2 frames",)
    np.testing.assert_array_equal(np.isnan(result), ~mask)
    np.testing.assert_allclose(result[mask], ((noisy(1) / 100 + noisy(2) / 100) / 2)[mask], atol=1e-5)


def test_a_long_average_of_full_counts_is_exact():
    filters = ViewFilters(COUNTS)
    filters.set_settings(FilterSettings(averaged_frames=256))
    full = np.full((4, 4), 65535, np.uint16)
    for _ in range(300):
        result = filters.apply(full, np.ones((4, 4), bool))
    np.testing.assert_array_equal(result, 65535.0)


def test_a_frame_of_another_shape_starts_the_average_again():
    filters = ViewFilters(COUNTS)
    filters.set_settings(FilterSettings(averaged_frames=4))
    filters.apply(noisy(1), MASK)
    other = noisy(2, (24, 24))
    np.testing.assert_array_equal(filters.apply(other, field_mask(24, 0.9)), other)


def test_wrapped_phases_are_averaged_as_angles():
    filters = ViewFilters(WRAPPED)
    filters.set_settings(FilterSettings(averaged_frames=2))
    phases = [into_turn(0.2 * X + shift, 0.0) for shift in (0.0, 0.5)]
    for phase in phases:
        result = filters.apply(phase, MASK)
    np.testing.assert_allclose(np.exp(1j * result), np.exp(1j * circular_mean(np.array(phases), 0.0)), atol=1e-5)
    assert result.min() >= 0
    assert result.max() <= 2 * math.pi + 1e-6


def test_a_background_is_subtracted_once_it_is_stored():
    filters = ViewFilters(COUNTS)
    filters.set_settings(FilterSettings(subtract_background=True))
    assert filters.active == ()
    filters.set_background(noisy(3))
    np.testing.assert_array_equal(filters.apply(noisy(4), MASK), noisy(4).astype(np.float32) - noisy(3))
    assert filters.active == ("minus background",)
    filters.apply(noisy(4, (24, 24)), field_mask(24, 0.9))
    assert filters.background is None
    assert filters.active == ()


def test_a_background_of_a_wrapped_phase_is_subtracted_as_an_angle():
    filters = ViewFilters(WRAPPED)
    filters.set_settings(FilterSettings(subtract_background=True))
    filters.set_background(into_turn(0.3 * Y, 0.0))
    result = filters.apply(into_turn(0.3 * Y + 1.0, 0.0), MASK)
    np.testing.assert_allclose(result, 1.0, atol=1e-4)


def test_tilt_is_removed_after_unwrapping():
    filters = ViewFilters(WRAPPED)
    filters.set_settings(FilterSettings(unwrap=True, remove_tilt=True))
    phase = into_turn(0.4 * X + 0.1 * Y + 0.5 * np.cos(X / 3), 0.0)
    np.testing.assert_array_equal(filters.apply(phase, MASK), remove_tilt(unwrap(phase, MASK), MASK))
    assert np.ptp(filters.apply(phase, MASK)[MASK]) < 1.5
    assert filters.active == ("unwrapped", "tilt removed")


def test_counts_are_neither_unwrapped_nor_tilted():
    filters = ViewFilters(COUNTS)
    filters.set_settings(FilterSettings(unwrap=True, remove_tilt=True))
    assert filters.active == ()
    np.testing.assert_array_equal(filters.apply(noisy(1), MASK), noisy(1))


@pytest.mark.parametrize("number", [0, 257])
def test_an_average_has_a_range(number):
    with pytest.raises(ValueError, match=r"1 \.\. 256"):
        FilterSettings(averaged_frames=number)
