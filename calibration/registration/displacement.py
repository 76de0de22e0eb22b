"""Local displacement of the speckle between two frames, in fractions of a pixel.

A slope of the phase shifts the speckle behind it by ``a / (2 pi)`` pixels per radian and pixel of slope, where
``a = wavelength * distance / pixel^2``. The shift is found by least squares, with constant brightness inside a window (Lucas
and Kanade, IJCAI 1981). It uses amplitudes, because their fluctuations are about the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]

#: Standard deviation of the window for local mean and contrast, in pixels: many grains.
_MEAN_PX = 16.0
#: Standard deviation of the least-squares window, in pixels: about the region in which a phase changes the speckle.
WINDOW_PX = 7.0

#: Central difference of sixth order; its error is a few percent for waves of 3 px and less for longer ones.
_SLOPE = np.array([-1, 9, -45, 0, 45, -9, 1], np.float32) / np.float32(60)
_ONE = np.ones(1, np.float32)


@dataclass(frozen=True)
class Displacement:
    """Local displacement of the speckle of one frame against the speckle of another frame.

    Parameters
    ----------
    shift_px : ndarray of float32, shape (2, h, w)
        ``d`` along y and x, in camera pixels: the frame at r equals the other frame at ``r + d``.
    weight : ndarray of float32, shape (h, w)
        Weight of the displacement; it increases with the local correlation of the frames.
    """

    shift_px: Image
    weight: Image


def speckle_amplitude(frame: NDArray[Any]) -> Image:
    """Return the amplitude of a speckle frame, normalised to a local mean of 0 and a local variance of 1.

    Parameters
    ----------
    frame : ndarray of uint8, uint16 or float, shape (H, W)
        Counts.

    Returns
    -------
    ndarray of float32, shape (H, W)
    """
    amplitude = np.sqrt(np.maximum(frame.astype(np.float32), 0) + np.float32(0.5))
    amplitude -= cv2.GaussianBlur(amplitude, (0, 0), _MEAN_PX)
    strength = np.sqrt(cv2.GaussianBlur(amplitude * amplitude, (0, 0), _MEAN_PX))
    return np.asarray(amplitude / (strength + np.float32(1e-3)), np.float32)


def lit_field(frames: Sequence[NDArray[Any]], inward_px: float = 3.0) -> NDArray[np.bool_]:
    """Return where the fibre lights the camera, (H, W): above half of its plateau, without a rim of ``inward_px`` pixels."""
    mean = cv2.GaussianBlur(np.mean([frame.astype(np.float32) for frame in frames], axis=0), (0, 0), 5.0)
    # The median of the bright pixels gives the plateau without its dark surroundings, even for a fibre that is small in the
    # frame.
    plateau = np.median(mean[mean >= mean.mean()])
    lit = (mean > 0.5 * plateau).astype(np.uint8)
    # Repeat the border, so that the rim is removed at the edge of the fibre but not at the edge of the image.
    distance = cv2.distanceTransform(cv2.copyMakeBorder(lit, 1, 1, 1, 1, cv2.BORDER_REPLICATE), cv2.DIST_L2, 3)[1:-1, 1:-1]
    return np.asarray(distance > inward_px)


def displacement(amplitude: Image, other: Image, cell_px: int, window_px: float = WINDOW_PX) -> Displacement:
    """Measure the displacement of one speckle against another.

    Parameters
    ----------
    amplitude, other : ndarray of float32, shape (H, W)
        Amplitudes from :func:`speckle_amplitude`; H and W are multiples of ``cell_px``.
    cell_px : int
        Side of the cells in pixels; every cell has one displacement.
    window_px : float
        Standard deviation of the least-squares window, in pixels.

    Returns
    -------
    Displacement
        Maps of shape (H / cell_px, W / cell_px). They are correct up to about one grain and too small beyond.
    """
    size = (amplitude.shape[1] // cell_px, amplitude.shape[0] // cell_px)

    def windowed(values: Image) -> NDArray[np.float32]:
        # The mean of every cell first: a wide window on all pixels would cost twenty times as much.
        cells = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.GaussianBlur(cells, (0, 0), window_px / cell_px), np.float32)

    # Smoothed slopes serve as weights. They are only half of the true slopes, because the grains are so fine, and would double
    # the shift. The equations therefore contain exact slopes (method of instrumental variables).
    mean = 0.5 * (amplitude + other)
    slope_y, slope_x = np.gradient(cv2.GaussianBlur(mean, (0, 0), 0.6))
    exact_y, exact_x = cv2.sepFilter2D(mean, -1, _ONE, _SLOPE), cv2.sepFilter2D(mean, -1, _SLOPE, _ONE)
    change = amplitude - other
    yy, yx = windowed(slope_y * exact_y), windowed(slope_y * exact_x)
    xy, xx = windowed(slope_x * exact_y), windowed(slope_x * exact_x)
    y, x = windowed(slope_y * change), windowed(slope_x * change)
    determinant = np.maximum(yy * xx - yx * xy, np.float32(1e-6))
    shift = np.stack([xx * y - yx * x, yy * x - xy * y]) / determinant
    correlation = np.clip(windowed(amplitude * other), 0.05, 1)
    return Displacement(shift.astype(np.float32), correlation**2 / (np.float32(1.05) - correlation))


def slopes(phase_rad: Image, cell_px: int, window_px: float = WINDOW_PX) -> Image:
    """Return the slope (2, h, w) of a phase on cells (h, w) along y and x in radians per pixel, smoothed with the window."""
    smooth = cv2.GaussianBlur(phase_rad, (0, 0), window_px / cell_px)
    return np.stack(np.gradient(smooth, cell_px)).astype(np.float32)
