"""Scores agree with their definitions and with scikit-image, and see only what the fibre sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from reconstruction.field import field_mask
from reconstruction.metrics import mean_scores, pearson, score, ssim_map

RANGE = 2.85


def images(rng: np.random.Generator, noise: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    truth = np.clip(np.add.outer(np.linspace(0, 2, 64), np.sin(np.linspace(0, 9, 64)) / 3), 0, RANGE).astype(np.float32)
    return (truth + noise * rng.standard_normal(truth.shape)).astype(np.float32), truth


def test_psnr_and_errors_match_scikit_image_over_the_whole_square(rng: np.random.Generator) -> None:
    phase, truth = images(rng)
    result = score(phase, truth, np.ones_like(truth, bool), RANGE)
    assert result.psnr_db == pytest.approx(peak_signal_noise_ratio(truth, phase, data_range=RANGE), abs=1e-4)
    assert result.mae_rad == pytest.approx(np.abs(phase - truth).mean(), rel=1e-5)
    assert result.mae_rad**2 + result.prstd_rad**2 == pytest.approx(np.mean((phase - truth) ** 2), rel=1e-4)
    assert result.correlation == pytest.approx(np.corrcoef(phase.ravel(), truth.ravel())[0, 1], abs=1e-5)


def test_ssim_matches_scikit_image_away_from_the_rim(rng: np.random.Generator) -> None:
    phase, truth = images(rng)
    _, theirs = structural_similarity(
        truth, phase, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=RANGE, full=True
    )
    ours = ssim_map(*(torch.from_numpy(image)[None, None] for image in (phase, truth)), RANGE)[0, 0].numpy()
    assert np.abs(ours - theirs)[8:-8, 8:-8].max() < 1e-3


def test_outside_the_disc_nothing_counts(rng: np.random.Generator) -> None:
    phase, truth = images(rng)
    mask = field_mask(64, 0.8)
    wild = np.where(mask, phase, 1e3 * rng.standard_normal(phase.shape)).astype(np.float32)
    assert score(wild, truth, mask, RANGE) == score(phase, truth, mask, RANGE)


@given(st.floats(-3, 3))
def test_a_global_phase_changes_no_centred_score(offset: float) -> None:
    phase, truth = images(np.random.default_rng(1))
    mask = field_mask(64, 0.9)
    still, moved = score(phase, truth, mask, RANGE), score(phase + np.float32(offset), truth, mask, RANGE)
    for name in ("mae_rad_centred", "psnr_db_centred", "ssim_centred", "correlation"):
        assert getattr(moved, name) == pytest.approx(getattr(still, name), abs=2e-3)


def test_a_perfect_reconstruction_scores_perfectly(rng: np.random.Generator) -> None:
    _, truth = images(rng)
    result = score(truth, truth, field_mask(64, 0.9), RANGE)
    assert (result.mae_rad, result.prstd_rad) == (0, 0)
    assert result.ssim == pytest.approx(1, abs=1e-5)
    assert result.psnr_db == float("inf")


def test_means_are_over_images_not_over_pixels(rng: np.random.Generator) -> None:
    mask = field_mask(64, 0.9)
    each = [score(*images(rng, noise), mask, RANGE) for noise in (0.05, 0.5)]
    assert mean_scores(each).psnr_db == pytest.approx(np.mean([s.psnr_db for s in each]))


def test_what_cannot_be_scored_is_refused(rng: np.random.Generator) -> None:
    phase, truth = images(rng)
    with pytest.raises(ValueError, match="mask is empty"):
        score(phase, truth, np.zeros_like(truth, bool), RANGE)
    with pytest.raises(ValueError, match="shapes differ"):
        score(phase[:32], truth, np.ones_like(truth, bool), RANGE)
    with pytest.raises(ValueError, match="no image"):
        mean_scores([])


def test_correlation_of_a_constant_is_zero() -> None:
    assert pearson(np.ones(9), np.arange(9.0)) == 0.0
