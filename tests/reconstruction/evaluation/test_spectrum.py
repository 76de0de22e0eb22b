"""The spectrum error sees missing and added power, and neither the phase mean nor where details are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from reconstruction.evaluation.missing_spectrum import MissingSpectrum, NoisyMethod
from reconstruction.evaluation.spectrum import RadialSpectrum
from reconstruction.field import field_mask

SIDE_PX = 128
MASK = field_mask(SIDE_PX, 0.95)
SPECTRUM = RadialSpectrum(MASK)


def texture(rng: np.random.Generator) -> np.ndarray:
    """Return a picture with power at all frequencies, less at high ones."""
    white = rng.standard_normal((SIDE_PX, SIDE_PX)).astype(np.float32)
    return 1.4 + 4 * cv2.GaussianBlur(white, (0, 0), 3) + 0.05 * white


def blurred(image: np.ndarray, sigma_px: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), sigma_px)


def test_white_noise_has_the_same_power_everywhere_which_is_its_variance(rng: np.random.Generator) -> None:
    powers = [SPECTRUM.power(rng.normal(0, 0.3, MASK.shape)) for _ in range(20)]
    mean = np.mean(powers, axis=0)
    assert len(mean) == SIDE_PX // 2
    assert mean.mean() == pytest.approx(0.09, rel=0.03)
    assert mean[SIDE_PX // 4 :] == pytest.approx(np.full(SIDE_PX // 4, 0.09), rel=0.1)


def test_equal_images_and_other_means_have_no_error(rng: np.random.Generator) -> None:
    image = texture(rng)
    assert SPECTRUM.error(image, image) == 0
    assert SPECTRUM.error(image + 0.7, image) == pytest.approx(0, abs=1e-4)


def test_outside_the_disc_nothing_counts(rng: np.random.Generator) -> None:
    image = texture(rng)
    assert SPECTRUM.error(np.where(MASK, image, np.nan), image) == 0


def test_an_object_may_be_at_another_place(rng: np.random.Generator) -> None:
    grain = texture(rng)[:24, :24] * np.outer(np.hanning(24), np.hanning(24))
    image, moved = np.zeros((2, SIDE_PX, SIDE_PX), np.float32)
    image[52:76, 52:76] = moved[55:79, 49:73] = grain
    error = SPECTRUM.error(moved, image)
    assert error < 0.1
    assert error < 0.1 * SPECTRUM.error(blurred(image, 1), image)


def test_the_error_grows_with_blur_and_with_noise(rng: np.random.Generator) -> None:
    image = texture(rng)
    blur = [SPECTRUM.error(blurred(image, sigma_px), image) for sigma_px in (0.4, 0.7, 1, 2, 4)]
    assert blur == sorted(blur)
    assert blur[0] > 0.1
    noise = rng.standard_normal(image.shape)
    noisy = [SPECTRUM.error(image + amount * noise, image) for amount in (0.05, 0.1, 0.2, 0.4)]
    assert noisy == sorted(noisy)
    assert noisy[0] > 0.1


def test_a_power_that_is_wrong_by_a_factor_of_two_gives_the_logarithm_of_two(rng: np.random.Generator) -> None:
    image = texture(rng)
    assert SPECTRUM.error(np.sqrt(2) * image, image) == pytest.approx(np.log(2), rel=1e-3)
    assert SPECTRUM.error(np.zeros_like(image), image) < 20, "an empty image has a finite error"


def test_a_mask_or_an_image_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="square"):
        RadialSpectrum(np.ones((4, 8), bool))
    with pytest.raises(ValueError, match="shapes differ"):
        SPECTRUM.power(np.zeros((4, 4), np.float32))


def test_noise_of_the_missing_spectrum_gives_blurred_images_the_right_spectrum(rng: np.random.Generator) -> None:
    others, truths = [texture(rng) for _ in range(8)], [texture(rng) for _ in range(4)]
    missing = MissingSpectrum([blurred(each, 1.5) for each in others], others, MASK)
    before = [SPECTRUM.error(blurred(each, 1.5), each) for each in truths]
    filled = [missing.filled(blurred(each, 1.5), seed) for seed, each in enumerate(truths)]
    after = [SPECTRUM.error(image, truth) for image, truth in zip(filled, truths, strict=True)]
    assert max(after) < 0.2 * min(before)
    for image, truth in zip(filled, truths, strict=True):
        assert np.square(image - truth)[MASK].mean() > np.square(blurred(truth, 1.5) - truth)[MASK].mean()


def test_nothing_is_added_where_nothing_is_missing(rng: np.random.Generator) -> None:
    images = [texture(rng) for _ in range(3)]
    assert MissingSpectrum(images, images, MASK).filled(images[0], 0) == pytest.approx(images[0], abs=1e-6)
    with pytest.raises(ValueError, match="for each truth"):
        MissingSpectrum([], [], MASK)


class Constant:
    """A method that gives the same picture for every frame."""

    name, engine, evaluations = "m", "none", 1

    def __init__(self, phase_rad: np.ndarray) -> None:
        self._phase_rad = phase_rad

    def run(self, frame: np.ndarray, reference: np.ndarray) -> np.ndarray:
        return self._phase_rad


def test_a_frame_always_gets_the_same_noise_and_other_frames_get_other_noise(rng: np.random.Generator) -> None:
    truth = texture(rng)
    smooth = blurred(truth, 1.5)
    method = NoisyMethod(Constant(smooth), MissingSpectrum([smooth], [truth], MASK))
    frames = np.arange(2 * 64, dtype=np.uint8).reshape(2, 8, 8)
    first, again, other = (method.run(frame, smooth) for frame in (frames[0], frames[0], frames[1]))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    samples = method.samples(frames[0], smooth, 3)
    assert samples.shape == (3, SIDE_PX, SIDE_PX)
    assert np.array_equal(samples[0], first)
    assert samples.std(0)[MASK].min() > 0
    assert method.name == "m plus noise of the missing spectrum"
