"""Shifts of the speckle are measured in pixels and with the right sign; a slope of the phase shifts the speckle by the law."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from calibration.registration.displacement import displacement, lit_field, slopes, speckle_amplitude
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig

PX, CELL_PX = 256, 4
OPTICS = OpticsConfig(image_px=PX, field_radius_um=82.0, seed=3)


@pytest.fixture(scope="session")
def speckle() -> NDArray[np.float64]:
    """A fully developed speckle of the fibre's grain, 20 px larger than a frame on every side."""
    rng = np.random.default_rng(0)
    real, imaginary = (ndimage.gaussian_filter(rng.normal(size=(PX + 40, PX + 40)), 1.0) for _ in range(2))
    intensity = real**2 + imaginary**2
    return np.asarray(intensity / intensity.mean() * 40)


@pytest.fixture(scope="session")
def fibre() -> FibreOptics:
    return FibreOptics(OPTICS)


def moved(speckle: NDArray[np.float64], by: tuple[float, float]) -> NDArray[np.float64]:
    """Frame whose pixel r shows what the speckle has at ``r + by``."""
    return np.clip(ndimage.shift(speckle, (-by[0], -by[1]), order=5)[20:-20, 20:-20], 0, None)


def from_centre(centre: tuple[float, float] = (127.5, 127.5)) -> NDArray[np.float64]:
    rows, columns = np.mgrid[:PX, :PX]
    return np.hypot(rows - centre[0], columns - centre[1])


@pytest.mark.parametrize("by", [(0.0, 0.0), (0.1, 0.0), (0.3, -0.2), (0.0, 0.5), (-0.5, 0.4)])
def test_a_shift_is_found_in_pixels_and_with_its_sign(speckle: NDArray[np.float64], by: tuple[float, float]) -> None:
    move = displacement(speckle_amplitude(moved(speckle, by)), speckle_amplitude(moved(speckle, (0, 0))), CELL_PX)
    assert move.shift_px.shape == (2, PX // CELL_PX, PX // CELL_PX)
    assert move.weight.shape == move.shift_px.shape[1:]
    assert move.shift_px.dtype == move.weight.dtype == np.float32
    core = move.shift_px[:, 5:-5, 5:-5]
    length = math.hypot(*by)
    # Central differences make the slopes of fine grains a little too small, and the shifts a little too large.
    assert core.mean((1, 2)) == pytest.approx(np.array(by), abs=0.12 * length + 0.003)
    assert core.std((1, 2)).max() < 0.03 * length + 0.003


def test_two_places_move_their_own_ways(speckle: NDArray[np.float64]) -> None:
    frame = moved(speckle, (0.3, 0.0))
    frame[:, PX // 2 :] = moved(speckle, (-0.3, 0.2))[:, PX // 2 :]
    shift_px = displacement(speckle_amplitude(frame), speckle_amplitude(moved(speckle, (0, 0))), CELL_PX).shift_px
    assert shift_px[:, 8:-8, 8:24].mean((1, 2)) == pytest.approx(np.array([0.3, 0.0]), abs=0.05)
    assert shift_px[:, 8:-8, 40:56].mean((1, 2)) == pytest.approx(np.array([-0.3, 0.2]), abs=0.05)


def test_exchanging_the_frames_turns_the_shift_round(speckle: NDArray[np.float64]) -> None:
    here, there = (speckle_amplitude(moved(speckle, by)) for by in ((0.0, 0.0), (0.3, -0.2)))
    one, other = displacement(here, there, CELL_PX), displacement(there, here, CELL_PX)
    np.testing.assert_allclose(one.shift_px, -other.shift_px, atol=1e-4)
    np.testing.assert_allclose(one.weight, other.weight, rtol=1e-4)


def test_the_weight_falls_with_the_likeness(speckle: NDArray[np.float64], rng: np.random.Generator) -> None:
    still = speckle_amplitude(moved(speckle, (0, 0)))
    noisy = np.clip(moved(speckle, (0, 0)) + rng.normal(0, 25, (PX, PX)), 0, None)
    means = [
        displacement(still, speckle_amplitude(other), CELL_PX).weight.mean()
        for other in (moved(speckle, (0.2, 0)), noisy, speckle[-PX:, -PX:])
    ]
    assert means[0] > 2 * means[1] > 4 * means[2] > 0


@pytest.mark.parametrize("slope", [(0.02, 0.0), (0.0, -0.05), (0.04, 0.03), (-0.08, 0.0)])
def test_a_slope_of_the_phase_shifts_the_speckle_by_the_law(fibre: FibreOptics, slope: tuple[float, float]) -> None:
    rows, columns = np.mgrid[:PX, :PX].astype(np.float32) - 127.5
    phases = np.stack([slope[0] * rows + slope[1] * columns, np.zeros((PX, PX), np.float32)]).astype(np.float32)
    with torch.inference_mode():
        sloped, flat = fibre.intensity(torch.from_numpy(phases)).numpy() * 40
    move = displacement(speckle_amplitude(sloped), speckle_amplitude(flat), CELL_PX)
    inside = from_centre()[2::CELL_PX, 2::CELL_PX] < 90
    measured = np.average(move.shift_px[:, inside], axis=1, weights=move.weight[inside])
    # The frame at r equals the other frame a little down the slope, because light moves to where the phase increases.
    law = -OPTICS.defocus_px * np.array(slope) / (2 * math.pi)
    assert measured == pytest.approx(law, abs=0.1 * float(np.hypot(*law)) + 0.005)


def test_the_slopes_of_a_phase_are_per_camera_pixel() -> None:
    rows, columns = np.mgrid[:64, :64].astype(np.float32)
    slope = slopes(np.asarray(CELL_PX * (0.03 * rows - 0.01 * columns), np.float32), CELL_PX)
    assert slope.shape == (2, 64, 64)
    assert slope[0, 12:-12, 12:-12] == pytest.approx(0.03, rel=1e-3)
    assert slope[1, 12:-12, 12:-12] == pytest.approx(-0.01, rel=1e-3)


def test_the_amplitude_knows_neither_exposure_nor_relief(speckle: NDArray[np.float64]) -> None:
    counts = moved(speckle, (0, 0))
    rows = np.mgrid[:PX, :PX][0]
    plain = speckle_amplitude(counts)
    assert plain.dtype == np.float32
    assert abs(plain.mean()) < 0.02
    assert plain.std() == pytest.approx(1, abs=0.03)
    for other in (3 * counts, counts * (1 + rows / PX), np.rint(counts).clip(0, 255).astype(np.uint8)):
        assert np.corrcoef(plain.ravel(), speckle_amplitude(other).ravel())[0, 1] > 0.99
    assert np.abs(speckle_amplitude(np.zeros((64, 64), np.uint16))).max() < 1e-3, "darkness is no speckle"


@pytest.mark.parametrize(
    ("centre", "radius_px"), [((127.5, 127.5), 110), ((127.5, 127.5), 45), ((100.0, 150.0), 60), ((30.0, 127.5), 80)]
)
def test_the_fibre_is_found_wherever_it_lies(centre: tuple[float, float], radius_px: int, rng: np.random.Generator) -> None:
    distance = from_centre(centre)
    frames = [(rng.exponential(40, (PX, PX)) * (distance < radius_px) + rng.uniform(0, 2, (PX, PX))) for _ in range(3)]
    lit = lit_field([frame.astype(np.uint8) for frame in frames])
    assert lit.dtype == bool
    assert lit[distance < radius_px - 7].all(), "the border of the image is no border of the fibre"
    assert not lit[distance > radius_px].any()
    wide, narrow = (lit_field(frames, inward).sum() for inward in (0.5, 12.0))
    assert narrow < lit.sum() < wide


def test_light_on_the_whole_frame_is_all_fibre(rng: np.random.Generator) -> None:
    assert lit_field([rng.exponential(40, (90, 120)).astype(np.uint8) for _ in range(4)]).all()
    assert not lit_field([np.zeros((90, 120), np.uint8)]).any(), "darkness is no fibre"
