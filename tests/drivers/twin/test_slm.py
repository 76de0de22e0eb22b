"""The simulated SLM behaves as its panel is described: refresh, latency, settling and look-up table."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from numpy.typing import NDArray

from drivers.base import Pattern
from drivers.clock import VirtualClock
from drivers.testing.slm_contract import flat
from drivers.twin.slm import SimulatedSlm, SimulatedSlmConfig

SHAPE = (6, 8)
CONFIG = SimulatedSlmConfig()
PERIOD_NS = round(1e9 / CONFIG.refresh_hz)
STEP_RAD = 2 * np.pi / 255


def around(phase_rad: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distance to zero on the circle."""
    return np.abs(np.angle(np.exp(1j * phase_rad))).astype(np.float32)


def panel(start_ns: int = 1_000_000_000, **changes: object) -> tuple[SimulatedSlm, VirtualClock]:
    clock = VirtualClock(start_ns)
    return SimulatedSlm(SHAPE, replace(CONFIG, **changes), clock), clock  # type: ignore[arg-type]


def first_light_ns(slm: SimulatedSlm, pattern: Pattern, low_ns: int, high_ns: int) -> int:
    """Return the first time at which ``pattern`` is on the panel, by bisection."""
    assert pattern.id not in slm.lit_between(low_ns, low_ns)
    while high_ns - low_ns > 1:
        middle_ns = (low_ns + high_ns) // 2
        on = pattern.id in slm.lit_between(low_ns, middle_ns)
        low_ns, high_ns = (low_ns, middle_ns) if on else (middle_ns, high_ns)
    return high_ns


# ---- in time


@examples(max_examples=50)
@given(start_ns=st.integers(10**9, 10**12) | st.integers(60, 600).map(lambda k: k * PERIOD_NS), seed=st.integers(0, 999))
def test_a_pattern_appears_at_a_refresh_within_the_stated_latency(start_ns: int, seed: int) -> None:
    slm, clock = panel(start_ns, seed=seed)
    pattern = flat(1.0, SHAPE)
    settled_ns = slm.show(pattern)
    light_ns = first_light_ns(slm, pattern, clock.now_ns(), settled_ns)
    assert light_ns % PERIOD_NS == 0
    # The next refresh latches the image, and the video signal adds 1 to 2 refreshes.
    assert 1 <= (light_ns - start_ns) / PERIOD_NS <= 3
    phase, settled = slm.phase_at(settled_ns)
    assert settled
    assert np.array_equal(phase, slm.displayed_phase(pattern.phase_rad))


def test_every_latency_between_the_bounds_occurs() -> None:
    slm, clock = panel(latency_frames=(0, 2))
    latencies = set()
    for number in range(40):
        # With a free refresh in between, no image delays the next.
        clock.wait_until((clock.now_ns() // PERIOD_NS + 5) * PERIOD_NS + 1)
        pattern = flat(0.1 * (number + 1), SHAPE)
        settled_ns = slm.show(pattern)
        latencies.add((first_light_ns(slm, pattern, clock.now_ns(), settled_ns) - clock.now_ns()) // PERIOD_NS)
    assert latencies == {0, 1, 2}


@examples(max_examples=30)
@given(waits_ms=st.lists(st.integers(0, 60), min_size=2, max_size=12), seed=st.integers(0, 999))
def test_images_never_overtake_each_other_and_every_settling_time_is_kept(waits_ms: list[int], seed: int) -> None:
    slm, clock = panel(seed=seed)
    patterns = [flat(0.25 * (number + 1), SHAPE) for number in range(len(waits_ms))]
    start_ns = clock.now_ns()
    (dark,) = slm.lit_between(start_ns, start_ns)
    for pattern, wait_ms in zip(patterns, waits_ms, strict=True):
        settled_ns = slm.show(pattern)
        clock.wait_until(clock.now_ns() + wait_ms * 1_000_000)
    assert slm.lit_between(start_ns, settled_ns) == (dark, *(pattern.id for pattern in patterns))
    light_ns = [first_light_ns(slm, pattern, start_ns, settled_ns) for pattern in patterns]
    assert all(earlier < later for earlier, later in pairwise(light_ns))
    phase, settled = slm.phase_at(settled_ns)
    assert settled
    assert np.array_equal(phase, slm.displayed_phase(patterns[-1].phase_rad))


def test_a_burst_of_patterns_does_not_lose_the_pattern_that_is_shown() -> None:
    slm, clock = panel()
    clock.wait_until(slm.show(flat(3.0, SHAPE)))
    before, _ = slm.phase_at(clock.now_ns())
    for number in range(40):
        slm.show(flat(0.1 * number, SHAPE))
    assert np.array_equal(slm.phase_at(clock.now_ns())[0], before)
    assert slm.lit_between(clock.now_ns(), clock.now_ns()) == (flat(3.0, SHAPE).id,)


def test_a_long_run_keeps_a_short_history() -> None:
    slm, clock = panel()
    for number in range(60):
        clock.wait_until(slm.show(flat(0.1 * number, SHAPE)))
    assert len(slm.lit_between(0, clock.now_ns())) < 20


def test_before_the_first_pattern_it_is_flat() -> None:
    slm, clock = panel()
    phase, settled = slm.phase_at(clock.now_ns())
    assert settled
    assert not phase.any()


@pytest.mark.parametrize("tau_s", [0.0, 0.002, 0.003])
def test_the_liquid_crystal_settles_exponentially(tau_s: float) -> None:
    slm, clock = panel(time_constant_s=tau_s)
    clock.wait_until(slm.show(flat(1.0, SHAPE)))
    pattern = flat(2.0, SHAPE)
    old = slm.displayed_phase(flat(1.0, SHAPE).phase_rad)
    new = slm.displayed_phase(pattern.phase_rad)
    settled_ns = slm.show(pattern)
    light_ns = first_light_ns(slm, pattern, clock.now_ns(), settled_ns)
    for age_ms in (0.5, 1, 3, 8, 14.9):
        phase, settled = slm.phase_at(light_ns + round(age_ms * 1e6))
        remaining = np.exp(-age_ms * 1e-3 / tau_s) if tau_s else 0.0
        assert not settled
        assert phase == pytest.approx(new + remaining * (old - new), abs=1e-5)
    assert np.array_equal(slm.phase_at(light_ns - 1)[0], old)
    phase, settled = slm.phase_at(light_ns + round(CONFIG.settle_s * 1e9))
    assert settled
    assert np.array_equal(phase, new)


def test_lit_between_names_all_patterns_of_an_interval_in_order() -> None:
    slm, clock = panel()
    first, second = flat(1.0, SHAPE), flat(2.0, SHAPE)
    clock.wait_until(slm.show(first))
    settled_ns = slm.show(second)
    light_ns = first_light_ns(slm, second, clock.now_ns(), settled_ns)
    assert slm.lit_between(clock.now_ns(), light_ns - 1) == (first.id,)
    assert slm.lit_between(clock.now_ns(), light_ns + 1) == (first.id, second.id)
    assert slm.lit_between(light_ns, settled_ns) == (second.id,)


# ---- in phase


@given(phase_rad=st.floats(-100, 100, width=32))
def test_phase_is_wrapped_and_quantised_to_8_bit(phase_rad: float) -> None:
    slm, _ = panel()
    shown = slm.displayed_phase(np.full(SHAPE, phase_rad, np.float32))
    assert shown.dtype == np.float32
    assert 0 <= shown.min() <= shown.max() <= np.float32(2 * np.pi)
    assert around(shown - np.float32(phase_rad)).max() <= STEP_RAD / 2 + 2e-5  # float32 radians near 100
    assert shown / STEP_RAD == pytest.approx(np.rint(shown / STEP_RAD), abs=1e-3)


def test_a_calibrated_lut_gives_the_requested_phase_and_a_wrong_one_distorts_it() -> None:
    ramp = np.linspace(0, 6.2, 48, dtype=np.float32).reshape(SHAPE)
    right, _ = panel(lut_gamma=1.8, assumed_lut_gamma=1.8)
    wrong, _ = panel(lut_gamma=1.8, assumed_lut_gamma=1.0)
    assert np.abs(right.displayed_phase(ramp) - ramp).max() < 1.8 * STEP_RAD / 2 + 1e-4
    assert wrong.displayed_phase(ramp) == pytest.approx(2 * np.pi * (ramp / (2 * np.pi)) ** 1.8, abs=1.8 * STEP_RAD)


def test_a_panel_of_short_range_is_limited_to_it() -> None:
    slm, _ = panel(slm_range_rad=2.6)
    ramp = np.linspace(0, 6.2, 48, dtype=np.float32).reshape(SHAPE)
    assert slm.displayed_phase(ramp) == pytest.approx(np.minimum(ramp, 2.6), abs=2.6 / 255)


@pytest.mark.parametrize(
    "changes",
    [
        {"latency_frames": (2, 1)},
        {"latency_frames": (-1, 1)},
        {"refresh_hz": 0.0},
        {"time_constant_s": -1e-3},
        {"settle_s": -1e-3},
        {"slm_range_rad": 0.0},
    ],
    ids=str,
)
def test_an_impossible_panel_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must"):
        replace(CONFIG, **changes)  # type: ignore[arg-type]
