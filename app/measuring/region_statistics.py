"""Mean, standard deviation, extremes, area and saturated fraction of the pixels in a region."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
    values = pixels_in(shape, PixelGrid(rows, columns, pitch_um)).values(picture).astype(np.float64)
    finite = values[np.isfinite(values)]
    nothing = math.nan
    return RegionStatistics(
        mean=float(finite.mean()) if finite.size else nothing,
        std=float(finite.std()) if finite.size else nothing,
        low=float(finite.min()) if finite.size else nothing,
        high=float(finite.max()) if finite.size else nothing,
        pixels=values.size,
        not_finite=values.size - finite.size,
        area_um2=values.size * pitch_um**2,
        saturated_fraction=float(np.mean(values >= full_scale)) if full_scale is not None and values.size else nothing,
    )
