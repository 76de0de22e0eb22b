"""The phase LUT is recovered through the fibre for any response of the SLM; what cannot be measured is refused."""

from __future__ import annotations

import numpy as np
import pytest

from acquisition.capture.pair_capture import Rig
from app.instrument.config import checked
from app.instrument.opening import open_rig
from calibration.devices import phase_lut
from calibration.stored import CalibrationError
from drivers.clock import VirtualClock
from drivers.displays.phase_lut import GreyLut

LINEAR = GreyLut.linear().phases_rad


def twin(gamma: float, slm_range_rad: float = 2 * np.pi, seed: int = 1) -> Rig:
    optics = {"image_px": 128, "field_radius_um": 41.0, "seed": seed}
    settings = {"twin": {"optics": optics, "slm": {"lut_gamma": gamma, "slm_range_rad": slm_range_rad}}}
    return open_rig(checked(settings, "test"), VirtualClock())[0]


@pytest.mark.parametrize("gamma", [0.7, 0.9, 1.0, 1.2, 1.4])
def test_any_response_is_recovered(gamma: float) -> None:
    fit = phase_lut.fit(phase_lut.acquire(twin(gamma), LINEAR))
    true = (np.arange(256) / 255) ** gamma * 2 * np.pi
    # Only differences of phase exist: the first level's own error is not the LUT's.
    error = fit.phases_rad - true
    assert np.sqrt(np.mean((error - error.mean()) ** 2)) < 0.05
    assert fit.residual_rad < 0.1
    assert np.nanmax(fit.region_rms_rad) < 0.3
    GreyLut(fit.phases_rad)  # a valid LUT


def test_a_panel_of_less_than_a_wave_is_recovered_on_any_fibre() -> None:
    nominal = np.arange(256) / 255 * 4.0
    for seed in (2, 3):
        fit = phase_lut.fit(phase_lut.acquire(twin(1.2, 4.0, seed), nominal, levels=48))
        error = fit.phases_rad - (np.arange(256) / 255) ** 1.2 * 4.0
        assert np.sqrt(np.mean((error - error.mean()) ** 2)) < 0.06


def test_noise_and_a_blind_camera_are_refused_with_the_number(rng: np.random.Generator) -> None:
    levels = np.arange(0, 256, 8)
    with pytest.raises(CalibrationError, match="third singular value"):
        phase_lut.fit(phase_lut.LutData(levels, rng.normal(100, 5, (32, 20, 20)).astype(np.float32)))
    with pytest.raises(CalibrationError, match="alike"):
        phase_lut.fit(phase_lut.LutData(levels, np.full((32, 20, 20), 7, np.float32)))
    with pytest.raises(CalibrationError, match="at least 16 levels, got 5"):
        phase_lut.fit(phase_lut.LutData(levels[:5], np.zeros((5, 4, 4), np.float32)))
