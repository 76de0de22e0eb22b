"""Mean, standard deviation, extremes, area and saturated fraction of the pixels in a region."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from app.measuring.shapes import PixelGrid, PointShape, RectangleShape, pixels_in


@dataclass(frozen=True, kw_only=True)
class RegionStatistics:
    """Numbers of a region; NaN where it has no pixel.

    Parameters
    ----------
    mean, std, low, high : float
        Mean, standard deviation (of the population), smallest and largest value, in the unit of the picture. Values that
        are not finite are skipped.
    pixels, not_finite : int
        Number of pixels, and how many of them have a value that is not finite.
    area_um2 : float
        Area of the pixels in square micrometres.
    saturated_fraction : float
        Fraction of the pixels at full scale; NaN where the picture has no full scale.
    """

    mean: float
    std: float
    low: float
    high: float
    pixels: int
    not_finite: int
    area_um2: float
    saturated_fraction: float


def region_statistics(
    picture: NDArray[np.generic], shape: PointShape | RectangleShape, pitch_um: float, full_scale: float | None = None
) -> RegionStatistics:
    """Return the numbers of a region.

    Parameters
    ----------
    picture : ndarray, shape (h, w)
        Counts, or phase in radians.
    shape : PointShape, RectangleShape or EllipseShape
        The region. A pixel belongs to it if its centre lies inside.
    pitch_um : float
        Side of a pixel in micrometres.
    full_scale : float, optional
        The count at which the camera saturates.
    """
    rows, columns = picture.shape
    pixels = pixels_in(shape, PixelGrid(rows, columns, pitch_um))
    number = int(np.count_nonzero(pixels.inside))
    window = picture[pixels.window]
    if window.dtype.kind == "u" and number:
        return _of_counts(window, pixels.inside, number * pitch_um**2, full_scale)
    values = window[pixels.inside].astype(np.float64)
    finite = values[np.isfinite(values)]
    nothing = math.nan
    return RegionStatistics(
        mean=float(finite.mean()) if finite.size else nothing,
        std=float(finite.std()) if finite.size else nothing,
        low=float(finite.min()) if finite.size else nothing,
        high=float(finite.max()) if finite.size else nothing,
        pixels=number,
        not_finite=number - finite.size,
        area_um2=number * pitch_um**2,
        saturated_fraction=float(np.mean(values >= full_scale)) if full_scale is not None and number else nothing,
    )


def region_mean(picture: NDArray[np.generic], shape: PointShape | RectangleShape, pitch_um: float) -> float:
    """Return the mean of :func:`region_statistics` alone, faster."""
    rows, columns = picture.shape
    pixels = pixels_in(shape, PixelGrid(rows, columns, pitch_um))
    window, inside = np.asarray(picture[pixels.window]), pixels.inside
    if not inside.any():
        return math.nan
    if window.dtype.kind == "u":
        return float(cv2.mean(window, mask=None if inside.all() else inside.view(np.uint8))[0])
    values = window[inside].astype(np.float64)
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else math.nan


def _of_counts(
    window: NDArray[np.generic], inside: NDArray[np.bool_], area_um2: float, full_scale: float | None
) -> RegionStatistics:
    # The same numbers for whole counts, without a copy of the pixels: a region may be the whole picture of a large camera.
    counts = np.asarray(window)
    number = int(np.count_nonzero(inside))
    mask = None if number == inside.size else inside.view(np.uint8)
    means, deviations = cv2.meanStdDev(counts, mask=mask)
    low, high, _, _ = cv2.minMaxLoc(counts, mask=mask)
    saturated = math.nan
    if full_scale is not None:
        saturated = float(np.count_nonzero(np.greater_equal(counts, full_scale) & inside)) / number
    return RegionStatistics(
        mean=float(means[0, 0]),
        std=float(deviations[0, 0]),
        low=low,
        high=high,
        pixels=number,
        not_finite=0,
        area_um2=area_um2,
        saturated_fraction=saturated,
    )
