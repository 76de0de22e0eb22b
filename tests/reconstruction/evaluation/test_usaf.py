"""Resolution of charts that are blurred by a known amount is what theory says; noise resolves nothing."""

from __future__ import annotations

from itertools import pairwise
from statistics import NormalDist

import cv2
import numpy as np
import pytest

from reconstruction.evaluation.usaf import RAYLEIGH_DIP, charts, resolution, wide_charts
from reconstruction.field import field_mask, to_grid

FRAME_PX, PHASE_RANGE_RAD = 512, 2.85
CHARTS = charts(FRAME_PX, 0.97, PHASE_RANGE_RAD)


def blurred(sigma_px: float, grid_px: int = FRAME_PX) -> list[np.ndarray]:
    images = [cv2.GaussianBlur(chart.phase_rad, (0, 0), sigma_px) for chart in CHARTS]
    return [to_grid(image, grid_px) for image in images]


def ideal_dip(bar_px: float, sigma_px: float) -> float:
    """Return the dip of three long bars under a Gaussian blur, from the middles of bars and spaces."""
    step = NormalDist(0, sigma_px / bar_px).cdf

    def level(x: np.ndarray) -> float:
        return float(np.mean([sum(step(v - 2 * k) - step(v - 2 * k - 1) for k in range(3)) for v in x]))

    middle = np.linspace(-0.25, 0.25, 21)
    bar, space, dark = level(0.5 + middle), level(1.5 + middle), level(-0.5 + middle)
    return (bar - space) / (bar - dark)


@pytest.mark.parametrize("sigma_px", [2.5, 4.0, 6.0])
def test_a_blurred_chart_resolves_what_theory_says(sigma_px: float) -> None:
    result = resolution(blurred(sigma_px), CHARTS, PHASE_RANGE_RAD)
    expected = min(width for width in result.dips if ideal_dip(width, sigma_px) >= RAYLEIGH_DIP)
    assert result.bar_px is not None
    # The tolerance is one element of the chart, because ideal bars have no ends and no pixels.
    assert expected / 2 ** (1 / 6) * 0.99 <= result.bar_px <= expected * 2 ** (1 / 6) * 1.01


def test_a_perfect_chart_is_resolved_down_to_the_cells_of_the_grid() -> None:
    result = resolution([to_grid(chart.phase_rad, 128) for chart in CHARTS], CHARTS, PHASE_RANGE_RAD)
    assert min(result.dips) >= 4
    assert result.bar_px is not None
    assert result.bar_px < 6
    sharp = resolution([chart.phase_rad for chart in CHARTS], CHARTS, PHASE_RANGE_RAD)
    assert all(dip > 0.9 for width, dip in sharp.dips.items() if width > 3)


def test_level_and_scale_of_the_phase_do_not_matter() -> None:
    still = resolution(blurred(4), CHARTS, PHASE_RANGE_RAD)
    moved = resolution([0.6 * image + 1 for image in blurred(4)], CHARTS, PHASE_RANGE_RAD)
    assert moved.bar_px == still.bar_px


def test_noise_flat_images_and_inverted_charts_resolve_nothing(rng: np.random.Generator) -> None:
    for images in (
        [rng.normal(0, PHASE_RANGE_RAD, (128, 128)).astype(np.float32) for _ in CHARTS],
        [np.full((128, 128), 1, np.float32) for _ in CHARTS],
        [-image for image in blurred(3)],
        blurred(40),
    ):
        assert resolution(images, CHARTS, PHASE_RANGE_RAD).bar_px is None


def test_a_gap_among_wider_bars_ends_the_count() -> None:
    images = blurred(2)
    removed = sorted({round(e.bar_px, 2) for chart in CHARTS for e in chart.elements})[-3]
    for image, chart in zip(images, CHARTS, strict=True):
        for element in chart.elements:
            if round(element.bar_px, 2) == removed:
                for top, left, bottom, right in element.bars:
                    image[round(top) - 2 : round(bottom) + 2, round(left) - 2 : round(right) + 2] = 0
    result = resolution(images, CHARTS, PHASE_RANGE_RAD)
    assert result.bar_px is not None
    assert result.bar_px > removed


def test_bars_lie_where_the_elements_are() -> None:
    for chart in CHARTS:
        assert chart.elements
        for element in chart.elements:
            for top, left, bottom, right in element.bars:
                middle = chart.phase_rad[round((top + bottom) / 2 - 0.5), round((left + right) / 2 - 0.5)]
                assert middle == pytest.approx(PHASE_RANGE_RAD) or element.bar_px < 2


def test_every_width_from_the_widest_down_is_shown() -> None:
    widths = sorted({round(element.bar_px, 2) for chart in CHARTS for element in chart.elements}, reverse=True)
    assert widths[0] > 24
    assert all(b / a == pytest.approx(2 ** (-1 / 6), rel=0.01) for a, b in pairwise(widths) if b > 2)


def test_elements_outside_the_disc_are_left_out() -> None:
    narrow = charts(FRAME_PX, 0.5, PHASE_RANGE_RAD, 1)[-1]
    assert 0 < len(narrow.elements) < len(CHARTS[3].elements)
    for element in narrow.elements:
        corners = np.array([[top, left] for top, left, _, _ in element.bars])
        assert np.hypot(*(corners - 256).T).max() <= 128


def test_the_contrast_of_a_group_is_that_of_the_displayed_phase() -> None:
    sharp = resolution([chart.phase_rad for chart in CHARTS], CHARTS, PHASE_RANGE_RAD).contrast_by_group()
    widths = list(sharp)
    assert all(b == pytest.approx(a / 2) for a, b in pairwise(widths))
    assert all(contrast > 0.9 for width, contrast in sharp.items() if width > 6)
    weak = resolution([0.6 * chart.phase_rad for chart in CHARTS], CHARTS, PHASE_RANGE_RAD).contrast_by_group()
    assert list(weak.values()) == pytest.approx([0.6 * contrast for contrast in sharp.values()])
    soft = resolution(blurred(4), CHARTS, PHASE_RANGE_RAD).contrast_by_group()
    assert all(a > b for a, b in pairwise(list(soft.values())[:3]))
    assert 0 < soft[widths[0]] < sharp[widths[0]]


@pytest.mark.parametrize("frame_px", [64, 128])
def test_wide_charts_begin_at_a_sixth_of_the_disc_and_end_where_the_usual_ones_begin(frame_px: int) -> None:
    wide, usual = wide_charts(frame_px, 0.97, PHASE_RANGE_RAD), charts(frame_px, 0.97, PHASE_RANGE_RAD, 1)
    widths = sorted({element.bar_px for chart in wide for element in chart.elements}, reverse=True)
    assert widths[0] == pytest.approx(0.97 * frame_px / 6)
    usual_px = max(element.bar_px for chart in usual for element in chart.elements)
    assert usual_px < widths[-1] < 1.5 * usual_px
    mask = field_mask(frame_px, 0.97)
    assert all(not chart.phase_rad[~mask].any() for chart in wide)


@pytest.mark.parametrize(("sigma_px", "resolved"), [(0.5, True), (2.0, True), (6.5, False)])
def test_wide_bars_are_resolved_unless_they_are_blurred_away(sigma_px: float, *, resolved: bool) -> None:
    shown = wide_charts(64, 0.97, PHASE_RANGE_RAD)
    images = [to_grid(cv2.GaussianBlur(chart.phase_rad, (0, 0), sigma_px), 32) for chart in shown]
    # What a method gives outside the disc does not count.
    mask = field_mask(32, 0.97)
    images = [np.where(mask, image, np.float32(3)) for image in images]
    result = resolution(images, shown, PHASE_RANGE_RAD)
    assert (result.bar_px is not None) == resolved


def test_bars_of_one_direction_alone_are_not_resolved() -> None:
    shown = wide_charts(64, 0.97, PHASE_RANGE_RAD)
    images = [chart.phase_rad if number % 2 else 0 * chart.phase_rad for number, chart in enumerate(shown)]
    assert resolution(images, shown, PHASE_RANGE_RAD).bar_px is None
