"""Images in colour and a video file made of them."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
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


def write_video(path: Path, images: Iterable[NDArray[np.uint8]], fps: float) -> Path:
    """Write images (H, W, 3), in the order blue, green, red, as Motion-JPEG; return the path, which should end in ``.avi``."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=Fraction(fps).limit_denominator(1000))
        stream.pix_fmt = "yuvj420p"
        stream.codec_context.options = {"qmin": "1", "qmax": "3"}
        for number, image in enumerate(images):
            if number == 0:
                stream.height, stream.width = image.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return path


def write_mjpeg(folder: Path, count: int, fps: float) -> Path:
    """Write ``count`` images of :func:`smooth_colours` as a Motion-JPEG file; return its path."""
    return write_video(folder / "video.avi", map(smooth_colours, range(count)), fps)
