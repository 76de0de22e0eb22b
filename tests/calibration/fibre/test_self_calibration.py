"""A few random probe patterns give a fibre's complex response, through the devices; a bad fit is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from acquisition.capture.pair_capture import PairCapture, Rig
from acquisition.patterns.sources import open_source
from app.instrument.config import checked
from app.instrument.opening import open_rig
from calibration.fibre import self_calibration as calibrate
from calibration.fibre.probe_patterns import (
    PixelValues,
    ProbePatternData,
    ProbePatternPlan,
    acquire,
    per_second,
    probe_pattern_phases,
)
from calibration.fibre.response import KIND, FibreResponse
from calibration.stored import CalibrationError, Stored, devices_of, load, save
from drivers.clock import VirtualClock
from drivers.twin.camera import SimulatedCamera
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from reconstruction.field import field_mask, to_grid
from reconstruction.metrics import score
from reconstruction.retrieval.gradient import retrieve

ONE_MODE = {"mode_weights": (1.0,), "coupling_sigma_um": 0.0}
PX = 80
SMALL = {"image_px": PX, "field_radius_um": 24.0}
FAST = calibrate.FitConfig(steps=250)


def twin(**optics: object) -> Rig:
    return open_rig(checked({"twin": {"optics": SMALL | optics}}, "test"), VirtualClock())[0]


def fibre(rig: Rig) -> FibreOptics:
    assert isinstance(rig.camera, SimulatedCamera)
    return rig.camera.optics


def structure(optics: FibreOptics) -> OpticsConfig:
    return optics.config


def agreement(response: FibreResponse, optics: FibreOptics) -> float:
    """Return |<exp(i dtheta)>| over the cores inside the disc."""
    inside = np.hypot(*optics.core_positions_px.T) * optics.config.pixel_um <= optics.config.field_radius_um
    return float(np.abs(np.exp(1j * (response.core_phase_rad[0] - optics.core_phase[0].numpy()))[inside].mean()))


def same_light(response: FibreResponse, optics: FibreOptics) -> float:
    """Return how much of the span of the true transmissions the fitted ones cover, 0 .. 1."""
    true = optics.transmission().flatten(1).numpy()
    spans = [np.linalg.qr(rows.T)[0] for rows in (true, response.transmission().reshape(len(true), -1))]
    return float(np.linalg.norm(spans[0].conj().T @ spans[1]) ** 2 / len(true))


@pytest.fixture(scope="module")
def one_mode() -> tuple[Rig, ProbePatternData, FibreResponse]:
    rig = twin(**ONE_MODE, seed=7)
    data = acquire(rig, ProbePatternPlan(seed=1))
    return rig, data, calibrate.fit(data, structure(fibre(rig)), config=FAST)


def test_six_probe_patterns_give_every_cores_phase(one_mode: tuple[Rig, ProbePatternData, FibreResponse]) -> None:
    rig, _, response = one_mode
    assert agreement(response, fibre(rig)) > 0.99
    assert 0.9 < response.quality < 1.02
    gain = fibre(rig).core_gain.numpy()
    assert np.corrcoef(response.core_gain[0], gain)[0, 1] > 0.9
    assert response.core_noise_rad == pytest.approx(0.22, abs=0.05)
    assert rig.camera.exposure_s == 0.01, "the exposure is as it was"


def test_a_held_out_image_comes_back_through_the_calibrated_fibre() -> None:
    rig = twin(**ONE_MODE, image_px=96, field_radius_um=29.0, seed=8, phase_noise_rad=0.0)
    response = calibrate.fit(acquire(rig, ProbePatternPlan(values=PixelValues.BINARY)), structure(fibre(rig)), config=FAST)
    assert agreement(response, fibre(rig)) > 0.99
    truth = open_source("held-out", (96, 96), count=2)[1]
    capture = PairCapture(rig)
    frame = capture.capture(truth)
    capture.release()
    phase = retrieve(per_second(frame), response.optics(), response.background).phase_rad
    mask = field_mask(24, 29.0 / 0.68 / 48)
    assert score(to_grid(phase, 24), to_grid(truth.phase_rad, 24), mask, 2.85).ssim_centred > 0.93


def test_nothing_of_the_fibre_itself_is_read(
    one_mode: tuple[Rig, ProbePatternData, FibreResponse], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig, data, _ = one_mode

    def other(config: OpticsConfig, device: str = "cpu") -> FibreOptics:
        drawn = FibreOptics(config, device)
        nothing = torch.zeros_like(drawn.core_phase)
        return drawn.with_response(nothing, nothing, torch.zeros_like(drawn.transmission()))

    short = replace(FAST, steps=40, least_quality=0)
    monkeypatch.setattr(calibrate, "FibreOptics", other)
    without_response = calibrate.fit(data, structure(fibre(rig)), config=short)
    monkeypatch.undo()
    usual = calibrate.fit(data, structure(fibre(rig)), config=short)
    assert np.array_equal(without_response.core_phase_rad, usual.core_phase_rad)
    assert without_response.correlation == usual.correlation


def test_a_bent_fibre_is_retuned_with_few_probe_patterns() -> None:
    rig = twin(**ONE_MODE, seed=9)
    before = calibrate.fit(acquire(rig, ProbePatternPlan(seed=2)), structure(fibre(rig)), config=FAST)
    fibre(rig).set_drift(1.0)
    after = acquire(rig, ProbePatternPlan(count=4, seed=3))
    assert agreement(before, fibre(rig)) < 0.8
    response = calibrate.fit(after, structure(fibre(rig)), start=before, config=FAST)
    assert agreement(response, fibre(rig)) > 0.985
    assert np.allclose(response.core_gain, before.core_gain, rtol=1e-3), "only phases move"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_modes_and_coupling_are_recovered_and_retuned() -> None:
    rig = twin(seed=10)
    optics = fibre(rig)
    response = calibrate.fit(acquire(rig, ProbePatternPlan(count=64, seed=4)), structure(optics))
    assert response.quality > 0.97
    assert same_light(response, optics) > 0.8
    optics.set_drift(3.0)
    assert same_light(response, optics) < 0.1
    again = calibrate.fit(acquire(rig, ProbePatternPlan(count=8, seed=5)), structure(optics), start=response)
    assert again.quality > 0.95
    assert same_light(again, optics) > 0.8


def test_a_response_is_stored_and_read(one_mode: tuple[Rig, ProbePatternData, FibreResponse], tmp_path: Path) -> None:
    rig, data, response = one_mode
    save(response.stored(devices_of(rig)), tmp_path)
    again = FibreResponse.from_stored(load(tmp_path, KIND, rig))
    assert again.config == response.config
    phase = torch.from_numpy(data.held_out_rad[:1])
    assert torch.equal(again.optics().intensity(phase), response.optics().intensity(phase))
    with pytest.raises(CalibrationError, match="core_gain"):
        FibreResponse.from_stored(Stored(KIND, {}, response.stored({}).values, {"core_phase_rad": response.core_phase_rad}))


def test_a_bad_fit_is_refused_with_its_number(one_mode: tuple[Rig, ProbePatternData, FibreResponse]) -> None:
    rig, data, response = one_mode
    with pytest.raises(
        CalibrationError,
        match=r"held-out probe patterns are predicted with a correlation of 0\.\d+, in the worst tile -?0\.\d+",
    ):
        calibrate.fit(data, structure(fibre(rig)), config=replace(FAST, steps=5))
    spoiled = response.core_phase_rad.copy()
    y, x = fibre(rig).core_positions_px.T
    spoiled[0] += np.arctan2(y, x).astype(np.float32)
    with_vortex = replace(response, core_phase_rad=spoiled).optics()
    whole, weakest = calibrate.held_out_correlation(with_vortex, data)
    assert weakest < calibrate.LEAST_QUALITY * response.ceiling, "a vortex does not pass"
    assert weakest < whole - 0.05
    assert response.weakest > calibrate.LEAST_QUALITY * response.ceiling
    with pytest.raises(CalibrationError, match="register first"):
        calibrate.fit(data, OpticsConfig(image_px=64, field_radius_um=14.0))
    moved = replace(data, held_out_again=np.ascontiguousarray(data.held_out_again[:, ::-1]))
    with pytest.raises(CalibrationError, match=r"allow a correlation of 0\.\d+ at most"):
        calibrate.fit(moved, structure(fibre(rig)))
    with pytest.raises(CalibrationError, match="0 with 0 held out; at least one pattern of each"):
        replace(data, held_out_rad=data.held_out_rad[:0], held_out_first=data.held_out_first[:0])


def test_probe_patterns_have_the_stated_values() -> None:
    random, binary = (probe_pattern_phases(2, (32, 32), 5, values) for values in PixelValues)
    assert 0 <= random.min() < 0.1
    assert 6.2 < random.max() <= np.float32(2 * np.pi)
    assert set(np.unique(binary)) == {0.0, np.float32(np.pi)}
    assert not np.array_equal(random, probe_pattern_phases(2, (32, 32), 6))
    assert abs(np.corrcoef(random[0].ravel(), random[1].ravel())[0, 1]) < 0.1


def test_core_amplitudes_are_collected_back_from_the_camera() -> None:
    optics = FibreOptics(OpticsConfig(**SMALL, seed=3, **ONE_MODE))
    light = torch.randn(1, 1, optics.cores, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    inside = np.hypot(*optics.core_positions_px.T) < PX / 2 - 13  # no light of these cores misses the camera
    back = optics.collect(optics.propagate(light))
    assert float((back - light)[..., inside].abs().max()) < 0.2
