"""Intervals of Gaussian errors have the stated coverage, and one factor corrects wrong intervals."""

from __future__ import annotations

import numpy as np
import pytest

from reconstruction.evaluation.intervals import Estimate, interval_scale, reliability
from reconstruction.field import field_mask

MASK = field_mask(64, 0.9)


def estimates(rng: np.random.Generator, claimed: float = 1.0) -> list[Estimate]:
    """Return images with Gaussian errors, whose stated standard deviation is ``claimed`` times the true one."""
    images = []
    for _ in range(8):
        std = rng.uniform(0.05, 0.5, MASK.shape)
        truth = rng.uniform(0, 2.85, MASK.shape)
        phase = truth + std * rng.standard_normal(MASK.shape)
        arrays = (phase, claimed * std, truth)
        images.append(Estimate(*(np.asarray(each, np.float32) for each in arrays)))
    return images


def test_gaussian_errors_are_covered_at_every_level(rng: np.random.Generator) -> None:
    curve = reliability(estimates(rng), MASK)
    assert curve.observed == pytest.approx(curve.nominal, abs=0.01)
    assert curve.coverage == pytest.approx(0.9, abs=0.01)
    assert curve.width_rad == pytest.approx(2 * 1.645 * 0.275, rel=0.01)


def test_standard_deviations_that_are_too_small_cover_too_little(rng: np.random.Generator) -> None:
    assert reliability(estimates(rng, 0.5), MASK).coverage == pytest.approx(0.589, abs=0.01)
    assert reliability(estimates(rng, 2), MASK).coverage > 0.99


@pytest.mark.parametrize("claimed", [0.4, 3.0])
def test_the_scale_of_other_images_corrects_the_coverage(claimed: float, rng: np.random.Generator) -> None:
    scale = interval_scale(estimates(rng, claimed), MASK)
    assert scale == pytest.approx(1 / claimed, rel=0.03)
    assert reliability(estimates(rng, claimed), MASK, scale).coverage == pytest.approx(0.9, abs=0.01)


def test_outside_the_disc_nothing_counts(rng: np.random.Generator) -> None:
    images = estimates(rng)
    wild = [Estimate(np.where(MASK, e.phase_rad, 1e6).astype(np.float32), e.std_rad, e.truth_rad) for e in images]
    assert reliability(wild, MASK) == reliability(images, MASK)


def test_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match="no image"):
        reliability([], MASK)
