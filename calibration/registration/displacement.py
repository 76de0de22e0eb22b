"""How far the speckle of one frame lies from that of another, place by place, in fractions of a pixel.

A phase that slopes shifts the speckle behind it by ``a / (2 pi)`` pixels per radian and pixel of slope, where
``a = wavelength * distance / pixel^2``. The shift is found by least squares on the brightness constancy of a window
(Lucas and Kanade, IJCAI 1981), on amplitudes, whose fluctuations are about the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]

#: Scale of the local mean and contrast that are taken out, in pixels: many grains.
_MEAN_PX = 16.0
#: Window of the least squares, in pixels: about the reach of a phase on the speckle.
WINDOW_PX = 7.0

#: Central difference of sixth order, within a few percent for waves of 3 px and longer.
_SLOPE = np.array([-1, 9, -45, 0, 45, -9, 1], np.float32) / np.float32(60)
_ONE = np.ones(1, np.float32)


@dataclass(frozen=True)
class Displacement:
    """Local displacement of a frame's speckle against another's.

    Parameters
    ----------
    shift_px : ndarray of float32, shape (2, h, w)
        ``d`` along y and x, in camera pixels: the frame at r looks like the other at ``r + d``.
    weight : ndarray of float32, shape (h, w)
        How well it is known, growing with the local correlation of the frames.
    """

    shift_px: Image
    weight: Image


def speckle_amplitude(frame: NDArray[Any]) -> Image:
    """Return the amplitude of a speckle frame, locally of mean 0 and variance 1.

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
    """Return where the fibre lights the camera, (H, W): above half of the plateau, less a rim of ``inward_px``."""
    mean = cv2.GaussianBlur(np.mean([frame.astype(np.float32) for frame in frames], axis=0), (0, 0), 5.0)
    # The plateau's level without the dark around it, however small the fibre is in the frame.
    plateau = np.median(mean[mean >= mean.mean()])
    lit = (mean > 0.5 * plateau).astype(np.uint8)
    # Zeros around the image, so that the rim is taken off there too only where the fibre ends.
    distance = cv2.distanceTransform(cv2.copyMakeBorder(lit, 1, 1, 1, 1, cv2.BORDER_REPLICATE), cv2.DIST_L2, 3)[1:-1, 1:-1]
    return np.asarray(distance > inward_px)


def displacement(amplitude: Image, other: Image, cell_px: int, window_px: float = WINDOW_PX) -> Displacement:
    """Measure the displacement of one speckle against another.

    Parameters
    ----------
    amplitude, other : ndarray of float32, shape (H, W)
        From :func:`speckle_amplitude`; H and W multiples of ``cell_px``.
    cell_px : int
        One value per cell of so many pixels both ways.
    window_px : float
        Standard deviation of the window.

    Returns
    -------
    Displacement
        Maps of shape (H / cell_px, W / cell_px). Right up to about a grain; beyond, too small.
    """
    size = (amplitude.shape[1] // cell_px, amplitude.shape[0] // cell_px)

    def windowed(values: Image) -> NDArray[np.float32]:
        # The cells' means first: a twentieth of the work of the wide window on pixels.
        cells = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.GaussianBlur(cells, (0, 0), window_px / cell_px), np.float32)

    # Smoothed slopes weigh the equations, but grains are so fine that their slopes are only half of the true ones, which
    # would double the shift: the change is held against exact ones (instrumental variables).
    mean = 0.5 * (amplitude + other)
    slope_y, slope_x = np.gradient(cv2.GaussianBlur(mean, (0, 0), 0.6))
    exact_y, exact_x = cv2.sepFilter2D(mean, -1, _ONE, _SLOPE), cv2.sepFilter2D(mean, -1, _SLOPE, _ONE)
    change = amplitude - other
    yy, yx = windowed(slope_y * exact_y), windowed(slope_y * exact_x)
    xy, xx = windowed(slope_x * exact_y), windowed(slope_x * exact_x)
    y, x = windowed(slope_y * change), windowed(slope_x * change)
    determinant = np.maximum(yy * xx - yx * xy, np.float32(1e-6))
    shift = np.stack([xx * y - yx * x, yy * x - xy * y]) / determinant
    alike = np.clip(windowed(amplitude * other), 0.05, 1)
    return Displacement(shift.astype(np.float32), alike**2 / (np.float32(1.05) - alike))


def slopes(phase_rad: Image, cell_px: int, window_px: float = WINDOW_PX) -> Image:
    """Return the slope of a phase on cells, (2, h, w) along y and x in radians per pixel, through the same window."""
    smooth = cv2.GaussianBlur(phase_rad, (0, 0), window_px / cell_px)
    return np.stack(np.gradient(smooth, cell_px)).astype(np.float32)
