"""Reference checks and sync checks detect a shifted pairing, also when neighbours look like the reference."""

from __future__ import annotations

import numpy as np
import pytest

from acquisition.capture.sync_check import (
    LAGS,
    SYNC,
    ReferenceCheck,
    speckle_of,
    sync_check_patterns,
    sync_margin,
    sync_template,
)
from drivers.base import Frame

SHAPE = (32, 32)


def frame(content: int, noise: int = 0, strength: float = 0.3) -> Frame:
    """Return a frame whose speckle depends on ``content``, with some noise."""
    pixels = np.random.default_rng(content).exponential(60, SHAPE)
    pixels = pixels + strength * np.random.default_rng((99, noise)).normal(0, 20, SHAPE)
    return Frame(np.clip(pixels, 0, 255).astype(np.uint8), noise, noise, 0.01)


@pytest.mark.parametrize("lag", [0, *LAGS])
def test_the_sequence_of_sync_patterns_detects_every_lag(lag: int) -> None:
    # The patterns of the frames that came while SYNC[n] was shown, when frames lag behind by so many places.
    shown = [SYNC[n - lag] if 0 <= n - lag < len(SYNC) else 7 + n for n in range(len(SYNC))]
    margin = sync_margin([speckle_of(frame(kind, noise).pixels) for noise, kind in enumerate(shown)])
    assert (margin > 0.1) if lag == 0 else (margin < 0)


def test_a_camera_that_does_not_see_the_slm_has_no_margin() -> None:
    assert abs(sync_margin([speckle_of(frame(0, noise).pixels) for noise in range(len(SYNC))])) < 0.05


def test_sync_patterns_differ_everywhere_and_fit_any_panel() -> None:
    for shape in ((8, 8), (64, 64), (270, 480), (33, 100)):
        flat, binary = sync_check_patterns(shape)
        assert flat.shape == binary.shape == shape
        assert not flat.phase_rad.any()
        assert 0.3 < float((binary.phase_rad > 0).mean()) < 0.7


def run(contents: list[int], lags: int = 0, at: int = 4) -> float | None:
    """Show objects with the sync pattern (1) at place ``at``; frames come ``lags`` places late. Return the margin."""
    reference_check = ReferenceCheck(0.6)
    reference_check.sync = sync_template([speckle_of(frame(kind, noise).pixels) for noise, kind in enumerate(SYNC)])
    late = [contents[max(0, n - lags)] for n in range(len(contents))] if lags >= 0 else [*contents[-lags:], *contents[lags:]]
    for number, content in enumerate(late):
        speckle = speckle_of(frame(content, 20 + number).pixels)
        if number == at:
            reference_check.begin_sync_check(speckle)
        elif (margin := reference_check.add(speckle, last=number == len(contents) - 1)) is not None:
            return margin
    return None


OBJECTS = [10, 11, 12, 13, 1, 14, 15, 16, 17]


def test_a_correct_pairing_passes_with_a_large_margin() -> None:
    margin = run(OBJECTS)
    assert margin is not None
    assert margin > 0.5


@pytest.mark.parametrize("lag", LAGS)
def test_frames_that_come_late_or_early_fail_the_sync_check(lag: int) -> None:
    margin = run(OBJECTS, lag)
    assert margin is not None
    assert margin < -0.5


def test_a_sync_check_at_the_end_uses_the_frames_that_there_are() -> None:
    assert run(OBJECTS[:6]) is not None
    reference_check = ReferenceCheck(0.6)
    assert reference_check.add(speckle_of(frame(1).pixels), last=True) is None


def test_reference_shots_show_whether_the_fibre_moved() -> None:
    reference_check = ReferenceCheck(0.6)
    assert reference_check.correlation(speckle_of(frame(3).pixels)) == 1
    assert reference_check.holds(0, speckle_of(frame(0, 1).pixels))
    assert reference_check.holds(26, speckle_of(frame(0, 2).pixels))
    assert not reference_check.holds(52, speckle_of(frame(5, 3).pixels))
    assert [number for number, _ in reference_check.drift] == [0, 26, 52]
    assert reference_check.lowest < 0.6 < reference_check.drift[1][1]


def test_withdrawn_shots_are_forgotten() -> None:
    reference_check = ReferenceCheck(0.6)
    reference_check.sync = speckle_of(frame(1).pixels)
    reference_check.begin_sync_check(speckle_of(frame(1, 1).pixels))
    reference_check.forget()
    assert reference_check.add(speckle_of(frame(2).pixels), last=True) is None
