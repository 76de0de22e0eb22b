"""One call gives a row all its scores of texture and of uncertainty; what a method does not give is None."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from reconstruction.evaluation import lpips as lpips_module
from reconstruction.evaluation.intervals import Estimate
from reconstruction.evaluation.lpips import lpips, missing_for_lpips
from reconstruction.evaluation.samples import SAMPLES, SampledImage
from reconstruction.evaluation.texture_scores import ScoredImages, texture_scores
from reconstruction.field import field_mask

MASK = field_mask(64, 0.95)
COVERAGES = [f"coverage_{level}{suffix}" for level in (90, 50) for suffix in ("", "_widened", "_centred", "_centred_widened")]


@pytest.fixture
def truths(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.uniform(0, 2.85, MASK.shape).astype(np.float32) for _ in range(3)]


@pytest.fixture
def without_lpips(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))


@pytest.mark.usefixtures("without_lpips")
def test_a_perfect_method_without_uncertainty(truths: list[np.ndarray]) -> None:
    scores = texture_scores(ScoredImages(phases_rad=truths, truths_rad=truths), MASK, 2.85)
    assert (scores["spectrum_error"], scores["perceptual"], scores["crps"], scores["crps_of"]) == (0, 0, 0, "one image")
    assert all(scores[key] is None for key in ("lpips", "widening", *COVERAGES))
    assert scores["sampled_images"] == 0
    json.dumps(scores)


@pytest.mark.usefixtures("without_lpips")
def test_the_crps_is_that_of_the_samples_before_that_of_a_standard_deviation(
    truths: list[np.ndarray], rng: np.random.Generator
) -> None:
    phases = [truth + rng.normal(0, 0.2, truth.shape).astype(np.float32) for truth in truths]
    deviation = np.full(MASK.shape, 0.4, np.float32)
    estimates = [Estimate(phase, deviation, truth) for phase, truth in zip(phases, truths, strict=True)]
    normal = texture_scores(ScoredImages(phases_rad=phases, truths_rad=truths, estimates=estimates, std_scale=0.5), MASK, 2.85)
    assert normal["crps_of"] == "normal distribution"
    assert normal["crps"] == pytest.approx(0.2 / np.sqrt(np.pi), rel=0.03)
    samples = [
        SampledImage(phase + rng.normal(0, 0.2, (SAMPLES, *MASK.shape)).astype(np.float32), truth)
        for phase, truth in zip(phases[:2], truths, strict=False)
    ]
    images = ScoredImages(phases_rad=phases, truths_rad=truths, samples=samples, estimates=estimates, widening=1.5)
    scores = texture_scores(images, MASK, 2.85)
    assert scores["crps_of"] == "samples"
    assert scores["sampled_images"] == 2
    assert scores["widening"] == 1.5
    assert scores["coverage_90"] == pytest.approx(0.9, abs=0.02)
    assert scores["coverage_50_centred"] == pytest.approx(0.5, abs=0.02)
    assert scores["coverage_90_widened"] > 0.96  # type: ignore[operator]
    json.dumps(scores)


def test_lpips_says_what_is_missing_and_never_downloads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, truths: list[np.ndarray]
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(lpips_module.importlib.util, "find_spec", lambda name: None)
    assert missing_for_lpips() == "LPIPS is not measured: the package torchvision is not installed"
    monkeypatch.setattr(lpips_module.importlib.util, "find_spec", lambda name: object())
    assert str(tmp_path / "checkpoints" / "alexnet-owt-7be5be79.pth") in missing_for_lpips()
    with pytest.raises(ValueError, match="not measured"):
        lpips(truths, truths, MASK, 2.85)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "alexnet-owt-7be5be79.pth").touch()
    assert missing_for_lpips() == ""
