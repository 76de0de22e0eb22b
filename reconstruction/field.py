"""The grid of the phase and the disc that the fibre sees of it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def to_grid(phase_rad: NDArray[np.float32], grid_px: int) -> NDArray[np.float32]:
    """Average a phase image (H, W) over the cells of a (grid_px, grid_px) grid; radians in, radians out."""
    resized = cv2.resize(phase_rad, (grid_px, grid_px), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.float32)


def field_mask(grid_px: int, radius: float) -> NDArray[np.bool_]:
    """Disc of the fibre on a square grid; ``radius`` as a fraction of half the side. Nothing outside it is observable."""
    axis = (np.arange(grid_px) + 0.5) / grid_px * 2 - 1
    return np.asarray(np.hypot(axis[:, None], axis[None, :]) <= radius)
