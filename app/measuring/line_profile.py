"""The values along a line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.measure import profile_line

from app.measuring.shapes import LineShape


@dataclass(frozen=True, eq=False)
class LineProfile:
    """Values along a line, about one for each pixel.

    Parameters
    ----------
    distance_um : ndarray of float64, shape (n,)
        Distance from the first end in micrometres.
    values : ndarray of float64, shape (n,)
        Bilinear interpolation of the picture; NaN outside it.
    """

    distance_um: NDArray[np.float64]
    values: NDArray[np.float64]


def line_profile(picture: NDArray[np.generic], line: LineShape, pitch_um: float, width_px: int = 1) -> LineProfile:
    """Return the values along a line, both ends included, by :func:`skimage.measure.profile_line`.

    Parameters
    ----------
    picture : ndarray, shape (h, w)
        Counts, or phase in radians.
    line : LineShape
        The line in micrometres.
    pitch_um : float
        Side of a pixel in micrometres.
    width_px : int
        Number of pixels across the line that are averaged.
    """
    # In indices: the centre of the first pixel is (0, 0).
    start = (line.y1_um / pitch_um - 0.5, line.x1_um / pitch_um - 0.5)
    end = (line.y2_um / pitch_um - 0.5, line.x2_um / pitch_um - 0.5)
    values = np.asarray(
        profile_line(picture.astype(np.float64), start, end, linewidth=width_px, order=1, mode="nearest"), np.float64
    )
    rows, columns = (np.linspace(first, last, len(values)) for first, last in zip(start, end, strict=True))
    height, width = picture.shape
    outside = (rows < -0.5) | (rows > height - 0.5) | (columns < -0.5) | (columns > width - 0.5)
    values[outside] = np.nan
    return LineProfile(np.linspace(0.0, line.length_um, len(values)), values)
