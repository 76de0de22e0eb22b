"""Any UVC camera, or a video file, through OpenCV."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2

from drivers.base import Camera, CameraCapabilities, CameraCounters, DeviceError, Frame, FrameFailedError, TriggerMode
from drivers.clock import Clock, RealClock
from drivers.opencv.reader import Capture, CaptureReader, Lost
from drivers.recorded.replay import ReplayCamera
from drivers.recorded.video_file import VideoFile

_SYSFS = Path("/sys/class/video4linux")
#: Frames a second of a UVC camera of which none were asked for.
_FPS = 30.0


@dataclass(frozen=True)
class OpenCvConfig:
    """Which camera or file, and how.

    Parameters
    ----------
    source : str
        A UVC camera's number ("0" is the first) or its path (``/dev/video0``, ``/dev/v4l/by-id/...``, which stays the same
        when cameras are plugged in another order); anything else is the path of a video file.
    exposure_s : float
        Exposure time that the frames shall carry, in seconds. Neither a video file nor, reliably, a UVC camera can tell its
        own: switch automatic exposure off with the camera's tool, and state here what was set there.
    width, height : int
        Size in pixels that is wanted, 0 for the one it has. Another one delivered is an error.
    fps : float
        Frames per second that are wanted, 0 for what it has. A UVC camera may choose otherwise; a file obeys.
    bit_depth : int
        8: OpenCV gives no more.
    loop : bool
        Start a file again at its end; otherwise reading then raises DeviceError.
    lost_after_s : float
        A UVC camera that delivers nothing for so long is lost, in seconds; longer than its exposure.

    Raises
    ------
    ValueError
        A setting is impossible.
    """

    source: str = "0"
    exposure_s: float = 0.01
    width: int = 0
    height: int = 0
    fps: float = 0.0
    bit_depth: int = 8
    loop: bool = True
    lost_after_s: float = 5.0

    def __post_init__(self) -> None:
        if not self.source:
            raise ValueError("source must be a camera's number or path, or a video file, got nothing")
        if self.bit_depth != 8:
            raise ValueError(f"bit_depth must be 8, all that OpenCV delivers, got {self.bit_depth}")
        if self.width < 0 or self.height < 0 or (self.width == 0) != (self.height == 0):
            raise ValueError(f"width and height must both be positive or both 0, got {self.width} x {self.height}")
        if not 0 <= self.fps < math.inf:
            raise ValueError(f"fps must be 0 or more, got {self.fps}")
        if not 0 < self.exposure_s < self.lost_after_s < math.inf:
            raise ValueError(f"must be 0 < exposure_s < lost_after_s, got {self.exposure_s} and {self.lost_after_s}")

    @property
    def device(self) -> Path | None:
        """Device node of a UVC camera; None for a file."""
        if self.source.isdecimal():
            return Path(f"/dev/video{int(self.source)}")
        return Path(self.source) if self.source.startswith("/dev/") else None


def list_opencv_cameras(sysfs: Path = _SYSFS) -> list[str]:
    """Return number and name of every video capture device that Linux knows, without opening any; elsewhere an empty list."""
    # A UVC camera has further nodes without images, of a higher index.
    nodes = [node for node in sysfs.glob("video*") if _text(node / "index") in ("", "0")]
    found = sorted((int(number), _text(node / "name")) for node in nodes if (number := node.name[5:]).isdecimal())
    return [f"{number} {name}".rstrip() for number, name in found]


def open_opencv(config: OpenCvConfig | None = None, clock: Clock | None = None) -> Camera:
    """Open the UVC camera or the video file that ``config`` names.

    Raises
    ------
    DeviceError
        It is missing or unreadable, is used by another program, or has another size than wanted.
    """
    config = config or OpenCvConfig()
    if config.device is not None:
        return OpenCvCamera(config, clock)
    video = VideoFile(Path(config.source), config.exposure_s)
    camera = ReplayCamera(video, 1 / config.fps if config.fps else None, clock, config.loop)
    _check_size(config, f"the video {config.source}", camera.capabilities.shape)
    return camera


def open_uvc(config: OpenCvConfig) -> Capture:
    """Open a UVC camera as OpenCV does; raises DeviceError when it is not there or not allowed."""
    node, is_linux = config.device, sys.platform == "linux"
    if node is None:
        raise DeviceError(f"{config.source} is no camera's number or path; a video file is for open_opencv")
    # Asked first, because OpenCV writes its own lines to the terminal about a device that it cannot open.
    if is_linux and not node.exists():
        there = "; ".join(list_opencv_cameras()) or "none at all"
        raise DeviceError(f"there is no camera {node}; plug it in, or choose another (found: {there})")
    if is_linux and not os.access(node, os.R_OK | os.W_OK):
        raise DeviceError(f"this account may not use the camera {node}; add it to the group 'video' and log in again")
    return cv2.VideoCapture(str(node), cv2.CAP_V4L2) if is_linux else cv2.VideoCapture(int(config.source))


class OpenCvCamera:
    """A UVC camera as a :class:`drivers.base.Camera` that runs freely; opened by creating it.

    Colour becomes grey, as ``cv2.cvtColor`` does. Frames are stamped with their arrival, their exposure is what the
    configuration states. The camera is read all the time; frames that wait too long for their reader are lost, and
    :meth:`read` says so in their place.

    Parameters
    ----------
    config : OpenCvConfig, optional
        Which camera; a video file is for :func:`open_opencv`.
    clock : Clock, optional
        The host's clock.
    open_capture : callable, optional
        Opens the device.

    Raises
    ------
    DeviceError
        No such camera, another program has it, it delivers nothing, or frames of another size than wanted.
    """

    def __init__(
        self,
        config: OpenCvConfig | None = None,
        clock: Clock | None = None,
        open_capture: Callable[[OpenCvConfig], Capture] = open_uvc,
    ) -> None:
        self.config = config or OpenCvConfig()
        self._clock = clock or RealClock()
        self._open_capture = open_capture
        self._name = f"the camera {self.config.source}"
        self._armed = self._closed = False
        self._frames = self._failed = 0
        self._reader = self._start()
        try:
            shape = self._reader.wait_until_open()
            _check_size(self.config, self._name, shape)
        except DeviceError as error:
            self.close()
            raise DeviceError(str(error)) from error
        # Nothing tells how long a UVC camera takes to hand a frame over; it is ready before the next one.
        self.capabilities = CameraCapabilities(
            model=_name_of(self.config.device) or "UVC camera",
            serial=self.config.source,
            shape=shape,
            bit_depths=(8,),
            exposure_range_s=(self.config.exposure_s, self.config.exposure_s),
            readout_s=1 / (self.config.fps or _FPS),
        )

    @property
    def counters(self) -> CameraCounters:
        """Frames, and frames lost before they were read, since arming."""
        return CameraCounters(0, self._frames, self._failed)

    @property
    def exposure_s(self) -> float:
        """Exposure time in seconds, as the configuration states it."""
        return self.config.exposure_s

    @property
    def bit_depth(self) -> int:
        """Always 8."""
        return 8

    def set_exposure(self, exposure_s: float) -> None:
        """Refuse anything but the stated exposure."""
        if exposure_s != self.config.exposure_s:
            raise DeviceError(
                f"{self._name} keeps the stated exposure of {self.config.exposure_s} s, got {exposure_s} s; "
                "set it with the camera's own tool and state it in the configuration"
            )

    def arm(self, trigger: TriggerMode) -> None:
        """Empty the queue and number the frames from 0; only free run is possible."""
        self._alive()
        if trigger is not TriggerMode.FREE_RUN:
            raise self._no_trigger()
        self._frames = self._failed = 0
        self._reader.arm()
        self._armed = True

    def trigger(self) -> None:
        """Refuse: a UVC camera takes no trigger."""
        self._alive()
        raise self._no_trigger()

    def read(self, timeout_s: float) -> Frame:
        """Return the next frame; see :meth:`drivers.base.Camera.read`."""
        self._alive()
        if not self._armed:
            raise DeviceError("the camera is not armed; arm it before reading frames")
        item = self._reader.get(timeout_s)
        if isinstance(item, Lost):
            self._failed += item.count
            raise FrameFailedError(
                f"{self._name}: {item.count} frames from number {item.first} on were not read in time and are lost; "
                "ask for fewer frames per second"
            )
        self._frames += 1
        return item

    def disarm(self) -> None:
        """Drop what is queued."""
        self._armed = False
        self._reader.disarm()

    def reconnect(self) -> None:
        """Open the same camera again, with the same settings, disarmed.

        Raises
        ------
        DeviceLostError
            It is still away, or does not deliver what it did.
        """
        self._armed, self._closed = False, False
        self._reader.stop()
        self._reader = self._start(self.capabilities.shape)
        self._reader.wait_until_open()

    def close(self) -> None:
        """Release the camera, or leave that to its thread where that hangs; safe to call twice."""
        self._armed, self._closed = False, True
        self._reader.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _start(self, shape: tuple[int, int] | None = None) -> CaptureReader:
        return CaptureReader(self._configured, self._name, self.config.exposure_s, self.config.lost_after_s, self._clock, shape)

    def _configured(self) -> Capture:
        """Open the device and ask for the settings, in the thread that will read it."""
        capture = self._open_capture(self.config)
        if not capture.isOpened():
            raise DeviceError(f"{self._name} cannot be opened; close the program that uses it")
        wanted = {
            cv2.CAP_PROP_FRAME_WIDTH: self.config.width,
            cv2.CAP_PROP_FRAME_HEIGHT: self.config.height,
            cv2.CAP_PROP_FPS: self.config.fps,
        }
        for setting, value in wanted.items():
            if value:
                capture.set(setting, value)
        return capture

    def _alive(self) -> None:
        if self._closed:
            raise DeviceError(f"{self._name} is closed; open it again")
        self._reader.check()

    def _no_trigger(self) -> DeviceError:
        return DeviceError(f"{self._name} cannot be triggered; it can only run freely")


def _check_size(config: OpenCvConfig, name: str, shape: tuple[int, int]) -> None:
    if config.width and shape != (config.height, config.width):
        raise DeviceError(
            f"{name} delivers {shape[1]} x {shape[0]} pixels instead of {config.width} x {config.height}; "
            "ask for a size that it has, or for 0 x 0"
        )


def _name_of(node: Path | None) -> str:
    return _text(_SYSFS / node.resolve().name / "name") if node else ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
