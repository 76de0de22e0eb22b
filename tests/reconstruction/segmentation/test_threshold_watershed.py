"""The default segmentation finds objects, separates touching ones, and finds nothing on empty fields."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from reconstruction.field import field_mask
from reconstruction.segmentation.threshold_watershed import iou_foreground, iou_matched, segment

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


def test_overlap_of_nothing_with_nothing_is_perfect() -> None:
    empty, some = np.zeros((4, 4), np.uint16), np.eye(4, dtype=np.uint16)
    assert iou_foreground(empty, empty) == 1.0
    assert iou_foreground(empty, some) == 0.0


def test_matched_objects_count_once_and_those_without_a_partner_as_nothing() -> None:
    truth = np.zeros((8, 8), np.uint16)
    truth[:4, :4], truth[4:, 4:] = 1, 2
    renamed = np.where(truth > 0, 3 - truth, 0).astype(np.uint16)
    assert iou_matched(truth, truth) == iou_matched(renamed, truth) == 1.0
    half = np.where(truth == 1, truth, 0).astype(np.uint16)
    half[2:] = 0
    assert iou_matched(half, truth) == pytest.approx(0.5 / 2)
    empty = np.zeros_like(truth)
    assert iou_matched(empty, empty) == 1.0
    assert iou_matched(empty, truth) == iou_matched(truth, empty) == 0.0


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
    assert segment(phase, MASK, noise_rad=0.02).max() == 1
    assert segment(phase, MASK, noise_rad=0.1).max() == 0
