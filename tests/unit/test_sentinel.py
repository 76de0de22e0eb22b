"""Sentinels and lag scans see a shifted pairing, and are not fooled by neighbours that look like the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.sentinel import LAGS, SYNC, Sentinel, speckle_of, sync_margin, sync_patterns
from drivers.base import Frame

SHAPE = (32, 32)


def frame(content: int, noise: int = 0, strength: float = 0.3) -> Frame:
    """A speckle of its own for every content, with some noise."""
    pixels = np.random.default_rng(content).exponential(60, SHAPE)
    pixels = pixels + strength * np.random.default_rng((99, noise)).normal(0, 20, SHAPE)
    return Frame(np.clip(pixels, 0, 255).astype(np.uint8), noise, noise, 0.01)


@pytest.mark.parametrize("lag", [0, *LAGS])
def test_the_preamble_tells_every_lag(lag: int) -> None:
    # What came out while kind SYNC[n] was asked for, when frames lag behind by so many places.
    shown = [SYNC[n - lag] if 0 <= n - lag < len(SYNC) else 7 + n for n in range(len(SYNC))]
    margin = sync_margin([speckle_of(frame(kind, noise)) for noise, kind in enumerate(shown)])
    assert (margin > 0.1) if lag == 0 else (margin < 0)


def test_a_camera_that_does_not_see_the_slm_has_no_margin() -> None:
    assert abs(sync_margin([speckle_of(frame(0, noise)) for noise in range(len(SYNC))])) < 0.05


def test_sync_patterns_differ_everywhere_and_fit_any_panel() -> None:
    for shape in ((8, 8), (64, 64), (270, 480), (33, 100)):
        flat, binary = sync_patterns(shape)
        assert flat.shape == binary.shape == shape
        assert not flat.phase_rad.any()
        assert 0.3 < float((binary.phase_rad > 0).mean()) < 0.7


def run(contents: list[int], sentinels: list[int]) -> tuple[Sentinel, list[float]]:
    """Show 0 (flat) and objects in turn; return margins of the lag scans."""
    sentinel, margins = Sentinel(0.6), []
    for number, content in enumerate(contents):
        taken = frame(content, number)
        if number in sentinels:
            sentinel.holds(number, taken)
        last = number == len(contents) - 1
        judged = sentinel.take(number, sentinel.correlation(taken), number in sentinels, last)
        margins += [one.margin for one in judged]
    return sentinel, margins


def test_a_right_run_wins_every_scan() -> None:
    sentinel, margins = run([0, 1, 2, 3, 4, 0, 5, 6, 7, 8, 0], [0, 5, 10])
    assert len(margins) == 2
    assert min(margins) > 0.3
    assert [number for number, _ in sentinel.drift] == [0, 5, 10]
    assert sentinel.lowest > 0.9


@given(shift=st.sampled_from([1, 2]), at=st.integers(2, 6))
def test_frames_that_slip_are_found_at_the_next_sentinel(shift: int, at: int) -> None:
    contents = [0, 1, 2, 3, 4, 5, 6, 7, 0, 8, 9, 10, 11, 12]
    slipped = [*contents[:at], *([90] * shift), *contents[at:]][: len(contents)]
    sentinel, margins = run(slipped, [0, 8])
    assert sentinel.lowest < 0.6
    assert min(margins) < -0.3


def test_a_neighbour_that_is_flat_itself_decides_nothing() -> None:
    _, margins = run([0, 1, 2, 0, 0, 3, 4], [0, 3])
    assert abs(margins[0]) < 0.02


def test_withdrawn_shots_are_forgotten() -> None:
    sentinel, _ = run([0, 1, 2, 3], [0])
    sentinel.forget()
    assert sentinel.take(4, 1.0, True, last=True) == []
