"""The grid of the phase, and the fibre's disc on it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def to_grid(phase_rad: NDArray[np.float32], grid_px: int) -> NDArray[np.float32]:
    """Average a phase image (H, W) over the cells of a grid; return (grid_px, grid_px) in the same unit."""
    resized = cv2.resize(phase_rad, (grid_px, grid_px), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.float32)


def field_mask(grid_px: int, radius: float) -> NDArray[np.bool_]:
    """Return the fibre's disc on a square grid, (grid_px, grid_px); ``radius`` is a fraction of half the side.

    Nothing outside the disc can be observed.
    """
    axis = (np.arange(grid_px) + 0.5) / grid_px * 2 - 1
    return np.asarray(np.hypot(axis[:, None], axis[None, :]) <= radius)


def disc_window(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return a Hann window over the distance from the mask's centre: 1 there, 0 outside the mask, (n, n)."""
    rows, columns = np.nonzero(mask)
    y, x = np.indices(mask.shape)
    distance_px = np.hypot(y - rows.mean(), x - columns.mean())
    radius_px = distance_px[mask].max() + 0.5
    return np.where(mask, np.cos(np.pi / 2 * np.minimum(distance_px / radius_px, 1)) ** 2, 0)
