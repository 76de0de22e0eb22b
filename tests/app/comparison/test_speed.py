"""The speed-up over gradient descent, with the mean phase of the image and with the mean removed."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from app.comparison import speed
from app.comparison.speed import TimedFrames, speed_over_descent

SIDE = 32
MASK = np.ones((SIDE, SIDE), bool)


@pytest.fixture
def truth(rng: np.random.Generator) -> np.ndarray:
    return np.kron(rng.uniform(0.5, 2.3, (8, 8)), np.ones((4, 4))).astype(np.float32)


def descent_with_piston(
    truth: np.ndarray, noise: np.ndarray, piston_rad: float, clock: SimpleNamespace
) -> Callable[..., object]:
    """Return a gradient descent of 10 ms per step. Its error falls with the steps, except for a constant phase."""

    def descent(response: object, exposure_s: float, steps: int) -> object:
        def run(frame: object, reference: object) -> np.ndarray:
            clock.now += 0.01 * steps
            return truth + piston_rad + noise * (10 / steps)

        return SimpleNamespace(run=run)

    return descent


@pytest.mark.parametrize(("piston_rad", "reaches"), [(0.0, True), (0.6, False)])
def test_a_constant_phase_that_the_descent_cannot_measure_is_never_reached(
    *, piston_rad: float, reaches: bool, truth: np.ndarray, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = rng.normal(0, 0.4, truth.shape).astype(np.float32)
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(speed, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    monkeypatch.setattr(speed, "Descent", descent_with_piston(truth, noise, piston_rad, clock))

    def run(frame: object, reference: object) -> np.ndarray:
        clock.now += 0.1
        return truth + noise * 0.2

    method = SimpleNamespace(name="m", run=run)
    frames = TimedFrames(pairs=[(truth, truth)] * 3, reference=truth, exposure_s=0.01, mask=MASK, phase_range_rad=2.85)
    speed_up = speed_over_descent([method], None, frames)  # type: ignore[arg-type,list-item]
    own = speed_up["methods"]["m"]  # type: ignore[index]
    assert own["descent_reaches_it"]
    assert own["descent_reaches_it_with_mean"] is reaches
    # The descent has the same error after 50 steps, between 40 and 60. With a wrong mean its longest run counts.
    assert 4 < own["ratio"] < 6
    with_mean = own["ratio_with_mean"]
    assert 4 < with_mean < 6 if reaches else with_mean == pytest.approx(15)
