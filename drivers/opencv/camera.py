"""USB video cameras (UVC) through OpenCV, and video files."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2

from drivers.base import Camera, CameraCapabilities, CameraCounters, DeviceError, Frame, FrameFailedError, TriggerMode
from drivers.camera_settings import CameraSetting, NumberRange, SettingName, SettingValue, accepted, number
from drivers.clock import Clock, RealClock
from drivers.device_facts import DeviceFact
from drivers.opencv.controls import ranges_of, write
from drivers.opencv.reader import Capture, CaptureReader, LostFrames, ReaderConfig
from drivers.recorded.replay import ReplayCamera
from drivers.recorded.video_file import VideoFile

_NODE = re.compile(r"/dev/video(\d+)", re.ASCII)
_SYSFS = Path("/sys/class/video4linux")
#: Assumed frames per second of a UVC camera for which no rate is configured.
_FPS = 30.0


@dataclass(frozen=True)
class OpenCvConfig:
    """Which camera or file, and its settings.

    Parameters
    ----------
    source : str
        Number of a UVC camera ("0" is the first) or its path. ``/dev/v4l/by-id/...`` stays the same when cameras are plugged in
        another order; ``/dev/video0`` may not. Anything else is the path of a video file.
    exposure_s : float
        Exposure time of the frames in seconds. A video file cannot report it, and a UVC camera not reliably: switch automatic
        exposure off with the camera's tool, and enter here the value that is set there.
    width, height : int
        Requested size in pixels; 0 keeps the size of the camera or file. It is an error if another size is delivered.
    fps : float
        Requested frames per second; 0 keeps the rate of the camera or file. A UVC camera may use another rate. A raw stream of
        H.264 (``.h264``) has no rate, so it needs this.
    bit_depth : int
        Always 8: OpenCV does not deliver more.
    loop : bool
        Whether a file starts again at its end. Otherwise reading then raises DeviceError.
    lost_after_s : float
        A UVC camera that delivers nothing for this time is lost, in seconds; longer than its exposure.

    Raises
    ------
    ValueError
        A setting is impossible.
    """

    source: str = "0"
    _: KW_ONLY
    exposure_s: float = 0.01
    width: int = 0
    height: int = 0
    fps: float = 0.0
    bit_depth: int = 8
    loop: bool = True
    lost_after_s: float = 5.0

    def __post_init__(self) -> None:
        if not self.source:
            raise ValueError("source must be the number or path of a camera or the path of a video file, got an empty text")
        if self.bit_depth != 8:
            raise ValueError(f"bit_depth must be 8, because OpenCV delivers no more, got {self.bit_depth}")
        if self.width < 0 or self.height < 0 or (self.width == 0) != (self.height == 0):
            raise ValueError(f"width and height must both be positive or both 0, got {self.width} x {self.height}")
        if not 0 <= self.fps < math.inf:
            raise ValueError(f"fps must be 0 or more, got {self.fps}")
        if not 0 < self.exposure_s < self.lost_after_s < math.inf:
            raise ValueError(f"must be 0 < exposure_s < lost_after_s, got {self.exposure_s} and {self.lost_after_s}")

    @property
    def device(self) -> Path | None:
        """Device file of a UVC camera; None for a video file."""
        if self.source.isdecimal():
            return Path(f"/dev/video{int(self.source)}")
        in_memory = os.path.normpath(self.source).startswith("/dev/shm/")  # a place for files, as any other
        return Path(self.source) if self.source.startswith("/dev/") and not in_memory else None


def list_opencv_cameras(sysfs: Path = _SYSFS) -> list[str]:
    """Return number and name of every video capture device, without opening any; on other systems than Linux none."""
    # A UVC camera also has device files without images; their index is not 0.
    nodes = [node for node in sysfs.glob("video*") if _text(node / "index") in ("", "0")]
    cameras = sorted((int(number), _text(node / "name")) for node in nodes if (number := node.name[5:]).isdecimal())
    return [f"{number} {name}".rstrip() for number, name in cameras]


def open_opencv(config: OpenCvConfig | None = None, clock: Clock | None = None) -> Camera:
    """Open the UVC camera or the video file that ``config`` names.

    Raises
    ------
    DeviceError
        It is missing or unreadable, another program uses it, or it does not have the requested size.
    """
    config = config or OpenCvConfig()
    if config.device is not None:
        return OpenCvCamera(config, clock)
    period_s = 1 / config.fps if config.fps else None
    video = VideoFile(Path(config.source), config.exposure_s, period_s)
    camera = ReplayCamera(video, period_s, clock, loop=config.loop)
    _check_size(config, f"the video {config.source}", camera.capabilities.shape)
    return camera


def open_uvc(config: OpenCvConfig) -> Capture:
    """Open a UVC camera with OpenCV; raises DeviceError when it is missing or this account may not use it."""
    node, is_linux = config.device, sys.platform == "linux"
    if node is None:
        raise DeviceError(f"{config.source} is not the number or path of a camera; open a video file with open_opencv")
    # Checked first, because OpenCV prints its own lines to the terminal about a device that it cannot open.
    if is_linux and not node.exists():
        present = "; ".join(list_opencv_cameras()) or "no camera"
        raise DeviceError(f"there is no camera {node}; plug it in, or choose another (found: {present})")
    if is_linux and not os.access(node, os.R_OK | os.W_OK):
        raise DeviceError(f"this account may not use the camera {node}; add it to the group 'video' and log in again")
    if not is_linux:
        return cv2.VideoCapture(int(config.source))
    # By its number, so that OpenCV opens nothing but a camera: a text could also be a file, an address or a pipeline.
    number = _NODE.fullmatch(str(node.resolve()))
    if number is None:
        raise DeviceError(f"{node} is no camera /dev/videoN; choose another")
    return cv2.VideoCapture(int(number[1]), cv2.CAP_V4L2)


class OpenCvCamera:
    """A UVC camera as a free-running :class:`drivers.base.Camera`. Creating the object opens the camera.

    ``cv2.cvtColor`` converts colour to grey. The time stamp of a frame is its arrival; its exposure is that of the
    configuration. The camera is read continuously. Frames that are not read in time are lost, and :meth:`read` reports them in
    their place.

    Parameters
    ----------
    config : OpenCvConfig, optional
        Which camera; :func:`open_opencv` also opens video files.
    clock : Clock, optional
        The computer's clock.
    open_capture : callable, optional
        Opens the device.
    ranges : mapping of SettingName to NumberRange, optional
        Ranges of exposure and gain; by default those that the kernel knows for the device.

    Raises
    ------
    DeviceError
        The camera is missing, another program uses it, or it delivers nothing or frames of another size than requested.
    """

    def __init__(
        self,
        config: OpenCvConfig | None = None,
        clock: Clock | None = None,
        open_capture: Callable[[OpenCvConfig], Capture] = open_uvc,
        ranges: Mapping[SettingName, NumberRange] | None = None,
    ) -> None:
        self.config = config or OpenCvConfig()
        self._ranges = ranges_of(self.config.device) if ranges is None else ranges
        self._exposure_s = self.config.exposure_s
        self._values: dict[SettingName, float] = {}
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
        # A UVC camera does not report its readout time. A frame has been delivered before the next one is ready.
        self.capabilities = CameraCapabilities(
            model=_name_of(self.config.device) or "UVC camera",
            serial=self.config.source,
            shape=shape,
            bit_depths=(8,),
            exposure_range_s=self._exposure_range_s(),
            readout_s=1 / (self.config.fps or _FPS),
        )

    @property
    def counters(self) -> CameraCounters:
        """Frames, and frames that were lost before they were read, since arming."""
        return CameraCounters(0, self._frames, self._failed)

    @property
    def exposure_s(self) -> float:
        """Exposure time in seconds: the one that was set, before that the one of the configuration."""
        return self._exposure_s

    @property
    def bit_depth(self) -> int:
        """Always 8."""
        return 8

    def device_facts(self) -> tuple[DeviceFact, ...]:
        """Return the driver; see :class:`drivers.device_facts.DescribedDevice`."""
        return (DeviceFact("Driver", f"OpenCV {cv2.__version__}"),)

    def set_exposure(self, exposure_s: float) -> None:
        """Set the exposure time; a camera whose range is not known refuses any except that of the configuration."""
        if SettingName.EXPOSURE_S in self._ranges:
            low_s, high_s = self.capabilities.exposure_range_s
            if not low_s <= exposure_s <= high_s:
                raise DeviceError(f"the exposure must be {low_s:g} to {high_s:g} s, got {exposure_s} s")
            self._write(SettingName.EXPOSURE_S, exposure_s)
        elif exposure_s != self._exposure_s:
            raise DeviceError(
                f"{self._name} keeps the configured exposure of {self._exposure_s} s, got {exposure_s} s; "
                "set it with the camera's own tool, then enter it in the configuration"
            )

    def settings(self) -> tuple[CameraSetting, ...]:
        """Return exposure and gain, where the kernel knows their range; the gain counts the camera's own steps."""
        settings = []
        if SettingName.EXPOSURE_S in self._ranges:
            limits = NumberRange(*self._exposure_range_s())
            settings.append(CameraSetting(name=SettingName.EXPOSURE_S, value=self._exposure_s, limits=limits, unit="s"))
        if (gain := self._ranges.get(SettingName.GAIN)) is not None:
            value = self._values.get(SettingName.GAIN)
            if value is None:
                self._alive()
                value = self._values[SettingName.GAIN] = self._reader.call(lambda capture: capture.get(cv2.CAP_PROP_GAIN))
            settings.append(CameraSetting(name=SettingName.GAIN, value=value, limits=gain, unit="steps of the device"))
        return tuple(settings)

    def change_setting(self, name: SettingName, value: SettingValue) -> None:
        """Change exposure or gain; see :meth:`drivers.camera_settings.AdjustableCamera.change_setting`."""
        self._write(name, number(accepted(self.settings(), name, value)))

    def arm(self, trigger: TriggerMode) -> None:
        """Empty the queue and number the frames from 0. Only free run is possible."""
        self._alive()
        if trigger is not TriggerMode.FREE_RUN:
            raise self._no_trigger()
        self._frames = self._failed = 0
        self._reader.arm()
        self._armed = True

    def trigger(self) -> None:
        """Refuse: a UVC camera has no trigger."""
        self._alive()
        raise self._no_trigger()

    def read(self, timeout_s: float) -> Frame:
        """Return the next frame; see :meth:`drivers.base.Camera.read`."""
        self._alive()
        if not self._armed:
            raise DeviceError("the camera is not armed; arm it before reading frames")
        item = self._reader.get(timeout_s)
        if isinstance(item, LostFrames):
            self._failed += item.count
            raise FrameFailedError(
                f"{self._name}: {item.count} frames from number {item.first} on were not read in time and are lost; "
                "ask for fewer frames per second"
            )
        self._frames += 1
        return item

    def disarm(self) -> None:
        """Discard queued frames."""
        self._armed = False
        self._reader.disarm()

    def reconnect(self) -> None:
        """Open the same camera again, with the same settings, disarmed.

        Raises
        ------
        DeviceLostError
            It is still disconnected, or it delivers frames of another shape.
        """
        self._armed = self._closed = False
        self._reader.stop()
        self._reader = self._start(self.capabilities.shape)
        self._reader.wait_until_open()

    def close(self) -> None:
        """Release the camera; if its thread hangs, the thread releases it later. Safe to call twice."""
        self._armed = False
        self._closed = True
        self._reader.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _start(self, shape: tuple[int, int] | None = None) -> CaptureReader:
        config = ReaderConfig(name=self._name, exposure_s=self._exposure_s, lost_after_s=self.config.lost_after_s, shape=shape)
        return CaptureReader(self._configured, config, self._clock)

    def _configured(self) -> Capture:
        """Open the device and request the settings; runs in the thread that reads it."""
        capture = self._open_capture(self.config)
        if not capture.isOpened():
            raise DeviceError(f"{self._name} cannot be opened; close the program that uses it")
        settings = {
            cv2.CAP_PROP_FRAME_WIDTH: self.config.width,
            cv2.CAP_PROP_FRAME_HEIGHT: self.config.height,
            cv2.CAP_PROP_FPS: self.config.fps,
        }
        for setting, value in settings.items():
            if value:
                capture.set(setting, value)
        for name, chosen in self._values.items():  # after it was lost
            write(capture, name, chosen)
        return capture

    def _write(self, name: SettingName, value: float) -> None:
        """Write exposure or gain between two frames."""
        self._alive()
        is_exposure = name is SettingName.EXPOSURE_S
        self._values[name] = self._reader.call(lambda capture: write(capture, name, value), gives_exposure=is_exposure)
        if is_exposure:
            self._exposure_s = self._values[name]

    def _exposure_range_s(self) -> tuple[float, float]:
        limits = self._ranges.get(SettingName.EXPOSURE_S)
        if limits is None:
            return self.config.exposure_s, self.config.exposure_s
        # A longer exposure would look like a camera that is lost.
        return max(limits.low, limits.step), min(limits.high, 0.9 * self.config.lost_after_s)

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
            "configure a size that it has, or 0 x 0"
        )


def _name_of(node: Path | None) -> str:
    return _text(_SYSFS / node.resolve().name / "name") if node else ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
