"""The default segmentation finds objects, separates touching ones, and finds nothing on empty fields."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from acquisition.patterns.tissue.scene import tissue_scene
from reconstruction.field import field_mask
from reconstruction.segmentation.base import SegmentationError
from reconstruction.segmentation.config import SegmentationConfig
from reconstruction.segmentation.scores import ap50, iou_foreground
from reconstruction.segmentation.threshold_watershed import ThresholdSettings, ThresholdWatershed, segment

MASK = field_mask(128, 0.95)


def discs(*centres: tuple[float, float], radius: float = 10) -> np.ndarray:
    y, x = np.mgrid[:128, :128]
    image = np.zeros((128, 128), np.float32)
    for cy, cx in centres:
        image = np.maximum(image, np.clip(1 - ((y - cy) ** 2 + (x - cx) ** 2) / radius**2, 0, None) ** 0.5)
    return (2 * image).astype(np.float32)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_separate_cells_are_counted(count: int) -> None:
    centres = [(40.0, 40.0), (40.0, 88.0), (88.0, 40.0), (88.0, 88.0)][:count]
    labels = segment(discs(*centres), MASK)
    assert labels.max() == count
    assert [labels[int(y), int(x)] > 0 for y, x in centres] == [True] * count


def test_touching_cells_are_separated() -> None:
    labels = segment(discs((64, 54), (64, 72), radius=10), MASK)
    assert labels.max() == 2
    assert labels[64, 54] != labels[64, 72]


def test_the_foreground_is_where_the_phase_is() -> None:
    phase = discs((64, 64), radius=20)
    truth = (phase > 1).astype(np.uint16)
    assert iou_foreground(segment(phase, MASK), truth) > 0.8


def test_an_empty_field_has_no_objects() -> None:
    assert segment(np.full((128, 128), 0.3, np.float32), MASK).max() == 0


def test_objects_outside_the_disc_do_not_exist() -> None:
    assert segment(discs((2, 2)) + discs((64, 64)), MASK).max() == 1


def test_labels_are_numbered_without_gaps(rng: np.random.Generator) -> None:
    labels = segment(discs(*rng.uniform(20, 108, (9, 2)).tolist(), radius=7), MASK)
    assert set(np.unique(labels)) == set(range(labels.max() + 1))


@pytest.mark.parametrize("grain_px", [0, 1, 3, 6])
@pytest.mark.parametrize("noise_rad", [0.005, 0.05, 0.22])
def test_a_field_of_nothing_but_noise_has_no_objects(grain_px: float, noise_rad: float, rng: np.random.Generator) -> None:
    for _ in range(5):
        noise = rng.standard_normal((128, 128)).astype(np.float32)
        if grain_px:
            noise = cv2.GaussianBlur(noise, (0, 0), grain_px)
        flat = np.float32(1.2) + noise * np.float32(noise_rad / noise.std())
        assert segment(flat, MASK).max() == 0


@pytest.mark.parametrize("value", [0.0, 1.2, np.nan, np.inf])
def test_a_uniform_picture_has_no_objects(value: float) -> None:
    assert segment(np.full((128, 128), value, np.float32), MASK).max() == 0


@pytest.mark.parametrize("peak_to_valley_rad", [0.05, 0.15])
def test_a_weak_tilt_of_the_field_is_no_object(peak_to_valley_rad: float) -> None:
    tilt = np.linspace(0, peak_to_valley_rad, 128, dtype=np.float32)[:, None] + np.zeros((128, 128), np.float32)
    assert segment(tilt, MASK).max() == 0


@pytest.mark.parametrize("noise_rad", [0.03, 0.1])
def test_cells_are_found_in_noise(noise_rad: float, rng: np.random.Generator) -> None:
    noise = cv2.GaussianBlur(rng.standard_normal((128, 128)).astype(np.float32), (0, 0), 1.5)
    phase = discs((40, 40), (88, 80)) + noise * np.float32(noise_rad / noise.std())
    assert segment(phase, MASK).max() == 2


def test_what_a_model_knows_about_its_noise_decides(rng: np.random.Generator) -> None:
    """A contrast of 0.3 rad is an object for a model with 0.02 rad of noise, and none for one with 0.1 rad."""
    phase = (discs((64, 64), radius=30) > 0.1) * np.float32(0.3) + rng.normal(0, 0.01, (128, 128)).astype(np.float32)
    assert segment(phase, MASK, np.full_like(phase, 0.02)).max() == 1
    assert segment(phase, MASK, np.full_like(phase, 0.1)).max() == 0
    assert segment(phase, MASK).max() == 1, "the picture itself shows that its noise is low"


def test_a_weak_object_beside_strong_ones_is_left_out() -> None:
    phase = discs((40, 40), (88, 80))
    phase[60:70, 20:30] = 0.9
    weak = discs((40, 40), (88, 80))
    weak[60:70, 20:30] = 0.15
    assert segment(phase, MASK).max() == 3
    assert segment(weak, MASK).max() == 2


def test_scores_rise_with_contrast_over_noise(rng: np.random.Generator) -> None:
    noise = cv2.GaussianBlur(rng.standard_normal((128, 128)).astype(np.float32), (0, 0), 1.0)
    phase = discs((40, 40), radius=12) + 0.6 * discs((88, 80), radius=12) + noise * np.float32(0.04 / noise.std())
    result = ThresholdWatershed().segment(phase, MASK)
    assert result.count == 2
    strong, weak = (float(result.scores[result.labels[y, x] - 1]) for y, x in ((40, 40), (88, 80)))
    assert 0.5 < weak < strong < 1
    less_sure = ThresholdWatershed().segment(phase, MASK, np.full_like(phase, 0.09))
    assert less_sure.count == 2
    assert (less_sure.scores < result.scores).all(), "the model states more noise than the picture shows"


def test_a_threshold_in_radians_is_that_above_the_background() -> None:
    """The dome is 2 rad high, so the area above a threshold is known; the phase of the background does not matter."""
    phase = discs((64, 64), radius=20) + np.float32(5.0)
    areas = []
    for threshold_rad in (0.5, 1.0, 1.5):
        labels = ThresholdWatershed(ThresholdSettings(threshold_rad=threshold_rad)).segment(phase, MASK).labels
        areas.append(np.count_nonzero(labels))
        assert areas[-1] == pytest.approx(np.pi * 400 * (1 - (threshold_rad / 2) ** 2), rel=0.06)
    assert areas == sorted(areas, reverse=True)
    assert ThresholdWatershed(ThresholdSettings(threshold_rad=2.5)).segment(phase, MASK).count == 0


def test_smaller_objects_are_removed() -> None:
    phase = discs((40, 40), radius=14) + discs((88, 80), radius=5)
    assert ThresholdWatershed(ThresholdSettings(min_area_px=12)).segment(phase, MASK).count == 2
    assert ThresholdWatershed(ThresholdSettings(min_area_px=120)).segment(phase, MASK).count == 1


def test_a_larger_separation_joins() -> None:
    phase = np.maximum(discs((64, 57), radius=8), discs((64, 70), radius=7))
    assert ThresholdWatershed(ThresholdSettings(separation_px=5)).segment(phase, MASK).count == 2
    assert ThresholdWatershed(ThresholdSettings(separation_px=61)).segment(phase, MASK).count == 1


def test_touching_cells_of_tissue_are_separated() -> None:
    """Most of the cells of synthetic tissue are right on the true phase, at an intersection over union of 0.5."""
    scores = []
    for index in range(2):
        scene = tissue_scene(128, 17, index)
        mask = np.ones(scene.labels.shape, np.bool_)
        scores.append(ap50(segment(scene.grey * np.float32(2.85), mask), scene.labels))
    assert np.mean(scores) > 0.75


def test_settings_say_all_that_labels_depend_on() -> None:
    chosen = ThresholdWatershed.of(SegmentationConfig(threshold=0.4, min_area_px=30))
    assert chosen.settings() == {
        "segmenter": "threshold",
        "threshold_rad": 0.4,
        "noise_factor": 4.0,
        "min_area_px": 30,
        "separation_px": 5,
    }
    assert "threshold_rad" not in ThresholdWatershed.of(SegmentationConfig()).settings()


@pytest.mark.parametrize("setting", [{"threshold_rad": 0.0}, {"noise_factor": 0.0}, {"min_area_px": 0}, {"separation_px": 1}])
def test_impossible_settings_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(SegmentationError, match="choose a larger one"):
        ThresholdWatershed(ThresholdSettings(**setting))  # type: ignore[arg-type]
