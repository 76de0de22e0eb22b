"""Gain, noise, linearity and defective pixels agree with the twin's sensor, even with speckle noise."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from acquisition.capture.pair_capture import Rig
from app.instrument.config import checked
from app.instrument.opening import open_rig
from calibration.devices import camera
from calibration.devices.camera import CameraData
from calibration.devices.exposure import capture, find_exposure
from calibration.devices.photon_transfer import photon_transfer
from calibration.stored import CalibrationError
from drivers.clock import VirtualClock


def twin(seed: int = 1, px: int = 128, bits: int = 12, noise_rad: float = 0.22, **sensor: float) -> Rig:
    optics = {"image_px": px, "seed": seed, "phase_noise_rad": noise_rad, "field_radius_um": 41.0 * px / 128}
    chip = {"bit_depth": bits, "noise_seed": seed, "sensor": sensor}
    return open_rig(checked({"twin": {"optics": optics, "camera": chip}}, "test"), VirtualClock())[0]


@cache
def small() -> CameraData:
    return camera.acquire(twin())


def changed(data: CameraData, pixel: tuple[int, int], add: int = 0, times: float = 1.0) -> CameraData:
    """Return the data with one defective pixel."""

    def alter(frames: NDArray[np.uint16]) -> NDArray[np.uint16]:
        frames = frames.copy()
        there = (..., *pixel)
        frames[there] = np.clip(frames[there] * times + add, 0, data.full_scale)
        return frames

    return replace(data, frames=alter(data.frames), dark=alter(data.dark), varied=alter(data.varied))


@pytest.mark.parametrize("start_s", [25e-6, 0.01, 1.0])
def test_the_exposure_fills_the_scale_from_wherever_it_starts(start_s: float) -> None:
    rig = twin(bits=8)
    rig.camera.set_exposure(start_s)
    exposure_s = find_exposure(rig, 0.6)
    frame = capture(rig, exposure_s, 1)[0]
    assert rig.camera.exposure_s == exposure_s
    assert np.percentile(frame.pixels, 99.9) / 255 == pytest.approx(0.6, rel=0.2)


def test_light_beyond_the_cameras_exposures_is_refused_with_its_level() -> None:
    with pytest.raises(CalibrationError, match=r"too dark: the brightest pixels reach \d.* at the longest exposure, 1 s, 80 %"):
        find_exposure(twin(electrons_per_s=300.0))
    with pytest.raises(CalibrationError, match=r"too bright: the brightest pixels reach 100.0 % .* shortest exposure, 2e-05 s"):
        find_exposure(twin(electrons_per_s=3e9))


def test_gain_and_read_noise_are_the_sensors_own() -> None:
    rig = twin(seed=41, px=512)
    data = camera.acquire(rig)
    fit = camera.fit(data)
    assert fit.transfer.e_per_count == pytest.approx(10_500 / 4095, rel=0.05)
    assert fit.transfer.read_noise_e == pytest.approx(3.0, abs=0.5)
    assert fit.transfer.read_noise_error_e < 0.5
    assert abs(fit.offset_counts) < 1
    assert fit.linearity_percent < 1
    assert fit.linear_to > 0.5
    assert fit.evaluated > 0.7
    assert fit.bad.sum() <= 1
    assert rig.camera.exposure_s == 0.01, "the exposure is as it was"
    assert np.percentile(data.frames[-1], 99.9) / 4095 == pytest.approx(0.8, rel=0.15)


@pytest.mark.parametrize("noise_rad", [0.0, 0.1])
def test_another_sensor_has_another_gain(noise_rad: float) -> None:
    fit = camera.fit(camera.acquire(twin(3, noise_rad=noise_rad, full_well_e=25_000.0, read_noise_e=12.0)))
    transfer = fit.transfer
    assert transfer.counts_per_e_error < 0.08 * transfer.counts_per_e
    assert transfer.counts_per_e == pytest.approx(4095 / 25_000, abs=3.5 * transfer.counts_per_e_error)
    assert transfer.read_noise_e == pytest.approx(12.0, abs=1.5)


def test_the_stated_error_is_of_the_errors_size() -> None:
    transfers = [camera.fit(camera.acquire(twin(seed))).transfer for seed in range(50, 58)]
    true = 4095 / 10_500
    error = np.sqrt(np.mean([(each.counts_per_e - true) ** 2 for each in transfers]))
    stated = np.sqrt(np.mean([each.counts_per_e_error**2 for each in transfers]))
    assert stated < 0.07 * true
    assert 0.5 < stated / error < 2


def test_speckle_that_changes_between_shots_is_separated_from_photon_noise() -> None:
    transfer = camera.fit(small()).transfer
    brightest = transfer.mean_counts > np.quantile(transfer.mean_counts, 0.9)
    # If speckle noise counted as photon noise, the gain would be twice too large and more.
    plain = np.polyfit(transfer.mean_counts, transfer.variance, 1)[0]
    assert plain * 10_500 / 4095 > 1.5
    assert transfer.counts_per_e * 10_500 / 4095 == pytest.approx(1, abs=0.12)
    assert transfer.fitted[brightest] == pytest.approx(transfer.variance[brightest], rel=0.3)
    assert np.all(transfer.speckle[transfer.speckle != 0] > 0)


def test_an_offset_and_saturated_levels_change_no_gain() -> None:
    usual = camera.fit(small()).transfer
    raised = replace(small(), frames=small().frames + 100, dark=small().dark + 100, varied=small().varied + 100)
    fit = camera.fit(raised)
    assert fit.offset_counts == pytest.approx(100, abs=1)
    assert fit.dark_counts == pytest.approx(101, abs=1)
    assert fit.transfer.counts_per_e == pytest.approx(usual.counts_per_e, rel=0.05)
    low = 1200
    cut = replace(small(), frames=np.minimum(small().frames, low), varied=np.minimum(small().varied, low), full_scale=low)
    cut_gain = photon_transfer(cut.frames, low, 0.0).counts_per_e
    assert cut_gain == pytest.approx(usual.counts_per_e, rel=0.12)
    assert photon_transfer(cut.frames, low, 0.0).mean_counts.max() < low


@pytest.mark.parametrize(
    ("defect", "add", "times"),
    [("hot", 300, 1.0), ("hot", 2000, 1.0), ("stuck", 0, 0.0), ("stuck", 4095, 1.0), ("stuck", 700, 0.0), ("stuck", 0, 0.02)],
)
def test_pixels_that_do_not_follow_the_light_are_found_and_no_others(defect: str, add: int, times: float) -> None:
    data = changed(small(), (70, 61), add, times)
    fit = camera.fit(data)
    assert np.argwhere(getattr(fit, defect)).tolist() == [[70, 61]]
    assert fit.bad.sum() == 1
    assert not camera.fit(small()).bad.any()


def test_a_bent_response_is_measured() -> None:
    straight = camera.fit(small())
    bent = small().frames * (1 - 0.15 * small().frames / 4095)
    fit = camera.fit(replace(small(), frames=np.rint(bent).astype(np.uint16)))
    assert straight.linearity_percent < 1.0
    assert fit.linearity_percent > straight.linearity_percent + 0.5


def test_without_an_slm_only_stuck_pixels_stay_unknown() -> None:
    rig = twin()
    data = camera.acquire(Rig(rig.camera, None, rig.clock))
    assert len(data.varied) == 0
    fit = camera.fit(data)
    assert fit.evaluated == 0
    assert not fit.stuck.any()
    assert fit.transfer.e_per_count == pytest.approx(10_500 / 4095, rel=0.1)


def test_what_is_no_camera_under_light_is_refused(rng: np.random.Generator) -> None:
    data = small()
    with pytest.raises(CalibrationError, match=r"longest exposure is 1\.5 times the shortest, at least 8"):
        camera.fit(replace(data, exposures_s=np.linspace(0.02, 0.03, len(data.frames))))
    still = np.broadcast_to(rng.poisson(50, data.frames.shape[1:]), data.frames.shape).astype(np.uint16)
    with pytest.raises(CalibrationError, match=r"adds -?0\.0 counts to the mean"):
        camera.fit(replace(data, frames=still))
    smooth = np.broadcast_to(data.frames.mean(axis=1, keepdims=True), data.frames.shape).astype(np.uint16)
    with pytest.raises(CalibrationError, match="the variance rises by"):
        camera.fit(replace(data, frames=smooth))
    with pytest.raises(CalibrationError, match="0 points of the photon transfer curve"):
        photon_transfer(np.full((10, 4, 32, 32), 4095, np.uint16), 4095, 0.0)
