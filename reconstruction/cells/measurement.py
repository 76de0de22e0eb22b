"""Measures labelled cells: area, place, phase above the background, optical volume, dry mass, and their random errors.

Notes
-----
The speckle hardly senses the mean of the phase, so nothing is measured against zero. The background of a cell is the median
of a ring around it, which holds no pixel of another cell. How it slopes and bends from the ring to beneath the cell follows
from all of the background: :mod:`reconstruction.cells.background`.

The edge of a cell is blurred, so a part of its phase lies outside its label: 5 % at a radius of 4 pixels. Volume and mass are
sums over the cell and over what lies between it and its ring. So they hardly depend on how tightly a segmenter draws the cell.
Where cells touch, each pixel belongs to the nearest one.

Errors of neighbouring pixels are not independent: a reconstruction is smooth, so that a group of pixels errs together. With
``N`` pixels in such a group, the sum over ``n`` pixels with the standard deviation ``s`` has the variance ``N n s^2`` and not
``n s^2``. ``N`` is the sum of the autocorrelation of the phase beside the cells, over the lags that fit into the cell, which
counts as a disc. The autocorrelation is not known inside cells, where it is assumed to be the same. A cell and the ring
beside it err together, too, and this part of the error cancels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from reconstruction.base import Reconstruction
from reconstruction.cells.background import DEVIATION, smooth_background
from reconstruction.cells.table import CellScale, CellTable

#: The ring begins at this distance from every cell, because edges are blurred, and is so wide; in pixels.
_GAP_PX: Final = 2.0
_WIDTH_PX: Final = 4.0
#: With fewer pixels in its ring, a cell is compared with so many free pixels that are nearest to it.
_FEWEST_PX: Final = 16
#: The autocorrelation is summed up to this distance at most, in pixels.
_LAG_PX: Final = 12
#: A background with a smaller deviation, in radians, is one that the model has flattened: it says nothing of errors.
_FLAT_RAD: Final = 1e-3
#: Grain of errors where the background says nothing: the width of a Gaussian blur, in pixels.
_USUAL_GRAIN_PX: Final = 1.0
#: Variance of the median of Gaussian numbers over that of their mean.
_MEDIAN: Final = math.pi / 2


def measure_cells(
    phase_rad: NDArray[np.float32],
    labels: NDArray[np.uint16],
    mask: NDArray[np.bool_],
    scale: CellScale,
    std_rad: NDArray[np.float32] | None = None,
) -> CellTable:
    """Measure every labelled cell.

    Parameters
    ----------
    phase_rad : ndarray of float32, shape (h, w)
        Phase in radians, finite where there are cells.
    labels : ndarray of uint16, shape (h, w)
        0 is background; 1, 2, ... are the cells. Numbers without a pixel are left out.
    mask : ndarray of bool, shape (h, w)
        The fibre's disc.
    scale : CellScale
        What is known of pixel, light and dry matter.
    std_rad : ndarray of float32, shape (h, w), optional
        Standard deviation of the phase in radians. Without it, the noise in the ring counts: it has no part of what a model
        does wrong in the cell. A ring without noise says nothing, and then the error is not known.

    Returns
    -------
    CellTable
        The measurements.
    """
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    numbers = np.flatnonzero(areas)
    area = areas[numbers].astype(np.float64)
    flat = labels.ravel()
    rows, columns = (_sums(flat, np.asarray(axis, np.float64), numbers) for axis in np.indices(labels.shape))
    field = _Field.of(phase_rad, labels, mask, std_rad)
    rings = field.rings(numbers)
    cell, cell_std = field.above(rings, labels, numbers, _GAP_PX)
    total, total_std = field.above(rings, field.with_edges, numbers, 0.0)
    pixel_um2 = math.nan if scale.pixel_um is None else scale.pixel_um**2
    volume_um3 = math.nan if scale.wavelength_um is None else scale.wavelength_um / (2 * math.pi) * pixel_um2
    increment = scale.refractive_increment_um3_per_pg
    mass_pg = math.nan if increment is None else volume_um3 / increment
    return CellTable(
        label=numbers.astype(np.uint16),
        identity=np.zeros(len(numbers), np.int32),
        area_px=areas[numbers].astype(np.int32),
        area_um2=area * pixel_um2,
        x_px=columns / area,
        y_px=rows / area,
        background_rad=rings.median + _sums(flat, field.surface_rad, numbers) / area,
        mean_phase_rad=cell / area,
        mean_phase_std_rad=cell_std / area,
        optical_volume_um3=total * volume_um3,
        optical_volume_std_um3=total_std * volume_um3,
        dry_mass_pg=total * mass_pg,
        dry_mass_std_pg=total_std * mass_pg,
        is_cut=_cut(labels, mask, numbers),
        correlated_px=float(field.correlation.weights.sum()),
        is_least_std=std_rad is None,
    )


def measure_reconstruction(reconstruction: Reconstruction, labels: NDArray[np.uint16], scale: CellScale) -> CellTable:
    """Measure every labelled cell of a reconstruction, whose phase is finite; without a disc the whole field counts."""
    mask = np.ones(labels.shape, np.bool_) if reconstruction.mask is None else reconstruction.mask
    return measure_cells(reconstruction.phase_rad, labels, mask, scale, reconstruction.uncertainty_rad)


def _sums(flat: NDArray[np.uint16], values: NDArray[np.float64], numbers: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the sum of values (h, w) over each of the numbered cells."""
    return np.asarray(np.bincount(flat, values.ravel())[numbers], np.float64)


@dataclass(frozen=True, eq=False)
class _Rings:
    """Median, standard deviation and number of pixels of the ring of each cell, (cells,)."""

    median: NDArray[np.float64]
    noise: NDArray[np.float64]
    count: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Field:
    """A phase image with cells, and what lies around them.

    Parameters
    ----------
    phase_rad : ndarray of float32, shape (h, w)
        Phase above the smooth background, in radians.
    surface_rad : ndarray of float64, shape (h, w)
        The smooth background in radians.
    std_rad : ndarray of float32, shape (h, w), optional
        Standard deviation of the phase.
    labels, with_edges : ndarray of uint16, shape (h, w)
        The cells, without and with the pixels nearest to each that its blurred edge may reach.
    nearest : ndarray of uint16, shape (h, w)
        The cell that is nearest to each pixel.
    free, in_ring : ndarray of bool, shape (h, w)
        Pixels that no cell reaches, and those of them that belong to rings.
    correlation : _Correlation
        How errors of pixels go together.
    """

    phase_rad: NDArray[np.float32]
    surface_rad: NDArray[np.float64]
    std_rad: NDArray[np.float32] | None
    labels: NDArray[np.uint16]
    with_edges: NDArray[np.uint16]
    nearest: NDArray[np.uint16]
    free: NDArray[np.bool_]
    in_ring: NDArray[np.bool_]
    correlation: _Correlation

    @classmethod
    def of(
        cls,
        phase_rad: NDArray[np.float32],
        labels: NDArray[np.uint16],
        mask: NDArray[np.bool_],
        std_rad: NDArray[np.float32] | None,
    ) -> Self:
        """Return the field of labelled cells."""
        inside = labels > 0
        correlation = _Correlation.beside_cells(phase_rad, labels, mask)
        if not inside.any():
            nothing = np.zeros(labels.shape, np.bool_)
            surface_rad = np.zeros(labels.shape)
            return cls(phase_rad, surface_rad, std_rad, labels, labels, labels, nothing, nothing, correlation)
        distance, pixel = cv2.distanceTransformWithLabels(
            (~inside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
        )
        cell_of = np.zeros(int(pixel.max()) + 1, np.uint16)
        cell_of[pixel[inside]] = labels[inside]
        nearest, usable = cell_of[pixel], mask & np.isfinite(phase_rad)
        free = usable & (distance > _GAP_PX)
        with_edges = np.where(inside | (usable & ~free), nearest, 0).astype(np.uint16)
        in_ring = free & (distance <= _GAP_PX + _WIDTH_PX)
        surface_rad = smooth_background(phase_rad, free)
        above_rad = (phase_rad - surface_rad).astype(np.float32)
        return cls(above_rad, surface_rad, std_rad, labels, with_edges, nearest, free, in_ring, correlation)

    def above(
        self, rings: _Rings, zones: NDArray[np.uint16], numbers: NDArray[np.intp], gap_px: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the phase above the background summed over the zone (h, w) of each cell, and its standard deviation.

        ``gap_px`` lies between zone and ring. Both err together across it, and this error cancels.
        """
        if not len(numbers):
            return np.zeros(0), np.zeros(0)
        flat = zones.ravel()
        area = np.bincount(flat)[numbers].astype(np.float64)
        total = _sums(flat, np.where(zones > 0, self.phase_rad, 0).astype(np.float64), numbers) - area * rings.median
        if self.std_rad is None:
            variance = area * np.where(rings.noise > _FLAT_RAD, rings.noise, np.nan) ** 2
        else:
            variance = _sums(flat, np.where(zones > 0, self.std_rad, 0).astype(np.float64) ** 2, numbers)
        variance *= self.correlation.in_discs(area)
        with np.errstate(invalid="ignore", divide="ignore"):
            of_background = np.minimum(_MEDIAN * self.correlation.in_strip(_WIDTH_PX) / rings.count, 1.0)
            shared = 2 * self.correlation.across(gap_px) / _WIDTH_PX
            variance += rings.noise**2 * area * np.maximum(area * of_background - shared, 0)
        return total, np.sqrt(variance)

    def rings(self, numbers: NDArray[np.intp]) -> _Rings:
        """Return the rings of numbered cells."""
        if not len(numbers):
            empty = np.zeros(0)
            return _Rings(empty, empty, empty)
        ring, values = self.nearest[self.in_ring], self.phase_rad[self.in_ring]
        count = np.bincount(ring, minlength=int(numbers[-1]) + 1)[numbers].astype(np.float64)
        few = count < _FEWEST_PX
        median, noise = np.full(len(numbers), np.nan), np.full(len(numbers), np.nan)
        if not few.all():
            enough = numbers[~few]
            median[~few] = ndimage.median(values, ring, enough)
            centre = np.zeros(int(numbers[-1]) + 1)
            centre[numbers] = median
            noise[~few] = DEVIATION * np.asarray(ndimage.median(np.abs(values - centre[ring]), ring, enough))
        for k in np.flatnonzero(few):  # it touches others all round, or lies at the edge
            near = _nearest_free(self.phase_rad, self.labels == numbers[k], self.free)
            count[k] = near.size
            if near.size:
                median[k] = np.median(near)
                noise[k] = DEVIATION * np.median(np.abs(near - median[k]))
        return _Rings(median, noise, count)


def _nearest_free(phase_rad: NDArray[np.float32], cell: NDArray[np.bool_], free: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the phase of the free pixels that are nearest to a cell."""
    away = cv2.distanceTransform((~cell).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)[free]
    values = phase_rad[free]
    if values.size <= _FEWEST_PX:
        return values
    return values[np.argpartition(away, _FEWEST_PX)[:_FEWEST_PX]]


@dataclass(frozen=True, eq=False)
class _Correlation:
    """How errors of pixels go together.

    Parameters
    ----------
    weights : ndarray of float64, shape (n,)
        Sum of the autocorrelation over all lags of about 0, 1, ..., n - 1 pixels.
    """

    weights: NDArray[np.float64]

    @classmethod
    def beside_cells(cls, phase_rad: NDArray[np.float32], labels: NDArray[np.uint16], mask: NDArray[np.bool_]) -> Self:
        """Return that of the background; where it is too small or too flat to show one, that of a usual grain."""
        near = cv2.dilate((labels > 0).astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))) > 0
        free = mask & ~near & np.isfinite(phase_rad)
        if np.count_nonzero(free) < _LAG_PX**2:
            return cls.of_grain(_USUAL_GRAIN_PX)
        rest = np.where(free, phase_rad, 0).astype(np.float64)
        rest[free] -= _plane(rest, free)  # a slope is no noise
        lags = np.arange(-_LAG_PX, _LAG_PX + 1)
        products, pairs = (_lagged(image)[np.ix_(lags, lags)] for image in (rest, free.astype(np.float64)))
        variance = products[_LAG_PX, _LAG_PX] / pairs[_LAG_PX, _LAG_PX]
        if variance < _FLAT_RAD**2:
            return cls.of_grain(_USUAL_GRAIN_PX)
        with np.errstate(invalid="ignore", divide="ignore"):
            values = np.where(pairs > 0.5, products / pairs / variance, 0.0)
        return cls._of_lags(values)

    @classmethod
    def of_grain(cls, sigma_px: float) -> Self:
        """Return that of white noise after a Gaussian blur."""
        lags = np.arange(-_LAG_PX, _LAG_PX + 1)
        return cls._of_lags(np.exp(-np.add.outer(lags**2, lags**2) / (4 * sigma_px**2)))

    @classmethod
    def _of_lags(cls, correlation: NDArray[np.float64]) -> Self:
        lags = np.arange(-_LAG_PX, _LAG_PX + 1)
        radius = np.rint(np.hypot(*np.meshgrid(lags, lags))).astype(np.intp).ravel()
        weights = np.asarray(np.bincount(radius, correlation.ravel())[: _LAG_PX + 1], np.float64)
        # Up to the first radius without correlation: what follows is chance.
        return cls(weights[: int(np.argmax(np.append(weights, -1.0) <= 0.0))])

    def in_discs(self, area_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how many pixels err together in discs of these areas: a lag counts where it leads to another pixel inside."""
        lag = np.minimum(np.arange(len(self.weights)) / (2 * np.sqrt(area_px[:, None] / math.pi)), 1.0)
        overlap = 2 / math.pi * (np.arccos(lag) - lag * np.sqrt(1 - lag**2))
        return np.asarray(overlap @ self.weights)

    def across(self, gap_px: float) -> float:
        """Return how many pairs of pixels on both sides of a long gap err together, for each pixel of its length."""
        lag = np.arange(len(self.weights), dtype=np.float64)
        beyond = lag[lag > gap_px]
        # The mean over all directions of how far a lag reaches beyond the gap.
        reach = (np.sqrt(beyond**2 - gap_px**2) - gap_px * np.arccos(gap_px / beyond)) / math.pi
        return float(reach @ self.weights[lag > gap_px])

    def in_strip(self, width_px: float) -> float:
        """Return how many pixels err together in a long strip."""
        overlap = np.clip(1 - 2 / math.pi * np.arange(len(self.weights)) / width_px, 0, None)
        return float(overlap @ self.weights)


def _lagged(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of products of pixels at each lag; lags up to the largest one do not wrap around."""
    shape = [_LAG_PX + side for side in image.shape]
    return np.asarray(np.fft.irfft2(np.abs(np.fft.rfft2(image, shape)) ** 2, shape))


def _plane(values: NDArray[np.float64], free: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the plane that fits the free pixels best, at these pixels."""
    y, x = np.nonzero(free)
    # Centred, so that the normal equations, which are fast, are also exact enough.
    design = np.column_stack([np.ones(y.size), y - y.mean(), x - x.mean()])
    return design @ np.linalg.lstsq(design.T @ design, design.T @ values[free], rcond=None)[0]


def _cut(labels: NDArray[np.uint16], mask: NDArray[np.bool_], numbers: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which cells touch the edge of the picture or of the fibre's disc."""
    padded = np.pad(mask.astype(np.uint8), 1)
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8), borderValue=0)[1:-1, 1:-1] > 0
    at_edge = np.bincount(labels[~inner], minlength=int(labels.max()) + 1)
    return np.asarray(at_edge[numbers] > 0)
