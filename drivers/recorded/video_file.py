"""A video file as a sequence of grey frames with their times, for :class:`drivers.recorded.replay.ReplayCamera`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.container
import av.error
import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.base import DeviceError, Frame
from drivers.limits import MAX_PIXELS, LimitError, check_pixels
from drivers.manifest import file_problem
from drivers.recorded.replay import LazyFrames

#: Only containers that hold their content themselves: a play list could lead to other files or computers.
_CONTAINERS = "avi,asf,flv,gif,h264,hevc,m4v,matroska,webm,mjpeg,mov,mp4,mpeg,mpegts,mpegvideo,nut,ogg,yuv4mpegpipe"
_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file", "max_pixels": str(MAX_PIXELS)}


class VideoFile(LazyFrames):
    """The frames of a video, decoded by PyAV on access; colour becomes 8-bit grey with the weights of Rec. 601.

    OpenCV decodes no file: its own copy of FFmpeg is older, and asks nobody before it follows a play list.

    Read the frames in order: any step back decodes the file from the start, because seeking is inexact in many formats.
    Opening reads the whole file once without decoding it, to get the time of every frame.
    A file that has a manifest beside it, as our exports have, must have the SHA-256 that the manifest lists. In other files
    damage is noticed only where the decoder reports it; that of FFV1 does not report a wrong check sum.

    Parameters
    ----------
    path : Path
        The file.
    exposure_s : float
        Exposure time of the frames in seconds, which a video does not contain.
    period_s : float, optional
        Time from frame to frame, in seconds, for a file without times, such as a raw stream of H.264 (``.h264``). In other
        files their own times count.

    Raises
    ------
    DeviceError
        The file is missing, is not a video, differs from its manifest, or has colours of more than 8 bits; or it has no times,
        and ``period_s`` is not given.
    """

    def __init__(self, path: Path, exposure_s: float, period_s: float | None = None) -> None:
        self.path = path
        self._exposure_s = exposure_s
        self._shape: tuple[int, ...] | None = None
        self._frames: Iterator[tuple[int, av.VideoFrame]] = iter(())
        self._at = -1
        self._last: av.VideoFrame | None = None
        self._begun = False
        content = _content(path)
        self._timed = content.recorded_ns is not None
        self._bits = max(8, content.bits)
        super().__init__(content.times_ns(path, period_s))

    def load(self, index: int) -> Frame:
        """Decode frame ``index``; raises DeviceError when it is damaged or of another shape than the first one read."""
        try:
            frame = self._decoded(index)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise DeviceError(
                f"frame {index} of {self.path} cannot be decoded ({error}); restore the file from a copy"
            ) from error
        if frame is None:
            raise DeviceError(f"frame {index} of {self.path} cannot be decoded; restore the file from a copy")
        # Grey of more than 8 bits holds counts as they are, and is not scaled.
        pixels: Any = np.ascontiguousarray(frame.to_ndarray() if self._bits > 8 else frame.to_ndarray(format="gray"))
        self._shape = self._shape or pixels.shape
        if pixels.shape != self._shape:
            raise DeviceError(
                f"frame {index} of {self.path} is {pixels.shape} instead of {self._shape}; convert the file to one size"
            )
        return Frame(pixels, index, int(self.times_ns[index]), self._exposure_s, bit_depth=self._bits)

    def _decoded(self, index: int) -> av.VideoFrame | None:
        """Return frame ``index``, or None if it is damaged."""
        if not self._begun or index < self._at:
            self._begun, self._at, self._frames = True, -1, self._decode()
        while self._at < index:
            try:
                self._at, self._last = next(self._frames)
            except StopIteration:
                return None
        return self._last if self._at == index else None

    def _decode(self) -> Iterator[tuple[int, av.VideoFrame]]:
        """Yield the frames from the start with their numbers; damaged ones are left out."""
        with open_video(self.path) as container:
            stream = container.streams.video[0]
            number = -1
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except av.error.FFmpegError:
                    continue
                for frame in frames:
                    ticks = frame.dts if frame.pts is None else frame.pts
                    number += 1
                    if frame.is_corrupt or not isinstance(frame, av.VideoFrame):
                        continue
                    if not self._timed:
                        yield number, frame
                    elif ticks is not None:
                        # By its time, because the decoder may also skip a damaged frame without an error.
                        at_ns = _nanoseconds(np.array([ticks]), stream)
                        yield int(np.argmin(np.abs(self.times_ns - at_ns))), frame


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


@dataclass(frozen=True)
class _Content:
    """What a video file holds: how many frames of how many bits, and the time of each since the first, sorted, in ns."""

    count: int
    recorded_ns: NDArray[np.int64] | None
    bits: int

    def times_ns(self, path: Path, period_s: float | None) -> NDArray[np.int64]:
        if self.recorded_ns is not None:
            return self.recorded_ns
        if period_s is None:
            raise DeviceError(
                f"{path} has {self.count} frames without times; state their rate: fps in the section opencv of the instrument "
                "file, or period_s, the seconds from frame to frame"
            )
        return np.round(np.arange(self.count) * (period_s * 1e9)).astype(np.int64)


def _content(path: Path) -> _Content:
    """Read a video file once, without decoding it; raises DeviceError."""
    if not path.is_file():
        raise DeviceError(f"no video file {path}; check the path, or give a device by its number such as 0")
    try:
        problem = file_problem(path)
    except (OSError, ValueError) as error:
        problem = str(error)
    if problem:
        raise DeviceError(f"{path}: {problem}")
    try:
        with open_video(path) as container:
            if not container.streams.video:
                raise DeviceError(f"{path} contains no video; choose another file")
            stream = container.streams.video[0]
            # Files without presentation times have no reordered frames, so their decoding times are used.
            ticks = [packet.dts if packet.pts is None else packet.pts for packet in container.demux(stream) if packet.size]
            known = np.array([tick for tick in ticks if tick is not None], np.int64)
            # A stream of an unknown codec has no context.
            context = stream.codec_context
            if not ticks or stream.time_base is None or context is None or context.format is None:
                raise DeviceError(f"{path} contains no video frames; choose another file")
            check_pixels((context.height, context.width))
            bits = max(component.bits for component in context.format.components)
            is_grey = context.format.name.startswith("gray") and bits <= 16
            times_ns = _nanoseconds(np.sort(known), stream) if known.size else None
    except av.error.FFmpegError as error:
        raise DeviceError(f"{path} cannot be read as a video ({error.strerror}); choose another file") from error
    except LimitError as error:
        raise DeviceError(f"{path}: {error}") from error
    if bits > 8 and not is_grey:
        raise DeviceError(f"{path} has {bits} bits per colour, of which 8 are read; convert it to 8 bits, or to grey")
    return _Content(len(ticks), times_ns, bits)


def open_video(path: Path) -> av.container.InputContainer:
    """Open a video file, and nothing that it may lead to; raises av.error.FFmpegError."""
    # An absolute path: a name such as "concat:a" would be an instruction to FFmpeg.
    return av.open(str(path.absolute()), metadata_errors="replace", options=dict(_OPTIONS))


def _nanoseconds(ticks: NDArray[np.int64], stream: av.VideoStream) -> NDArray[np.int64]:
    """Return times since the stream's first in ns, to the nearest one, however long the video is."""
    assert stream.time_base is not None
    whole_s, rest = np.divmod((ticks - (stream.start_time or 0)) * stream.time_base.numerator, stream.time_base.denominator)
    return whole_s * 10**9 + np.round(rest * (1e9 / stream.time_base.denominator)).astype(np.int64)
