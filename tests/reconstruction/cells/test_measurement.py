"""Measurements of cells against cells of known mass, and laws that they must obey."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from reconstruction.cells.measurement import measure_cells
from reconstruction.cells.table import CellQuantity, CellScale, CellTable

SIDE = 128
SCALE = CellScale(pixel_um=0.5, wavelength_um=0.532, refractive_increment_um3_per_pg=0.19)
Y, X = np.mgrid[:SIDE, :SIDE].astype(np.float64)
DISC = np.hypot(Y - 63.5, X - 63.5) <= 60
#: Row, column, radius in pixels, and dry mass in picograms.
CELLS = ((40.0, 45.0, 9.0, 180.0), (40.0, 64.0, 9.0, 260.0), (85.0, 50.0, 7.0, 95.0), (80.0, 90.0, 11.0, 400.0))


def phase_of(mass_pg: float, density: NDArray[np.float64], scale: CellScale = SCALE) -> NDArray[np.float64]:
    """Return the phase of a cell of this mass, which is spread as ``density`` says."""
    assert scale.pixel_um is not None
    assert scale.wavelength_um is not None
    assert scale.refractive_increment_um3_per_pg is not None
    pg_per_um2 = mass_pg * density / density.sum() / scale.pixel_um**2
    return 2 * math.pi / scale.wavelength_um * scale.refractive_increment_um3_per_pg * pg_per_um2


def field(
    cells: tuple[tuple[float, float, float, float], ...] = CELLS, shift: tuple[int, int] = (0, 0)
) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    """Return phase and labels of lens-shaped cells, of which the first two touch."""
    phase, labels = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE), np.uint16)
    for number, (row, column, radius, mass_pg) in enumerate(cells, start=1):
        height = np.clip(1 - ((Y - row - shift[0]) ** 2 + (X - column - shift[1]) ** 2) / radius**2, 0, None)
        height[labels > 0] = 0
        phase += phase_of(mass_pg, height)
        labels[height > 0] = number
    return phase.astype(np.float32), labels


def measured(phase: NDArray[np.floating], labels: NDArray[np.uint16], scale: CellScale = SCALE) -> CellTable:
    return measure_cells(phase.astype(np.float32), labels, DISC, scale)


def grainy(rng: np.random.Generator, sigma_px: float, std_rad: float) -> NDArray[np.float32]:
    """Return noise whose grain is a Gaussian of this width."""
    noise = rng.normal(0, 1, (SIDE, SIDE))
    if sigma_px:
        noise = cv2.GaussianBlur(noise, (0, 0), sigma_px)
    return (noise / noise.std() * std_rad).astype(np.float32)


def test_cells_of_known_mass_are_weighed_within_one_percent() -> None:
    cells = measured(*field())
    assert list(cells.label) == [1, 2, 3, 4]
    assert cells.dry_mass_pg == pytest.approx([mass for *_, mass in CELLS], rel=0.01)
    assert cells.optical_volume_um3 == pytest.approx(cells.dry_mass_pg * 0.19, rel=1e-6)
    assert cells.area_um2 == pytest.approx([math.pi * (radius / 2) ** 2 for _, _, radius, _ in CELLS], rel=0.06)
    seen = cells.mean_phase_rad * cells.area_um2 * 0.532 / (2 * math.pi)
    assert seen == pytest.approx(cells.optical_volume_um3), "nothing lies in the edges of these cells"
    assert (cells.y_px[3], cells.x_px[3]) == pytest.approx(CELLS[3][:2], abs=0.01)


@pytest.mark.parametrize("change_px", [-1, 0, 1])
def test_a_blurred_edge_and_a_tight_or_loose_outline_change_the_mass_little(change_px: int) -> None:
    phase, labels = field(CELLS[2:])
    blurred = cv2.GaussianBlur(phase, (0, 0), 0.8)
    kernel = np.ones((3, 3), np.uint8)
    drawn = cv2.erode(labels, kernel) if change_px < 0 else cv2.dilate(labels, kernel) if change_px else labels
    assert measured(blurred, drawn).dry_mass_pg == pytest.approx([mass for *_, mass in CELLS[2:]], rel=0.04)


@pytest.mark.parametrize("background", [lambda: 0.7, lambda: -2.0, lambda: 0.3 + 0.004 * X - 0.003 * Y])
def test_the_background_does_not_matter(background) -> None:
    phase, labels = field()
    cells = measured(phase + background(), labels)
    assert cells.dry_mass_pg == pytest.approx(measured(phase, labels).dry_mass_pg, rel=0.02)


def test_a_background_that_bends_beneath_the_cells_does_not_matter_either() -> None:
    phase, labels = field()
    ground = 0.3 * np.cos(2 * math.pi * X / 90) * np.cos(2 * math.pi * Y / 110)
    cells = measured(0.1 * phase + ground, labels)
    assert cells.dry_mass_pg == pytest.approx([0.1 * mass for *_, mass in CELLS], rel=0.02)  # with the ring alone: up to 11 %
    own = np.array([ground[labels == label].mean() for label in cells.label])
    assert cells.background_rad == pytest.approx(own, abs=0.01)


def test_a_cell_that_moves_keeps_its_numbers() -> None:
    here, there = measured(*field()), measured(*field(shift=(5, -7)))
    assert there.dry_mass_pg == pytest.approx(here.dry_mass_pg, rel=1e-4)
    assert there.y_px - here.y_px == pytest.approx(5, abs=1e-4)
    assert there.x_px - here.x_px == pytest.approx(-7, abs=1e-4)


def test_numbers_scale_as_lengths_areas_and_volumes_do() -> None:
    phase, labels = field()
    one, large = measured(phase, labels), measured(phase, labels, replace(SCALE, pixel_um=1.5))
    assert large.area_um2 == pytest.approx(9 * one.area_um2)
    assert large.optical_volume_um3 == pytest.approx(9 * one.optical_volume_um3)
    red = measured(phase, labels, replace(SCALE, wavelength_um=2 * 0.532))
    assert red.optical_volume_um3 == pytest.approx(2 * one.optical_volume_um3)
    denser = measured(phase, labels, replace(SCALE, refractive_increment_um3_per_pg=0.38))
    assert denser.dry_mass_pg == pytest.approx(one.dry_mass_pg / 2)
    twice = measured(2 * phase, labels)
    assert twice.dry_mass_pg == pytest.approx(2 * one.dry_mass_pg)


def test_what_is_not_stated_is_not_known() -> None:
    phase, labels = field()
    bare = measured(phase, labels, CellScale())
    assert np.isnan([bare.area_um2, bare.optical_volume_um3, bare.dry_mass_pg, bare.dry_mass_std_pg]).all()
    assert bare.mean_phase_rad == pytest.approx(measured(phase, labels).mean_phase_rad)
    no_mass = measured(phase, labels, replace(SCALE, refractive_increment_um3_per_pg=None))
    assert np.isnan(no_mass.dry_mass_pg).all()
    assert np.isfinite(no_mass.optical_volume_um3).all()


def test_the_ring_holds_no_pixel_of_another_cell() -> None:
    phase, labels = field()
    bright = phase.copy()
    bright[labels == 2] += 5.0
    alone, beside = measured(phase, labels), measured(bright, labels)
    others = [0, 2, 3]
    assert beside.dry_mass_pg[others] == pytest.approx(alone.dry_mass_pg[others], rel=1e-5)


def test_a_cell_between_others_is_compared_with_the_nearest_free_pixels() -> None:
    labels = np.zeros((SIDE, SIDE), np.uint16)
    labels[56:72, 56:72] = 2
    labels[48:80, 48:80][labels[48:80, 48:80] == 0] = 1  # all round it
    cells = measured(np.where(labels == 2, 1.0, 0.25), labels)
    assert cells.background_rad[1] == pytest.approx(0.25)
    assert np.isfinite(cells.dry_mass_pg).all()
    assert np.isnan(cells.dry_mass_std_pg).all(), "a background without noise says nothing of errors"


def test_a_cell_at_the_edge_is_cut_and_a_field_without_free_pixels_gives_no_phase() -> None:
    labels = np.zeros((SIDE, SIDE), np.uint16)
    labels[60:70, 110:124] = 1
    labels[60:70, 60:70] = 2
    labels[~DISC] = 0
    assert list(measured(np.zeros((SIDE, SIDE)), labels).is_cut) == [True, False]
    full = measured(np.ones((SIDE, SIDE)), DISC.astype(np.uint16))
    assert np.isnan([full.mean_phase_rad, full.dry_mass_pg, full.dry_mass_std_pg]).all()
    assert len(measured(np.ones((SIDE, SIDE)), np.zeros((SIDE, SIDE), np.uint16))) == 0


@pytest.mark.parametrize("sigma_px", [0.0, 1.5])
@pytest.mark.parametrize("is_known", [False, True])
def test_the_uncertainty_is_that_of_repeated_measurements_with_correlated_noise_too(sigma_px: float, *, is_known: bool) -> None:
    phase, labels = field()
    rng = np.random.default_rng(4)
    std = np.full((SIDE, SIDE), 0.05, np.float32) if is_known else None
    repeats = [measure_cells(phase + grainy(rng, sigma_px, 0.05), labels, DISC, SCALE, std) for _ in range(150)]
    assert repeats[0].is_least_std is not is_known
    masses = np.array([cells.dry_mass_pg for cells in repeats])
    stated = np.mean([cells.dry_mass_std_pg for cells in repeats], axis=0)
    assert stated == pytest.approx(masses.std(axis=0, ddof=1), rel=0.3)
    assert np.mean([cells.correlated_px for cells in repeats]) == pytest.approx(max(1.0, 4 * math.pi * sigma_px**2), rel=0.15)


def test_a_background_that_a_model_has_flattened_counts_as_grainy_and_not_as_exact() -> None:
    phase, labels = field()
    std = np.full((SIDE, SIDE), 0.05, np.float32)
    cells = measure_cells(phase, labels, DISC, SCALE, std)
    assert cells.correlated_px == pytest.approx(4 * math.pi, rel=0.01)
    independent = 0.05 / np.sqrt(cells.area_px)
    assert (cells.mean_phase_std_rad > 2 * independent).all()
    assert (cells.mean_phase_std_rad < 4 * independent).all()


def test_quantities_have_a_standard_deviation_where_random_errors_decide() -> None:
    cells = measured(*field())
    assert np.isnan(cells.std(CellQuantity.AREA)).all()
    for quantity in (CellQuantity.MEAN_PHASE, CellQuantity.OPTICAL_VOLUME, CellQuantity.DRY_MASS):
        assert cells.values(quantity).shape == cells.std(quantity).shape == (4,)
    named = cells.with_identities(np.array([7, 8, 9, 10], np.int32))
    assert list(named.identity) == [7, 8, 9, 10]
    with pytest.raises(ValueError, match="read-only"):
        named.area_px[0] = 1
