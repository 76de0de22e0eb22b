"""Images in colour and a video file made of them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SHAPE = (12, 16)


def random_colours(number: int, shape: tuple[int, int] = SHAPE) -> NDArray[np.uint8]:
    """Return image ``number``: every pixel and channel is random and at least 1; shape (H, W, 3)."""
    return np.random.default_rng(number).integers(1, 256, (*shape, 3), dtype=np.uint8)


def smooth_colours(number: int) -> NDArray[np.uint8]:
    """Return image ``number`` of shape (48, 64, 3) without sharp edges, which lossy video formats keep well."""
    return np.asarray(cv2.resize(random_colours(number, (6, 8)), (64, 48), interpolation=cv2.INTER_CUBIC), np.uint8)


def write_mjpeg(folder: Path, count: int, fps: float) -> Path:
    """Write ``count`` images of :func:`smooth_colours` as a Motion-JPEG file; return its path."""
    path = folder / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (64, 48))
    for number in range(count):
        writer.write(smooth_colours(number))
    writer.release()
    return path
