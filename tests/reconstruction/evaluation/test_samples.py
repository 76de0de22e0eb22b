"""The CRPS follows its closed forms; exchangeable samples cover 90 and 50 %, and one factor corrects samples too alike."""

from __future__ import annotations

import numpy as np
import pytest

from reconstruction.evaluation.intervals import Estimate
from reconstruction.evaluation.samples import SAMPLES, SampledImage, coverage, crps, gaussian_crps, widening_factor
from reconstruction.field import field_mask

MASK = field_mask(64, 0.95)


def sampled(rng: np.random.Generator, images: int = 6, factor: float = 1.0) -> list[SampledImage]:
    """Return images whose truth and samples have one distribution, but the samples ``factor`` times the true deviation."""
    result = []
    for _ in range(images):
        mean, std = rng.uniform(0.5, 2.3, MASK.shape), rng.uniform(0.05, 0.4, MASK.shape)
        truth = mean + std * rng.standard_normal(MASK.shape)
        samples = mean + factor * std * rng.standard_normal((SAMPLES, *MASK.shape))
        result.append(SampledImage(samples.astype(np.float32), truth.astype(np.float32)))
    return result


def test_one_sample_gives_the_absolute_error(rng: np.random.Generator) -> None:
    sample, truth = rng.standard_normal((2, 8, 8))
    assert crps(sample[None], truth) == pytest.approx(np.abs(sample - truth))


def test_two_samples_by_hand() -> None:
    # |1 - 2| and |5 - 2| have the mean 2; the two samples are 4 apart, of which half counts.
    assert crps(np.array([[1.0], [5.0]]), np.array([2.0])) == pytest.approx([0.0])
    assert crps(np.array([[1.0], [5.0], [6.0]]), np.array([2.0])) == pytest.approx([8 / 3 - (4 + 5 + 1) / 6])


@pytest.mark.parametrize("count", [2, SAMPLES])
def test_samples_of_a_normal_distribution_reach_the_closed_form_on_average(count: int, rng: np.random.Generator) -> None:
    pixels, std = 60_000, 0.3
    samples, truth = std * rng.standard_normal((count, pixels)), np.full(pixels, 0.2)
    zeros = np.zeros(1, np.float32)
    exact = gaussian_crps(Estimate(zeros, zeros + np.float32(std), truth[:1].astype(np.float32)))[0]
    assert crps(samples, truth).mean() == pytest.approx(exact, rel=0.02)


def test_calibrated_samples_are_better_than_their_mean_alone(rng: np.random.Generator) -> None:
    samples, truth = 0.3 * rng.standard_normal((SAMPLES, 60_000)), 0.3 * rng.standard_normal(60_000)
    score = crps(samples, truth).mean()
    assert score == pytest.approx(0.3 / np.sqrt(np.pi), rel=0.02), "the expected CRPS of the true normal distribution"
    assert score < np.abs(samples.mean(0) - truth).mean()
    assert score < crps(0.3 * samples, truth).mean(), "samples that are too alike are worse"
    assert score < crps(3 * samples, truth).mean(), "samples that differ too much are worse"


def test_a_normal_distribution_of_almost_no_width_gives_the_absolute_error(rng: np.random.Generator) -> None:
    phase, truth = rng.standard_normal((2, 8, 8)).astype(np.float32)
    narrow = gaussian_crps(Estimate(phase, np.full_like(phase, 0.5), truth), scale=1e-6)
    assert narrow == pytest.approx(np.abs(phase - truth), abs=1e-5)


def test_exchangeable_samples_cover_90_and_50_percent_with_means_and_without(rng: np.random.Generator) -> None:
    images = sampled(rng)
    for each in (images, [image.centred(MASK) for image in images]):
        reached = coverage(each, MASK)
        assert reached.of_90 == pytest.approx(0.9, abs=0.01)
        assert reached.of_50 == pytest.approx(0.5, abs=0.01)


def test_without_means_a_wrong_piston_does_not_count(rng: np.random.Generator) -> None:
    images = [SampledImage(image.samples_rad + np.float32(0.8), image.truth_rad) for image in sampled(rng)]
    assert coverage(images, MASK).of_90 < 0.3
    assert coverage([image.centred(MASK) for image in images], MASK).of_90 == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("factor", [0.3, 1.0, 2.5])
def test_the_widening_factor_of_other_images_corrects_both_coverages(factor: float, rng: np.random.Generator) -> None:
    widening = widening_factor(sampled(rng, factor=factor), MASK)
    others = sampled(rng, factor=factor)
    reached = coverage(others, MASK, widening)
    assert reached.of_90 == pytest.approx(0.9, abs=0.03)
    assert reached.of_50 == pytest.approx(0.5, abs=0.03)
    if factor == 1:
        assert widening == pytest.approx(1, abs=0.02)
    else:
        assert abs(coverage(others, MASK).of_90 - 0.9) > 0.05, "as sampled, they do not cover"


def test_outside_the_disc_nothing_counts(rng: np.random.Generator) -> None:
    images = sampled(rng, 2)
    wild = [SampledImage(image.samples_rad, np.where(MASK, image.truth_rad, 1e6)) for image in images]
    assert coverage(wild, MASK) == coverage(images, MASK)


def test_too_few_samples_are_refused(rng: np.random.Generator) -> None:
    (image,) = sampled(rng, 1)
    with pytest.raises(ValueError, match="needs 19 samples, got 8"):
        coverage([SampledImage(image.samples_rad[:8], image.truth_rad)], MASK)
    with pytest.raises(ValueError, match="no image"):
        widening_factor([], MASK)
    with pytest.raises(ValueError, match="CRPS needs samples"):
        crps(image.samples_rad[:0], image.truth_rad)
