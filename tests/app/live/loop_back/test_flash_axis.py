"""A flash is told from the still pattern, and nothing is found in noise."""

from __future__ import annotations

import numpy as np
import pytest

from app.live.loop_back.flash_axis import FlashError, Values, phase_axis, speckle_axis

SIDE, SHOTS = 32, 16
RNG = np.random.default_rng(5)
STILL, CHANGED = RNG.exponential(60, (2, SIDE, SIDE)).astype(np.float32)
MASK = np.hypot(*(np.mgrid[:SIDE, :SIDE] - SIDE / 2)) < SIDE / 2
DISC = (np.hypot(*(np.mgrid[:SIDE, :SIDE] - SIDE / 2)) < SIDE / 4).astype(np.float32)


def shots(picture: Values, noise: float, count: int = SHOTS) -> list[Values]:
    return [picture + RNG.normal(0, noise, picture.shape).astype(np.float32) for _ in range(count)]


def test_speckle_that_has_changed_shows_the_flash_and_other_speckle_does_not() -> None:
    axis = speckle_axis(shots(STILL, 5), shots(CHANGED, 5))
    assert not any(axis.shows_flash(picture) for picture in shots(STILL, 5, 100))
    assert all(axis.shows_flash(picture) for picture in shots(CHANGED, 5, 100))
    assert axis.level(STILL) == pytest.approx(0, abs=0.05)
    assert axis.level(CHANGED) == pytest.approx(1, abs=0.05)
    assert axis.level((STILL + CHANGED) / 2) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_learned_from_noise(seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = rng.normal(100, 10, (2, SHOTS, SIDE, SIDE)).astype(np.float32)
    with pytest.raises(FlashError, match="the speckle does not show the flash"):
        speckle_axis(list(noise[0]), list(noise[1]))
    with pytest.raises(FlashError, match="the reconstruction does not show the flash"):
        phase_axis(list(noise[0] / 100), list(noise[1] / 100), DISC, MASK)


def test_a_flash_that_drowns_in_noise_is_refused_with_how_strong_it_is() -> None:
    still = [STILL + RNG.normal(0, 1) * CHANGED for _ in range(SHOTS)]  # the light flickers
    flash = [STILL + (2 + RNG.normal(0, 1)) * CHANGED for _ in range(SHOTS)]
    with pytest.raises(FlashError, match=r"too noisy to find a flash: the flash is \d\.\d times the noise, and 8 times"):
        speckle_axis(still, flash)


def test_the_phase_has_to_show_the_known_disc_and_not_just_any_change() -> None:
    faint = phase_axis(shots(0 * DISC, 0.02), shots(0.4 * DISC, 0.02), DISC, MASK)
    assert faint.level(0.4 * DISC + 1.3) == pytest.approx(0.4, abs=0.02)  # the mean phase says nothing
    assert faint.shows_flash(0.35 * DISC)
    assert not faint.shows_flash(0.1 * DISC)
    assert not faint.shows_flash(np.full_like(DISC, np.nan))
    elsewhere = RNG.normal(0, 1, DISC.shape).astype(np.float32)
    with pytest.raises(FlashError, match="the reconstruction does not show the flash"):
        phase_axis(shots(0 * DISC, 0.02), shots(elsewhere, 0.02), DISC, MASK)
    with pytest.raises(FlashError, match="does not show"):
        phase_axis(shots(0 * DISC, 0.02), [np.full_like(DISC, np.nan)] * SHOTS, DISC, MASK)


def test_frames_of_another_size_are_refused() -> None:
    axis = speckle_axis(shots(STILL, 5), shots(CHANGED, 5))
    with pytest.raises(FlashError, match="another size"):
        axis.shows_flash(STILL[::2])
