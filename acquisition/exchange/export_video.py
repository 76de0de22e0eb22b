"""Archives as video: FFV1, which is bit-exact, and H.264 in colours, which is for viewing and says so."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from acquisition.archive.reader import Archive
from acquisition.exchange.export_base import ExportError, images, median_interval_s

_FALLBACK_FPS = 1.0  # for a single frame, which has no rate; the metadata says so
_LEVEL_SAMPLES = 32  # frames looked at to fix the viewing video's levels


def write_ffv1(archive: Archive, path: Path) -> None:
    """Write ``speckle`` as lossless grey video in Matroska, at the recorded rate."""
    dtype = archive.spec("speckle").dtype
    pixel_format = "gray" if dtype == "uint8" else "gray16le"
    # Every frame stands alone and carries a CRC, so that one damaged byte costs one frame and is noticed.
    options = {"level": "3", "g": "1", "slicecrc": "1"}
    _write_video(archive, path, "matroska", "ffv1", pixel_format, options, images(archive, "speckle"), pixel_format, "lossless")


def write_viewing_mp4(archive: Archive, name: str, path: Path) -> None:
    """Write an array in colours as H.264, lossy; raises ExportError where no image of it holds a finite value."""
    sampled = np.linspace(0, len(archive) - 1, min(len(archive), _LEVEL_SAMPLES)).astype(int)
    values = np.stack([archive.read(name, int(i))[::4, ::4] for i in sampled])
    values = values[np.isfinite(values)]  # a frame that was not reconstructed is NaN
    if not values.size:
        raise ExportError(f"{archive.path.name} holds no reconstructed {name!r}; export OME-TIFF or FFV1")
    low, high = np.percentile(values, (0.5, 99.5))
    scale = 255.0 / max(float(high - low), 1e-6)

    def coloured() -> Iterator[NDArray[Any]]:
        for phase in images(archive, name):
            grey = np.clip(np.nan_to_num(phase - low) * scale, 0, 255).astype(np.uint8)
            grey = np.pad(grey, [(0, n % 2) for n in grey.shape], mode="edge")  # H.264 4:2:0 needs even sides
            yield cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS)

    comment = f"for viewing only: lossy, phase {low:.3f} to {high:.3f} rad in viridis"
    _write_video(archive, path, "mp4", "libx264", "yuv420p", {"crf": "18"}, coloured(), "bgr24", comment)


def _write_video(
    archive: Archive,
    path: Path,
    container_format: str,
    codec: str,
    pixel_format: str,
    options: dict[str, str],
    frames: Iterator[NDArray[Any]],
    image_format: str,
    comment: str,
) -> None:
    interval_s = median_interval_s(archive.rows())
    fps = 1 / interval_s if interval_s else _FALLBACK_FPS
    source = "median of the frames' times" if interval_s else "a placeholder: the frames' times tell none"
    with av.open(str(path), "w", format=container_format) as container:
        container.metadata["title"] = archive.path.name
        container.metadata["comment"] = f"{comment}; {fps:.6g} frames per second is {source}"
        stream: Any = None
        for image in frames:
            if stream is None:
                stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1000), options=options)
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = pixel_format
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format=image_format)))
        container.mux(stream.encode())
