"""Archives as video: lossless FFV1, and lossy H.264 in colours, which is only for viewing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from acquisition.archive.reader import Archive
from acquisition.exchange.export_base import ExportError, images, median_interval_s, recording_summary

#: Rate of a single frame, which has no rate of its own; the file's comment says so.
_FALLBACK_FPS = 1.0
#: Frames from which the colour range of the viewing video is computed.
_RANGE_SAMPLES = 32


@dataclass(frozen=True, kw_only=True)
class _Encoding:
    """How a video is encoded.

    ``image_format`` is the pixel format of the images that are given, ``pixel_format`` the one in the file.
    """

    container: str
    codec: str
    image_format: str
    pixel_format: str
    options: Mapping[str, str]


_VIEWING_MP4 = _Encoding(container="mp4", codec="libx264", image_format="bgr24", pixel_format="yuv420p", options={"crf": "18"})


def write_ffv1(archive: Archive, path: Path) -> None:
    """Write ``speckle`` as lossless grey video in Matroska, at the recorded rate."""
    dtype = archive.spec("speckle").dtype
    pixel_format = "gray" if dtype == "uint8" else "gray16le"
    encoding = _Encoding(
        container="matroska",
        codec="ffv1",
        image_format=pixel_format,
        pixel_format=pixel_format,
        # Every frame is independent and has a CRC, so that a damaged byte is detected and costs only one frame.
        options={"level": "3", "g": "1", "slicecrc": "1"},
    )
    _write_video(archive, path, encoding, images(archive, "speckle"), "lossless")


def write_viewing_mp4(archive: Archive, name: str, path: Path) -> None:
    """Write an array in colours as lossy H.264; raises ExportError when none of the sampled images holds a finite value."""
    sampled = np.linspace(0, len(archive) - 1, min(len(archive), _RANGE_SAMPLES)).astype(int)
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
    _write_video(archive, path, _VIEWING_MP4, coloured(), comment)


def _write_video(archive: Archive, path: Path, encoding: _Encoding, frames: Iterator[NDArray[Any]], comment: str) -> None:
    interval_s = median_interval_s(archive.rows())
    fps = 1 / interval_s if interval_s else _FALLBACK_FPS
    source = "median of the frames' times" if interval_s else "a placeholder: the frames' times give no rate"
    with av.open(str(path), "w", format=encoding.container) as container:
        container.metadata["title"] = archive.path.name
        facts = [comment, f"{fps:.6g} frames per second is {source}", recording_summary(archive)]
        container.metadata["comment"] = "; ".join(fact for fact in facts if fact)
        stream: Any = None
        for image in frames:
            if stream is None:
                rate = Fraction(fps).limit_denominator(1000)
                stream = container.add_stream(encoding.codec, rate=rate, options=dict(encoding.options))
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = encoding.pixel_format
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format=encoding.image_format)))
        container.mux(stream.encode())
