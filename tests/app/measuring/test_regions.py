"""Regions, profiles, alignment numbers and time series agree with numpy on the raw array."""

from __future__ import annotations

import math

import numpy as np
import pytest

from app.measuring.alignment import alignment_numbers
from app.measuring.csv_text import csv_text
from app.measuring.line_profile import line_profile
from app.measuring.region_statistics import region_mean, region_statistics
from app.measuring.shapes import EllipseShape, LineShape, PixelGrid, PointShape, RectangleShape, pixels_in
from app.measuring.time_series import TimeSeries

PITCH_UM = 2.5
COUNTS = np.random.default_rng(5).integers(0, 256, (60, 80)).astype(np.uint8)


def test_a_rectangle_counts_the_pixels_whose_centres_lie_inside():
    numbers = region_statistics(COUNTS, RectangleShape(10.0, 5.0, 25.0, 12.5), PITCH_UM, 255)
    raw = COUNTS[2:7, 4:14]
    assert numbers.pixels == raw.size
    assert numbers.area_um2 == pytest.approx(25.0 * 12.5)
    assert (numbers.mean, numbers.std) == pytest.approx((raw.mean(), raw.std()))
    assert (numbers.low, numbers.high) == (raw.min(), raw.max())
    assert numbers.saturated_fraction == np.mean(raw >= 255)


def test_an_ellipse_counts_the_pixels_whose_centres_lie_inside():
    shape = EllipseShape(20.0, 30.0, 100.0, 60.0)
    y, x = (np.indices(COUNTS.shape) + 0.5) * PITCH_UM
    inside = ((x - 70) / 50) ** 2 + ((y - 60) / 30) ** 2 <= 1
    numbers = region_statistics(COUNTS, shape, PITCH_UM)
    assert numbers.pixels == inside.sum()
    assert numbers.mean == pytest.approx(COUNTS[inside].mean())
    assert numbers.std == pytest.approx(COUNTS[inside].std())
    assert numbers.area_um2 == pytest.approx(math.pi * 50 * 30, rel=0.02)
    assert math.isnan(numbers.saturated_fraction)


@pytest.mark.parametrize(
    "shape", [RectangleShape(3.0, 4.0, 90.0, 70.0), EllipseShape(3.0, 4.0, 90.0, 70.0), PointShape(9.0, 9.0)]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_counts_and_real_numbers_give_the_same_statistics(shape, dtype):
    numbers = region_statistics(COUNTS.astype(dtype), shape, PITCH_UM, 250)
    raw = pixels_in(shape, PixelGrid(60, 80, PITCH_UM)).values(COUNTS).astype(np.float64)
    assert (numbers.mean, numbers.std) == pytest.approx((raw.mean(), raw.std()), rel=1e-12)
    assert (numbers.low, numbers.high, numbers.pixels) == (raw.min(), raw.max(), raw.size)
    assert numbers.saturated_fraction == np.mean(raw >= 250)
    assert region_mean(COUNTS.astype(dtype), shape, PITCH_UM) == pytest.approx(raw.mean(), rel=1e-12)


def test_a_region_is_cut_at_the_rim_and_may_be_empty():
    part = region_statistics(COUNTS, RectangleShape(-50.0, -50.0, 75.0, 60.0), PITCH_UM)
    assert part.pixels == COUNTS[:4, :10].size
    for outside in (RectangleShape(500.0, 0.0, 10.0, 10.0), EllipseShape(-90.0, -90.0, 10.0, 10.0), PointShape(-1.0, 3.0)):
        nothing = region_statistics(COUNTS, outside, PITCH_UM, 255)
        assert nothing.pixels == 0
        assert nothing.area_um2 == 0
        assert math.isnan(nothing.mean)
        assert math.isnan(nothing.saturated_fraction)


def test_values_that_are_not_finite_are_skipped_and_counted():
    phase = np.array([[1.0, np.nan], [3.0, np.inf]], np.float32)
    numbers = region_statistics(phase, RectangleShape(0.0, 0.0, 2.0, 2.0), 1.0)
    assert (numbers.mean, numbers.low, numbers.high, numbers.not_finite, numbers.pixels) == (2.0, 1.0, 3.0, 2, 4)


def test_a_point_is_the_pixel_that_contains_it():
    grid = PixelGrid(60, 80, PITCH_UM)
    assert pixels_in(PointShape(199.9, 149.9), grid).values(COUNTS).tolist() == [COUNTS[59, 79]]
    assert grid.pixel_at(200.1, 10.0) is None
    assert region_statistics(COUNTS, PointShape(51.0, 26.0), PITCH_UM).mean == COUNTS[10, 20]


def test_a_profile_along_a_row_is_the_row():
    y_um = 7.5 * PITCH_UM
    profile = line_profile(COUNTS, LineShape(2.5 * PITCH_UM, y_um, 22.5 * PITCH_UM, y_um), PITCH_UM)
    np.testing.assert_allclose(profile.values, COUNTS[7, 2:23])
    np.testing.assert_allclose(profile.distance_um, np.arange(21) * PITCH_UM)


def test_an_oblique_profile_of_a_plane_is_straight():
    y, x = np.indices((50, 50))
    plane = (2.0 * x + 0.5 * y).astype(np.float32)
    line = LineShape(5.5, 40.5, 35.5, 0.5)
    profile = line_profile(plane, line, 1.0)
    assert profile.distance_um[-1] == pytest.approx(line.length_um) == pytest.approx(50.0)
    expected = np.linspace(2 * 5 + 0.5 * 40, 2 * 35, len(profile.values))
    np.testing.assert_allclose(profile.values, expected, atol=1e-4)


def test_a_profile_is_nothing_outside_the_picture_and_averages_across_its_width():
    profile = line_profile(COUNTS, LineShape(-10.0, 75.0, 20.0, 75.0), PITCH_UM)
    np.testing.assert_array_equal(np.isnan(profile.values), profile.distance_um < 10.0)
    y_um = 7.5 * PITCH_UM
    wide = line_profile(COUNTS, LineShape(2.5 * PITCH_UM, y_um, 9.5 * PITCH_UM, y_um), PITCH_UM, width_px=3)
    np.testing.assert_allclose(wide.values, COUNTS[6:9, 2:10].mean(axis=0))


def test_length_and_angle_of_a_line():
    line = LineShape(10.0, 20.0, 13.0, 16.0)
    assert line.length_um == pytest.approx(5.0)
    assert line.angle_deg == pytest.approx(math.degrees(math.atan2(4, 3)))  # upwards on the picture


@pytest.mark.parametrize(("dtype", "full_scale"), [(np.uint8, 255), (np.uint16, 4095)])
def test_alignment_numbers_follow_their_formulas(dtype, full_scale):
    pixels = np.minimum(np.random.default_rng(2).exponential(full_scale / 3, (90, 70)), full_scale).astype(dtype)
    numbers = alignment_numbers(pixels, full_scale, 12)
    raw = pixels.astype(np.float64)
    squares = np.concatenate([(raw[:, 2:] - raw[:, :-2]).ravel() ** 2, (raw[2:] - raw[:-2]).ravel() ** 2])
    assert numbers.frame_index == 12
    assert numbers.mean == pytest.approx(raw.mean())
    assert numbers.saturated_fraction == np.mean(raw == full_scale)
    assert numbers.contrast == pytest.approx(raw.std() / raw.mean())
    assert numbers.focus == pytest.approx(squares.mean() / raw.mean() ** 2)


def test_focus_does_not_depend_on_the_power_and_falls_with_blur():
    import cv2

    sharp = np.random.default_rng(2).integers(0, 100, (64, 64)).astype(np.uint16)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 2.0)
    focus = alignment_numbers(sharp, 4095, 0).focus
    assert alignment_numbers(sharp * 10, 4095, 0).focus == pytest.approx(focus)
    assert alignment_numbers(blurred, 4095, 0).focus < focus / 5


def test_a_black_picture_has_no_contrast():
    numbers = alignment_numbers(np.zeros((8, 8), np.uint8), 255, 0)
    assert math.isnan(numbers.contrast)
    assert math.isnan(numbers.focus)


def test_a_series_keeps_each_frame_once_and_forgets_the_oldest():
    series = TimeSeries(("mean", "std"), longest=3)
    for k in (1, 2, 2, 3, 5):
        series.add(k, k / 10, 10.0 * k, 0.5)
    np.testing.assert_array_equal(series.column("frame"), [2, 3, 5])
    np.testing.assert_allclose(series.column("time_s"), [0.2, 0.3, 0.5])
    np.testing.assert_array_equal(series.column("mean"), [20, 30, 50])
    with pytest.raises(ValueError, match="2 names"):
        series.add(6, 0.6, 1.0)


def test_csv_has_notes_names_and_all_digits():
    rows = [["Line 1", 3, math.pi, None], ['=1+1, "x"', 4, 2.0, math.nan]]
    text = csv_text(["name", "frame", "mean_rad", "std_rad"], rows, ["phase of\nrun 3"])
    assert text == '# phase of run 3\r\nname,frame,mean_rad,std_rad\r\nLine 1,3,3.141592653589793,\r\n"\'=1+1, ""x""",4,2,\r\n'
    with pytest.raises(ValueError, match="4 columns"):
        csv_text(["a", "b", "c", "d"], [[1, 2]])
