"""The second-order model agrees with the twin's own speckle, in sign and size, and is differentiable and quick to evaluate."""

from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import optimize

from calibration.fibre.second_order import LocalCovariance, MapSampling, SecondOrder, contrast, local_covariance, square_lags
from calibration.fibre.speckle_field import disc, on_camera, rolled_off
from calibration.fibre.statistics import smooth_phases
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig

MODEL = SecondOrder(1.0, 57.0, 4.8)
REAL = Path(__file__).resolve().parents[4] / "shared" / "real-mcf"


def test_a_flat_phase_gives_the_grain_everywhere() -> None:
    lags = square_lags()
    maps = LocalCovariance(SecondOrder(1.0, 57.0, 4.8, 0.9), (120, 128), MapSampling(lags))(torch.zeros(120, 128))
    assert maps.shape == (25, 120, 128)
    for lag, value in zip(lags, maps[:, 60, 64], strict=True):
        grain = math.exp(-4 * (math.pi * MODEL.bandwidth * math.hypot(*lag)) ** 2)
        assert float(value) == pytest.approx(0.9 * grain, abs=2e-3)


@pytest.mark.parametrize("slope", [(0.15, 0.0), (0.0, -0.15), (0.1, 0.1)])
def test_a_slope_shifts_the_speckle_and_the_coupling_weakens_it(slope: tuple[float, float]) -> None:
    rows, columns = np.indices((96, 96), np.float32)
    tilt = torch.from_numpy(slope[0] * rows + slope[1] * columns)
    lags = square_lags(4)
    covariance = LocalCovariance(MODEL, (96, 96), MapSampling(lags))(tilt)[:, 48, 48].numpy()
    shift = -MODEL.defocus_px * np.array(slope) / (2 * math.pi)
    off = np.array(lags) - shift * np.sign(shift @ np.array(lags)[int(np.argmax(covariance))])
    grain = np.exp(-4 * (math.pi * MODEL.bandwidth) ** 2 * (off**2).sum(1))
    lost = math.exp(-((math.hypot(*slope) * MODEL.coupling_px) ** 2))
    assert np.allclose(covariance, lost * grain, atol=5e-3)


def test_stride_loses_nothing() -> None:
    phase = torch.from_numpy(smooth_phases((128, 120), 1)[0])
    whole = LocalCovariance(MODEL, (128, 120), MapSampling(square_lags()))(phase)[:, ::4, ::4]
    coarse = LocalCovariance(MODEL, (128, 120), MapSampling(square_lags(), stride=4))(phase)
    assert coarse.shape == (25, 32, 30)
    assert float((whole - coarse)[:, 5:-5, 5:-5].abs().max()) < 1e-3


def test_gradients_are_those_of_finite_differences() -> None:
    phases = torch.from_numpy(smooth_phases((32, 32), 2)).double().requires_grad_()
    maps = LocalCovariance(MODEL, (32, 32), MapSampling(((0, 0), (0, 1)), stride=2))
    maps(phases[:1].float(), phases[1:].float()).sum().backward()
    assert phases.grad is not None
    step = torch.zeros_like(phases)
    step[0, 14:18, 14:18] = 0.02
    with torch.no_grad():
        forward, backward = (maps((phases + s)[:1].float(), (phases + s)[1:].float()).sum() for s in (step, -step))
    assert float((phases.grad * step).sum()) == pytest.approx(float(forward - backward) / 2, rel=0.02)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_twin_speckle_has_these_covariances(seed: int) -> None:
    optics = FibreOptics(OpticsConfig(image_px=160, field_radius_um=50.0, seed=seed, background=0.0))
    phases = torch.from_numpy(np.concatenate([np.zeros((1, 160, 160), np.float32), smooth_phases((160, 160), 6, seed=seed)]))
    with torch.inference_mode():
        frames = optics.intensity(phases).numpy()
    rows, columns = np.indices((160, 160))
    from_centre = np.hypot(rows - 79.5, columns - 79.5)
    aperture = 1 / (1 + np.exp((from_centre - 73.5) / 4))
    contrasts = [contrast(frame / rolled_off(aperture), from_centre < 71) for frame in frames]
    core = (from_centre < 60)[::4, ::4]
    pairs = list(combinations(range(7), 2))
    sampling = MapSampling(square_lags(), window_px=6.0, stride=4)
    measured = np.stack([local_covariance(contrasts[i], contrasts[j], sampling)[:, core] for i, j in pairs])

    def alike(model: SecondOrder) -> tuple[float, float]:
        maps = LocalCovariance(model, (160, 160), sampling, aperture)
        predicted = np.stack([maps(phases[i], phases[j]).numpy()[:, core] for i, j in pairs])
        scale = float((predicted * measured).sum() / (predicted**2).sum())
        about = [values - values.mean((0, 2), keepdims=True) for values in (predicted, measured)]
        return float(np.corrcoef(about[0].ravel(), about[1].ravel())[0, 1]), scale

    right, scale = alike(SecondOrder(1.0, optics.config.defocus_px, 4.8))
    assert right > 0.7
    assert 0.9 < scale < 1.1
    assert alike(SecondOrder(-1.0, optics.config.defocus_px, 4.8))[0] < right - 0.2, "the phase's sign is seen"
    for wrong in (SecondOrder(1.0, 30.0, 4.8), SecondOrder(1.0, 100.0, 4.8), SecondOrder(2.0, 57.0, 4.8)):
        assert alike(wrong)[0] < right - 0.01


def test_contrast_knows_no_relief_and_no_outside() -> None:
    rows, columns = np.indices((100, 100))
    inside = np.hypot(rows - 50, columns - 50) < 40
    image = contrast((1 + 0.005 * rows + 0.003 * columns).astype(np.float32), inside)
    assert np.abs(image).max() < 0.1
    assert not image[~inside].any()


def test_impossible_models_are_refused() -> None:
    for wrong in ((1.0, 0.0, 4.8), (1.0, 57.0, -1.0), (1.0, 57.0, 4.8, 1.2)):
        with pytest.raises(ValueError, match="must be positive"):
            SecondOrder(*wrong)
    assert SecondOrder(1.0, 57.0, 4.8).locality_px == pytest.approx(8.45, abs=0.01)


def grey(file: Path) -> NDArray[np.float32]:
    image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    return image.astype(np.float32)


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason=f"the real captures are not in {REAL}")
def test_real_pairs_have_these_covariances() -> None:
    # Scale, angle and shifts that the script of the pairs' own statistics gives.
    name, registration = "imagenet", (1.07859, -0.03899, -0.80134, 2.34769, 0.9908)
    files = sorted((REAL / name / "input").glob("*.png"))
    frames = [grey(file) for file in files]
    labels = [grey(REAL / name / "label" / file.name) for file in files]
    scale, angle, down, right, stretch = registration
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    to_label = np.array([[cos, stretch * sin, right], [-sin, stretch * cos, down]])
    to_camera = np.asarray(cv2.invertAffineTransform(to_label), np.float64)
    phases = torch.from_numpy(np.stack([on_camera(label, (512, 512), to_camera) / 255 for label in labels]))
    centre, radius = disc(np.mean(frames, 0))
    rows, columns = np.indices((512, 512))
    from_centre = np.hypot(rows - centre[0], columns - centre[1])
    aperture = 1 / (1 + np.exp((from_centre - radius) / 4))
    contrasts = [contrast(frame / rolled_off(aperture), from_centre < radius - 2) for frame in frames]
    core = (from_centre < radius - 30)[::4, ::4]
    pairs, sampling = list(combinations(range(len(files)), 2)), MapSampling(square_lags(), window_px=6.0, stride=4)
    measured = np.stack([local_covariance(contrasts[i], contrasts[j], sampling)[:, core] for i, j in pairs])

    def predicted(x: NDArray[np.float64]) -> NDArray[np.float32]:
        maps = LocalCovariance(SecondOrder(x[0], x[1], x[2]), (512, 512), sampling, aperture)
        every = np.stack([maps(phases[i], phases[j]).numpy()[:, core] for i, j in pairs])
        return np.asarray(every * ((every * measured).sum() / (every**2).sum()))

    start = [2.5, 55, 5]
    solution = optimize.least_squares(lambda x: (predicted(x) - measured).ravel(), start, diff_step=0.01, xtol=1e-3)
    scale, defocus_px, coupling_px = solution.x
    fitted = predicted(np.array([scale, defocus_px, coupling_px]))
    assert np.corrcoef(fitted[:, 12].ravel(), measured[:, 12].ravel())[0, 1] > 0.87
    assert 2.3 < scale < 3.0
    assert 45 < defocus_px < 70
    assert 4 < coupling_px < 6.2
