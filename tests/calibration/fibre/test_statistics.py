"""Phase scale, a and sc of unknown twins are recovered within 5 %; what cannot be measured is refused with the number."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from acquisition.capture.pair_capture import CaptureError, Rig
from app.instrument.config import checked
from app.instrument.opening import open_rig
from calibration.fibre import statistics
from calibration.fibre.second_order import SecondOrder
from calibration.fibre.speckle_field import disc, on_camera
from calibration.fibre.statistics import FibreData, ReferencePlan
from calibration.stored import CalibrationError
from drivers.clock import VirtualClock
from drivers.twin.camera import SimulatedCamera
from drivers.twin.slm import SimulatedSlm


class Misjudged(SimulatedSlm):
    """An SLM whose actual phase is not the requested one."""

    factor = 1.0

    def displayed_phase(self, phase_rad: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(super().displayed_phase(phase_rad) * np.float32(self.factor), np.float32)


def twin(factor: float = 1.0, px: int = 128, **optics: object) -> Rig:
    settings = {"twin": {"optics": {"image_px": px, "field_radius_um": 0.32 * px, **optics}}}
    rig = open_rig(checked(settings, "test"), VirtualClock())[0]
    assert isinstance(rig.slm, SimulatedSlm)
    assert isinstance(rig.camera, SimulatedCamera)
    slm = Misjudged((px, px), rig.slm.config, rig.clock)
    slm.factor = factor
    camera = SimulatedCamera(slm, rig.camera.optics, rig.camera.config, rig.camera.faults, rig.clock)
    return Rig(camera, slm, rig.clock, rig.trigger)


@pytest.fixture(scope="module")
def data() -> FibreData:
    return statistics.acquire(twin(seed=1), ReferencePlan(pairs=8))


@dataclass(frozen=True)
class Truth:
    """Properties of a twin, and the errors of a fit to them."""

    factor: float
    distance_um: float
    coupling_um: float

    def errors(self, model: SecondOrder) -> tuple[float, float, float]:
        defocus_px, coupling_px = 0.532 * self.distance_um / 0.68**2, self.coupling_um / 0.68
        return model.phase_scale / self.factor - 1, model.defocus_px / defocus_px - 1, model.coupling_px / coupling_px - 1


def recovered(truth: Truth, plan: ReferencePlan, px: int) -> tuple[float, float, float]:
    seed = plan.seed
    rig = twin(truth.factor, px, seed=seed, distance_um=truth.distance_um, coupling_sigma_um=truth.coupling_um)
    fit = statistics.fit(statistics.acquire(rig, plan))
    assert fit.correlation > 0.55
    assert fit.radius_px == pytest.approx(0.32 * px / 0.68, rel=0.03)
    assert fit.centre_px == pytest.approx(((px - 1) / 2, (px - 1) / 2), abs=4)
    assert fit.grain_fwhm_px == pytest.approx(2.16, rel=0.03)
    # The phase noise of the cores, exp(-2 * 0.22^2), and a little of the camera's.
    assert fit.model.repeatability == pytest.approx(0.905, abs=0.012)
    return truth.errors(fit.model)


@pytest.mark.parametrize(
    ("truth", "plan"),
    [
        pytest.param(Truth(0.8, 42.0, 2.7), ReferencePlan(seed=51), marks=pytest.mark.slow),
        pytest.param(Truth(1.1, 58.0, 3.9), ReferencePlan(seed=52), marks=pytest.mark.slow),
        pytest.param(Truth(1.0, 49.5, 3.26), ReferencePlan(seed=53), marks=pytest.mark.slow),
    ],
)
def test_scale_and_lengths_are_recovered(truth: Truth, plan: ReferencePlan) -> None:
    scale, defocus, coupling = recovered(truth, plan, 256)
    assert abs(scale) < 0.01
    assert abs(defocus) < 0.05
    assert abs(coupling) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(61, 67))
def test_the_whole_twin_is_recovered(seed: int) -> None:
    draw = np.random.default_rng(seed)
    truth = Truth(float(draw.uniform(0.8, 1.1)), float(draw.uniform(40, 60)), float(draw.uniform(2.5, 4)))
    assert np.abs(recovered(truth, ReferencePlan(seed=seed), 512)).max() < 0.05


def test_a_small_fibre_says_how_sure_it_is(data: FibreData) -> None:
    fit = statistics.fit(data)
    assert np.array_equal(fit.speckle, data.flats.mean(0))
    assert set(fit.sd) == {"phase_scale", "defocus_px", "coupling_px", "repeatability"}
    for name, true in (("phase_scale", 1.0), ("defocus_px", 56.95), ("coupling_px", 4.79)):
        sd = fit.sd[name]
        assert 0 < sd < 0.1 * true
        assert abs(getattr(fit.model, name) - true) < 3 * sd + 0.03 * true
    assert 0.85 < fit.shot_correlation < 0.95


def test_a_registered_panel_is_as_good(data: FibreData) -> None:
    rig = twin(seed=1, scale=0.9, rotation_deg=12.0, shift_px=(4.0, -3.0))
    turn = np.deg2rad(12.0)
    to_slm = 0.9 * np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])  # (x, y), as the optics turn (y, x)
    affine = np.asarray(cv2.invertAffineTransform(np.column_stack([to_slm, [-3.0, 4.0]])), np.float64)
    fit = statistics.fit(statistics.acquire(rig, ReferencePlan(pairs=8), affine))
    assert fit.correlation > statistics.fit(data).correlation - 0.05
    assert fit.model.defocus_px == pytest.approx(56.95, rel=0.1)


def test_smooth_phases_never_wrap() -> None:
    phases = statistics.smooth_phases((96, 128), 4, px=1.5, seed=3)
    assert phases.shape == (4, 96, 128)
    assert phases.min() >= 0
    assert phases.max() < 2 * np.pi * 255 / 256
    assert np.ptp(phases) > 5


def test_a_pattern_comes_out_where_the_affine_says() -> None:
    phase = np.zeros((40, 60), np.float32)
    phase[10:13, 20:23] = 1
    moved = on_camera(phase, (50, 50), np.array([[1.0, 0.0, 4.0], [0.0, 1.0, -2.0]]))
    row, column = (float(axis.mean()) for axis in np.nonzero(moved > 0.5))
    assert (row - 24.5, column - 24.5) == pytest.approx((11 - 19.5 - 2, 21 - 29.5 + 4))


def test_the_disc_is_found_off_centre(rng: np.random.Generator) -> None:
    rows, columns = np.indices((120, 150))
    light = 100 / (1 + np.exp((np.hypot(rows - 55.0, columns - 81.0) - 40.0) / 3)) * (1 + 0.002 * (rows - 55))
    centre, radius = disc((light * rng.uniform(0.7, 1.3, light.shape)).astype(np.float32))
    assert centre == pytest.approx((55.0, 81.0), abs=0.5)
    assert radius == pytest.approx(40.0, abs=1)


def test_bad_frames_are_refused_with_the_number(data: FibreData) -> None:
    dark = data.frames.copy()
    dark[2] *= 0.01
    with pytest.raises(
        CalibrationError, match=r"smooth frame 2 is dark: its mean is 0\.\d\d % of full scale, 0\.5 % are needed"
    ):
        statistics.fit(replace(data, frames=dark))
    bright = data.sweep.copy()
    bright[1] = np.clip(bright[1] * 20, 0, 255)
    with pytest.raises(CalibrationError, match=r"\d % of checkerboard frame 1 is saturated, at most 1 % is allowed"):
        statistics.fit(replace(data, sweep=bright))
    with pytest.raises(CalibrationError, match=r"at least 4 smooth phases, .* got 3, 6 and 5"):
        statistics.fit(replace(data, frames=data.frames[:3], phases_rad=data.phases_rad[:3]))


def test_a_moved_fibre_is_refused(data: FibreData) -> None:
    moved = np.concatenate([data.flats[:3], np.roll(data.flats[3:], 3, axis=1)])
    with pytest.raises(CalibrationError, match=r"before and after correlate -?0\.\d\d.*the fibre moved"):
        statistics.fit(replace(data, flats=moved))


def test_wrong_patterns_and_a_fibre_without_the_slms_light_are_refused(data: FibreData) -> None:
    few = replace(data, frames=data.frames[:4], phases_rad=data.phases_rad[:4])
    assert statistics.fit(few).correlation > 0.5
    for wrong in (np.roll(few.phases_rad, 1, axis=0), few.phases_rad[:, ::-1].copy()):
        with pytest.raises(CalibrationError, match=r"maps correlate -?0\.\d\d"):
            statistics.fit(replace(few, phases_rad=wrong))
    with pytest.raises(CalibrationError, match=r"explains \d+ % of the light"):
        statistics.fit(replace(data, sweep=data.flats[:5]))


def test_acquire_refuses_darkness_and_unregistered_shapes() -> None:
    rig = twin(seed=1)
    rig.camera.set_exposure(0.0001)
    with pytest.raises(CaptureError, match="is the light on"):
        statistics.acquire(rig)
    other = Rig(rig.camera, SimulatedSlm((100, 128), clock=rig.clock), rig.clock)
    with pytest.raises(CalibrationError, match="register them first"):
        statistics.acquire(other)
