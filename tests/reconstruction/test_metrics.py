"""Scores agree with their definitions and with scikit-image, and depend only on pixels in the fibre's disc."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure, structural_similarity_index_measure

from reconstruction.field import field_mask
from reconstruction.metrics import Scores, contrast_structure, mean_scores, ms_ssim, pearson, score, ssim_map

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


@cache
def scored_with(offset: float) -> Scores:
    phase, truth = images(np.random.default_rng(1))
    return score(phase + np.float32(offset), truth, field_mask(64, 0.9), RANGE)


@given(st.floats(-3, 3))
def test_a_global_phase_changes_no_centred_score(offset: float) -> None:
    for name in ("mae_rad_centred", "psnr_db_centred", "ssim_centred", "correlation"):
        assert getattr(scored_with(offset), name) == pytest.approx(getattr(scored_with(0.0), name), abs=2e-3)


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


def test_squared_error_is_mean_and_standard_deviation_of_the_absolute_error(rng: np.random.Generator) -> None:
    phase, truth = images(rng)
    mask = field_mask(64, 0.9)
    result = score(phase, truth, mask, RANGE)
    mse = np.mean((phase - truth)[mask].astype(np.float64) ** 2)
    assert result.mae_rad**2 + result.prstd_rad**2 == pytest.approx(mse, rel=1e-9)
    assert result.nrmse == pytest.approx(np.sqrt(mse) / np.ptp(truth[mask]), rel=1e-6)


def textures(rng: np.random.Generator, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a mixture with a tenth of other structure, and structure on every scale."""
    spectrum = 1 / np.maximum(np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)), 1 / side)
    truth, other = (np.fft.ifft2(np.fft.fft2(rng.standard_normal((side, side))) * spectrum).real for _ in range(2))
    truth, other = (1.4 + 0.5 * (image - image.mean()) / image.std() for image in (truth, other))
    return (0.9 * truth + 0.1 * other).astype(np.float32), truth.astype(np.float32)


def test_contrast_and_structure_are_those_of_torchmetrics(rng: np.random.Generator) -> None:
    phase, truth = (torch.from_numpy(image)[None, None] for image in textures(rng, 64))
    _, theirs = structural_similarity_index_measure(phase, truth, data_range=RANGE, return_contrast_sensitivity=True)
    ours = contrast_structure(phase, truth, RANGE)[..., 5:-5, 5:-5].mean()  # theirs leaves the rim out
    assert float(ours) == pytest.approx(float(theirs), abs=1e-5)


def test_multi_scale_ssim_is_that_of_torchmetrics_but_for_the_rim(rng: np.random.Generator) -> None:
    phase, truth = textures(rng, 512)
    tensors = [torch.from_numpy(image)[None, None] for image in (phase, truth)]
    theirs = multiscale_structural_similarity_index_measure(*tensors, data_range=RANGE, betas=(1.0,) * 5, normalize="relu")
    assert 0.5 < float(theirs) < 0.95
    assert ms_ssim(phase, truth, np.ones_like(truth, bool), RANGE) == pytest.approx(float(theirs), abs=0.01)


@pytest.mark.parametrize("side", [16, 32, 128])
def test_multi_scale_ssim_of_equal_images_is_one_and_falls_with_noise(side: int, rng: np.random.Generator) -> None:
    phase, truth = textures(rng, side)
    mask = field_mask(side, 0.97)
    assert ms_ssim(truth, truth, mask, RANGE) == pytest.approx(1, abs=1e-5)
    values = [ms_ssim((truth + share * (phase - truth)).astype(np.float32), truth, mask, RANGE) for share in (1, 5, 30)]
    assert 1 > values[0] > values[1] > values[2] >= 0
    assert ms_ssim(-truth, truth, mask, RANGE) == 0.0
