"""Geometry of the speckle field: where the fibre lies on the camera, how large its grains are, and where SLM pixels appear."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from calibration.stored import CalibrationError

#: Width of the fibre's soft edge, and of the blur of its light on the way to the camera, in camera pixels.
EDGE_PX = 4.0
_BANDWIDTH_PX = 7.0
#: The disc is fitted to every fourth pixel along both axes.
_COARSE = 4


def disc(mean: NDArray[np.floating]) -> tuple[tuple[float, float], float]:
    """Fit a disc with a soft edge to the fibre's light; return its centre (row, column) and its radius in pixels.

    Parameters
    ----------
    mean : ndarray, shape (H, W)
        Mean of frames of different patterns, so that little speckle remains.
    """
    blurred = cv2.GaussianBlur(mean, (0, 0), 4.0, borderType=cv2.BORDER_REFLECT)[::_COARSE, ::_COARSE]
    rows, columns = np.indices(blurred.shape) * float(_COARSE)
    bright = blurred > 0.5 * np.percentile(blurred, 90)
    level, area = float(blurred[bright].mean()), float(bright.sum()) * _COARSE**2

    def residual(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        # The light may have a slope. Otherwise a fibre whose gain is uneven would pull the disc to its brighter side.
        row, column, radius, mean_light, slope_y, slope_x = parameters
        y, x = rows - row, columns - column
        light = mean_light + slope_y * y + slope_x * x
        return np.asarray((light / (1 + np.exp((np.hypot(y, x) - radius) / EDGE_PX)) - blurred / level).ravel())

    start = [float(rows[bright].mean()), float(columns[bright].mean()), math.sqrt(area / math.pi), 1.0, 0.0, 0.0]
    row, column, radius, *_ = optimize.least_squares(residual, start).x
    return (float(row), float(column)), float(radius)


def rolled_off(aperture: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return how the mean light decreases towards the fibre's edge on the camera, 1 well inside and never 0.

    Frames are divided by it. Otherwise this decrease, which all frames share, would appear as a correlation that no phase can
    remove.
    """
    light = cv2.GaussianBlur(aperture.astype(np.float32), (0, 0), _BANDWIDTH_PX, borderType=cv2.BORDER_REFLECT)
    return np.asarray(np.maximum(light, 0.01), np.float32)


def neighbour_correlation(contrasts: list[NDArray[np.float32]], core: NDArray[np.bool_]) -> float:
    """Return the correlation of neighbouring pixels of the speckle, without the contribution of the camera's noise.

    Parameters
    ----------
    contrasts : list of ndarray of float32, shape (H, W)
        Contrast of two or more frames of one pattern. One half of the frames is correlated with the other half.
    core : ndarray of bool, shape (H, W)
        Pixels that are evaluated.

    Raises
    ------
    CalibrationError
        The speckle grains are much too small or too large for the camera.
    """
    first, second = np.mean(contrasts[::2], axis=0), np.mean(contrasts[1::2], axis=0)
    steps = ((0, 1), (1, 0), (0, -1), (-1, 0))
    moved = float(np.mean([(first * np.roll(second, step, (0, 1)))[core].mean() for step in steps]))
    correlation = moved / float((first * second)[core].mean())
    if not 0.05 < correlation < 0.98:
        raise CalibrationError(
            f"neighbouring pixels of the speckle correlate {correlation:.2f}, 0.05 .. 0.98 is allowed; change focus or "
            "magnification"
        )
    return correlation


def on_camera(phase: NDArray[np.float32], shape: tuple[int, int], affine: NDArray[np.float64] | None) -> NDArray[np.float32]:
    """Return a phase of the SLM on the camera's grid.

    Parameters
    ----------
    phase : ndarray of float32, shape (h, w)
        Phase on the SLM, not wrapped.
    shape : (int, int)
        Height and width of the camera's frames.
    affine : ndarray of float64, shape (2, 3), optional
        Maps ``(x, y, 1)`` in SLM pixels from the SLM's centre to ``(x, y)`` in camera pixels from the camera's centre.
        Without it the two grids are the same.

    Returns
    -------
    ndarray of float32, shape ``shape``
    """
    if affine is None:
        return phase
    between_corners = np.array(affine, np.float64)
    middle = (np.array(phase.shape[::-1]) - 1) / 2
    between_corners[:, 2] += (np.array(shape[::-1]) - 1) / 2 - between_corners[:, :2] @ middle
    size = (shape[1], shape[0])
    warped = cv2.warpAffine(phase, between_corners, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.float32)
