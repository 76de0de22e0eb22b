"""How many times faster than descent: with the picture's mean, and without."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from app.comparison import speed
from app.comparison.speed import speed_over_descent

SIDE = 32
MASK = np.ones((SIDE, SIDE), bool)


@pytest.fixture
def truth(rng: np.random.Generator) -> np.ndarray:
    return np.kron(rng.uniform(0.5, 2.3, (8, 8)), np.ones((4, 4))).astype(np.float32)


def falls(truth: np.ndarray, noise: np.ndarray, piston_rad: float, clock: SimpleNamespace) -> Callable[..., object]:
    """Return a descent that comes nearer the longer it takes, 10 ms a step, and is off by a level."""

    def descent(response: object, exposure_s: float, steps: int) -> object:
        def run(frame: object, reference: object) -> np.ndarray:
            clock.now += 0.01 * steps
            return truth + piston_rad + noise * (10 / steps)

        return SimpleNamespace(run=run)

    return descent


@pytest.mark.parametrize(("piston_rad", "reaches"), [(0.0, True), (0.6, False)])
def test_a_level_that_nobody_tells_is_never_reached(
    piston_rad: float, reaches: bool, truth: np.ndarray, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = rng.normal(0, 0.4, truth.shape).astype(np.float32)
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(speed, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    monkeypatch.setattr(speed, "Descent", falls(truth, noise, piston_rad, clock))

    def run(frame: object, reference: object) -> np.ndarray:
        clock.now += 0.1
        return truth + noise * 0.2

    method = SimpleNamespace(name="m", run=run)
    found = speed_over_descent([method], None, 0.01, [(truth, truth)] * 3, truth, MASK, 2.85)  # type: ignore[arg-type]
    own = found["methods"]["m"]  # type: ignore[index]
    assert own["descent_reaches_it"]
    assert own["descent_reaches_it_with_mean"] is reaches
    # as near after 50 steps, which lie between 40 and 60; with the level wrong the longest run counts
    assert 4 < own["ratio"] < 6
    with_mean = own["ratio_with_mean"]
    assert 4 < with_mean < 6 if reaches else with_mean == pytest.approx(15)
