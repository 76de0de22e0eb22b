"""The distance between the textures of two sets of images: zero for equal sets, symmetric, larger for more blur."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from reconstruction.evaluation.perceptual import perceptual_distance
from reconstruction.field import field_mask

SIDE_PX = 96
MASK = field_mask(SIDE_PX, 0.95)


def textures(rng: np.random.Generator, count: int = 3) -> list[np.ndarray]:
    white = rng.standard_normal((count, SIDE_PX, SIDE_PX)).astype(np.float32)
    return [1.4 + 2 * cv2.GaussianBlur(each, (0, 0), 2) + 0.1 * each for each in white]


def blurred(images: list[np.ndarray], sigma_px: float) -> list[np.ndarray]:
    return [cv2.GaussianBlur(each, (0, 0), sigma_px) for each in images]


def test_equal_sets_have_no_distance_in_any_order_and_with_any_mean(rng: np.random.Generator) -> None:
    images = textures(rng)
    assert perceptual_distance(images, images, MASK) == 0
    assert perceptual_distance(images[::-1], images, MASK) == pytest.approx(0, abs=1e-6)
    assert perceptual_distance([each + 0.9 for each in images], images, MASK) == pytest.approx(0, abs=1e-5)


def test_it_is_symmetric_and_the_same_in_every_run(rng: np.random.Generator) -> None:
    first, second = textures(rng), blurred(textures(rng), 1)
    distance = perceptual_distance(first, second, MASK)
    assert distance == perceptual_distance(second, first, MASK) == perceptual_distance(first, second, MASK)
    assert distance > 0.1


def test_it_grows_with_blur_and_with_noise(rng: np.random.Generator) -> None:
    images = textures(rng)
    blur = [perceptual_distance(blurred(images, sigma_px), images, MASK) for sigma_px in (0.5, 0.8, 1.5, 3)]
    assert blur == sorted(blur)
    noise = rng.standard_normal((len(images), SIDE_PX, SIDE_PX)).astype(np.float32)
    noisy = [
        perceptual_distance([image + amount * each for image, each in zip(images, noise, strict=True)], images, MASK)
        for amount in (0.05, 0.1, 0.3)
    ]
    assert noisy == sorted(noisy)
    assert min(*blur, *noisy) > 0.005


def test_another_sample_of_the_same_texture_is_nearer_than_its_mean(rng: np.random.Generator) -> None:
    images, others = textures(rng), textures(rng)
    assert perceptual_distance(others, images, MASK) < 0.3 * perceptual_distance(blurred(images, 1), images, MASK)


def test_outside_the_disc_nothing_counts(rng: np.random.Generator) -> None:
    images, others = textures(rng), textures(rng)
    outside = [np.where(MASK, each, 1e3).astype(np.float32) for each in others]
    assert perceptual_distance(outside, images, MASK) == perceptual_distance(others, images, MASK)


def test_a_flat_image_has_a_finite_distance(rng: np.random.Generator) -> None:
    images = textures(rng)
    assert 0.5 < perceptual_distance([np.zeros_like(each) for each in images], images, MASK) < 2


@pytest.mark.parametrize(("first", "mask", "match"), [(0, MASK, "equal size"), (3, field_mask(SIDE_PX, 0.03), "smaller")])
def test_what_cannot_be_compared_is_refused(first: int, mask: np.ndarray, match: str, rng: np.random.Generator) -> None:
    images = textures(rng)
    with pytest.raises(ValueError, match=match):
        perceptual_distance(images[:first], images, mask)
