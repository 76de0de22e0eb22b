"""A video file as a sequence of grey frames with their times, for :class:`drivers.recorded.replay.ReplayCamera`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import av.error
import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.base import DeviceError, Frame
from drivers.manifest import file_problem
from drivers.recorded.replay import LazyFrames


class VideoFile(LazyFrames):
    """The frames of a video, decoded by OpenCV on access; ``cv2.cvtColor`` converts colour to grey.

    Read the frames in order: any step back decodes the file from the start, because seeking is inexact in many formats.
    Opening reads the whole file once without decoding it, to get the time of every frame, which OpenCV only estimates.
    A file that has a manifest beside it, as our exports have, must have the SHA-256 that the manifest lists. In other files
    damage is noticed only where the decoder reports it: a wrong check sum of FFV1, for example, is only printed on the
    terminal.

    Parameters
    ----------
    path : Path
        The file.
    exposure_s : float
        Exposure time of the frames in seconds, which a video does not contain.

    Raises
    ------
    DeviceError
        The file is missing, is not a video, differs from its manifest, or has more than 8 bits per pixel, of which OpenCV
        keeps only 8.
    """

    def __init__(self, path: Path, exposure_s: float) -> None:
        self.path = path
        self._exposure_s = exposure_s
        self._shape: tuple[int, ...] | None = None
        self._capture: cv2.VideoCapture | None = None
        self._at = -1
        super().__init__(_times_ns(path))

    def load(self, index: int) -> Frame:
        """Decode frame ``index``; raises DeviceError when it is damaged or of another shape than the first one read."""
        if self._capture is None or index < self._at:
            self._capture = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
            self._at = -1
        # The decoder may skip a damaged frame without an error, so the frame is identified by its time.
        while self._at < index and self._capture.grab():
            self._at = int(np.argmin(np.abs(self.times_ns - self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)))
        decoded, image = self._capture.retrieve() if self._at == index else (False, None)
        if not decoded or image is None:
            raise DeviceError(f"frame {index} of {self.path} cannot be decoded; restore the file from a copy")
        pixels = grey(image)
        self._shape = self._shape or pixels.shape
        if pixels.shape != self._shape:
            raise DeviceError(
                f"frame {index} of {self.path} is {pixels.shape} instead of {self._shape}; convert the file to one size"
            )
        return Frame(pixels, index, int(self.times_ns[index]), self._exposure_s)


def grey(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Convert a uint8 image (H, W) or (H, W, 1 or 3 in the order BGR) to grey (H, W), with the weights of Rec. 601.

    Raises
    ------
    DeviceError
        The image has another shape or dtype.
    """
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)):
        raise DeviceError(f"expected (H, W) or (H, W, 3) uint8, got {image.shape} {image.dtype}; choose another pixel format")
    if image.ndim == 2:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.shape[2] == 3 else image[:, :, 0], np.uint8)


def _times_ns(path: Path) -> NDArray[np.int64]:
    """Return the presentation time of every frame, sorted, with OpenCV's zero, in ns."""
    if not path.is_file():
        raise DeviceError(f"no video file {path}; check the path, or give a device by its number such as 0")
    try:
        problem = file_problem(path)
    except (OSError, ValueError) as error:
        problem = str(error)
    if problem:
        raise DeviceError(f"{path}: {problem}")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DeviceError(f"{path} contains no video; choose another file")
            stream = container.streams.video[0]
            # Files without presentation times have no reordered frames, so their decoding times are used.
            ticks = [packet.dts if packet.pts is None else packet.pts for packet in container.demux(stream) if packet.size]
            known = np.array([tick for tick in ticks if tick is not None], np.int64)
            tick_s, start = stream.time_base, stream.start_time or 0
            pixel_format = stream.codec_context.format
    except av.error.FFmpegError as error:
        raise DeviceError(f"{path} cannot be read as a video ({error.strerror}); choose another file") from error
    if not known.size or tick_s is None or pixel_format is None:
        raise DeviceError(f"{path} contains no video frames; choose another file")
    bits = max(component.bits for component in pixel_format.components)
    if bits > 8:
        raise DeviceError(
            f"{path} has {bits} bits per pixel, of which OpenCV keeps 8; replay the recording that it was made from"
        )
    ticks_ns = (np.sort(known) - start).astype(np.float64) * (1e9 * float(tick_s))
    return np.round(ticks_ns).astype(np.int64)
