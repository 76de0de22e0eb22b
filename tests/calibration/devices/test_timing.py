"""Latency is recovered exactly, whether fixed or random, and the settling time well enough for a delay."""

from __future__ import annotations

import numpy as np
import pytest

from acquisition.capture.pair_capture import Rig
from app.instrument.config import checked
from app.instrument.opening import open_rig
from calibration.devices import timing
from calibration.stored import CalibrationError
from drivers.clock import VirtualClock


def twin(latency_frames: tuple[int, int], time_constant_s: float) -> Rig:
    slm = {"latency_frames": latency_frames, "time_constant_s": time_constant_s}
    settings = {"twin": {"optics": {"image_px": 64, "field_radius_um": 20.0}, "slm": slm}}
    return open_rig(checked(settings, "test"), VirtualClock())[0]


@pytest.mark.parametrize("latency_frames", [(1, 1), (2, 2), (3, 3), (1, 2), (1, 3)])
@pytest.mark.parametrize("time_constant_s", [0.002, 0.004])
def test_latency_is_exact_and_settling_near(latency_frames: tuple[int, int], time_constant_s: float) -> None:
    rig = twin(latency_frames, time_constant_s)
    fit = timing.fit(timing.acquire(rig))
    assert fit.latency_frames == latency_frames
    assert fit.latency_s == pytest.approx((latency_frames[1] + 1) / 60)
    assert 1 / 1.7 < fit.time_constant_s / time_constant_s < 1.7
    assert fit.trigger_delay_s > fit.settle_s
    assert fit.residual_fraction < 0.05
    assert rig.camera.exposure_s == 0.01, "the exposure is as it was"


def test_light_that_does_not_change_is_refused(rng: np.random.Generator) -> None:
    delays = np.linspace(0, 0.1, 240)
    with pytest.raises(CalibrationError, match=r"% of the light's change was complete at the longest delays, 50 % are needed"):
        timing.fit(timing.TimingData(delays, rng.normal(0, 0.02, 240), 1 / 60))


def test_light_that_changes_otherwise_is_refused(rng: np.random.Generator) -> None:
    delays = np.linspace(0, 0.1, 240)
    with pytest.raises(CalibrationError, match="fit no step"):
        timing.fit(timing.TimingData(delays, np.where(delays < 0.09, rng.uniform(-3, 4, 240), 1.0), 1 / 60))
