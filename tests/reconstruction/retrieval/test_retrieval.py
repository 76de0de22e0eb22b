"""Phase is retrieved from one frame through a known fibre, up to its absolute level; frames that do not fit are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from acquisition.patterns.sources import open_source
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from reconstruction.base import ReconstructionError
from reconstruction.field import field_mask, to_grid
from reconstruction.metrics import score
from reconstruction.retrieval.amplitude_only import retrieve_amplitude_only
from reconstruction.retrieval.gradient import RetrievalConfig, retrieve, with_piston

PHASE_RANGE_RAD = 2.85
PX = 128
ONE_MODE = OpticsConfig(
    image_px=PX, field_radius_um=41.0, seed=5, mode_weights=(1.0,), coupling_sigma_um=0.0, phase_noise_rad=0.0, background=0.0
)
MASK = field_mask(32, 41.0 / 0.68 / (PX / 2))


@pytest.fixture(scope="module")
def optics() -> FibreOptics:
    return FibreOptics(ONE_MODE)


def speckle_of(optics: FibreOptics, phase_rad: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return optics.intensity(torch.tensor(phase_rad)[None])[0].numpy()


def ssim_centred(phase: np.ndarray, truth: np.ndarray) -> float:
    return score(to_grid(phase, 32), to_grid(truth, 32), MASK, PHASE_RANGE_RAD).ssim_centred


@pytest.mark.parametrize("number", [1, 3])
def test_cells_come_back(optics: FibreOptics, number: int) -> None:
    truth = open_source("held-out", (PX, PX), count=4)[number].phase_rad
    retrieved = retrieve(speckle_of(optics, truth), optics)
    assert ssim_centred(retrieved.phase_rad, truth) > 0.93
    assert retrieved.residual < 0.01


def test_light_power_and_background_do_not_matter(optics: FibreOptics) -> None:
    truth = open_source("held-out", (PX, PX), count=2)[1].phase_rad
    brighter = 2.0 * speckle_of(optics, truth) + 0.3
    gain = (2.0 * optics.response.scale) ** 0.5 * optics.core_gain[None]
    response = optics.with_response(gain, optics.core_phase, optics.response.coupling)
    assert ssim_centred(retrieve(brighter, response, background=0.3).phase_rad, truth) > 0.93


def test_light_that_has_changed_since_the_calibration_does_not_matter(optics: FibreOptics) -> None:
    truth = open_source("held-out", (PX, PX), count=2)[1].phase_rad
    assert ssim_centred(retrieve(0.6 * speckle_of(optics, truth), optics).phase_rad, truth) > 0.93


def test_a_wrong_fibre_does_not_give_the_phase(optics: FibreOptics) -> None:
    truth = open_source("held-out", (PX, PX), count=2)[1].phase_rad
    moved = FibreOptics(ONE_MODE)
    moved.set_drift(1.5)
    assert ssim_centred(retrieve(speckle_of(optics, truth), moved).phase_rad, truth) < 0.5


def test_a_start_is_used(optics: FibreOptics) -> None:
    truth = open_source("held-out", (PX, PX), count=2)[0].phase_rad
    few = RetrievalConfig(steps=3)
    frame = speckle_of(optics, truth)
    from_truth = retrieve(frame, optics, config=few, start_rad=truth)
    assert from_truth.residual < 0.3 * retrieve(frame, optics, config=few).residual
    assert ssim_centred(from_truth.phase_rad, truth) > 0.9


def test_phase_noise_as_an_unknown_improves_the_result() -> None:
    optics = FibreOptics(OpticsConfig(image_px=PX, field_radius_um=41.0, seed=5))
    truth = open_source("held-out", (PX, PX), count=2)[1].phase_rad
    noise = optics.shot_noise_rad(1, torch.Generator().manual_seed(0))
    with torch.no_grad():
        frame = optics.intensity(torch.tensor(truth)[None], noise)[0].numpy()
    without = ssim_centred(retrieve(frame, optics, config=RetrievalConfig(steps=80)).phase_rad, truth)
    with_noise = ssim_centred(retrieve(frame, optics, config=RetrievalConfig(steps=80, core_noise_rad=0.22)).phase_rad, truth)
    assert with_noise > without + 0.1


def test_the_lowest_percentile_of_the_phase_is_zero(optics: FibreOptics) -> None:
    phase = np.full((PX, PX), -4.0, np.float32)
    phase[60:70, 60:70] = 1.0
    phase[:5] = -9.0  # outside the disc
    assert with_piston(phase, optics)[64, 64] == pytest.approx(5.0)


def test_the_amplitude_only_method_finds_smooth_phase(optics: FibreOptics) -> None:
    y, x = np.mgrid[:PX, :PX] / PX
    truth = (np.sin(5 * x) + np.cos(4 * y)).astype(np.float32)
    retrieved = retrieve_amplitude_only(speckle_of(optics, truth), optics)
    truth = truth - truth.mean()
    assert score(to_grid(retrieved.phase_rad, 32), to_grid(truth, 32), MASK, PHASE_RANGE_RAD).correlation > 0.9


def test_a_frame_that_does_not_fit_is_refused(optics: FibreOptics) -> None:
    with pytest.raises(ReconstructionError, match=r"frame is \(64, 64\)"):
        retrieve(np.ones((64, 64), np.float32), optics)
    with pytest.raises(ReconstructionError, match=r"start is \(64, 64\)"):
        retrieve(np.ones((PX, PX), np.float32), optics, start_rad=np.ones((64, 64), np.float32))
    with pytest.raises(ReconstructionError, match="mean is 0"):
        retrieve(np.zeros((PX, PX), np.float32), optics)
    coupled = FibreOptics(OpticsConfig(image_px=PX, field_radius_um=41.0))
    with pytest.raises(ReconstructionError, match="3 modes"):
        retrieve_amplitude_only(np.ones((PX, PX), np.float32), coupled)
    with pytest.raises(ValueError, match="steps"):
        RetrievalConfig(steps=0)
