"""Where the fibre lies on the camera, how coarse its speckle is, and where the SLM's pixels come out."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from calibration.stored import CalibrationError

#: How softly the fibre ends, and by how much its light spreads on its way to the camera, in camera pixels.
EDGE_PX = 4.0
_BANDWIDTH_PX = 7.0
#: The disc is looked for in every so many pixels.
_COARSE = 4


def disc(mean: NDArray[np.floating]) -> tuple[tuple[float, float], float]:
    """Return centre (row, column) and radius in pixels of the soft disc that is nearest to the fibre's light.

    Parameters
    ----------
    mean : ndarray, shape (H, W)
        Mean of frames of different patterns, so that little speckle is left.
    """
    blurred = cv2.GaussianBlur(mean, (0, 0), 4.0, borderType=cv2.BORDER_REFLECT)[::_COARSE, ::_COARSE]
    rows, columns = np.indices(blurred.shape) * float(_COARSE)
    bright = blurred > 0.5 * np.percentile(blurred, 90)
    level, area = float(blurred[bright].mean()), float(bright.sum()) * _COARSE**2

    def off(found: NDArray[np.float64]) -> NDArray[np.float64]:
        # Relief of the gain would pull the disc to the brighter side, so the light may tilt.
        y, x = rows - found[0], columns - found[1]
        light = found[3] + found[4] * y + found[5] * x
        return np.asarray((light / (1 + np.exp((np.hypot(y, x) - found[2]) / EDGE_PX)) - blurred / level).ravel())

    start = [float(rows[bright].mean()), float(columns[bright].mean()), math.sqrt(area / math.pi), 1.0, 0.0, 0.0]
    row, column, radius, *_ = optimize.least_squares(off, start).x
    return (float(row), float(column)), float(radius)


def rolled_off(aperture: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return how the mean light falls towards the fibre's edge on the camera, 1 well inside and never 0.

    Divided by it, frames keep no common slope there, which would pass for a correlation that no phase can take away.
    """
    light = cv2.GaussianBlur(aperture.astype(np.float32), (0, 0), _BANDWIDTH_PX, borderType=cv2.BORDER_REFLECT)
    return np.asarray(np.maximum(light, 0.01), np.float32)


def neighbour_correlation(contrasts: list[NDArray[np.float32]], core: NDArray[np.bool_]) -> float:
    """Return the speckle's correlation with itself one pixel away, free of the camera's noise.

    Parameters
    ----------
    contrasts : list of ndarray, shape (H, W)
        Two or more frames of one pattern; one half of them is correlated with the other.
    core : ndarray of bool, shape (H, W)
        Which pixels count.

    Raises
    ------
    CalibrationError
        Grains far too fine or too coarse for the camera.
    """
    first, second = np.mean(contrasts[::2], axis=0), np.mean(contrasts[1::2], axis=0)
    steps = ((0, 1), (1, 0), (0, -1), (-1, 0))
    moved = float(np.mean([(first * np.roll(second, step, (0, 1)))[core].mean() for step in steps]))
    found = moved / float((first * second)[core].mean())
    if not 0.05 < found < 0.98:
        raise CalibrationError(
            f"neighbouring pixels of the speckle correlate {found:.2f}, allowed are 0.05 .. 0.98; focus or magnify otherwise"
        )
    return found


def on_camera(phase: NDArray[np.float32], shape: tuple[int, int], affine: NDArray[np.float64] | None) -> NDArray[np.float32]:
    """Return a phase of the SLM on the camera's grid.

    Parameters
    ----------
    phase : ndarray of float32, shape (h, w)
        Not wrapped.
    shape : (int, int)
        Of the camera.
    affine : ndarray of float64, shape (2, 3), optional
        Takes ``(x, y, 1)`` on the SLM, in its pixels from the centre, to ``(x, y)`` on the camera, in its own.
    """
    if affine is None:
        return phase
    between_corners = np.array(affine, np.float64)
    middle = (np.array(phase.shape[::-1]) - 1) / 2
    between_corners[:, 2] += (np.array(shape[::-1]) - 1) / 2 - between_corners[:, :2] @ middle
    size = (shape[1], shape[0])
    warped = cv2.warpAffine(phase, between_corners, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.float32)
