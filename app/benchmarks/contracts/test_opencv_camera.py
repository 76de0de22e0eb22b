"""USB video cameras and video files through OpenCV. The camera is a stand-in for ``cv2.VideoCapture``; the file is real."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import pytest

from drivers.base import TriggerMode
from drivers.camera_settings import NumberRange, SettingName
from drivers.clock import RealClock, VirtualClock
from drivers.opencv.camera import OpenCvCamera, OpenCvConfig, open_opencv
from drivers.testing.camera_contract import CameraContract, FreeRunOnlyContract, LostContract, Subject
from drivers.testing.videos import random_colours, write_mjpeg

#: How late a busy computer may be, in seconds.
GRACE_S = 5.0


class PacedCapture:
    """A camera of 40 frames per second until it is unplugged; it may be opened again at once."""

    EXPOSURE_S, PERIOD_S = 0.02, 0.025

    def __init__(self) -> None:
        self._unplugged = threading.Event()
        self._released = threading.Event()
        self._number = 0

    @property
    def period_s(self) -> float:
        """Time from frame to frame in seconds."""
        return self.PERIOD_S

    def isOpened(self) -> bool:
        """Return True."""
        return True

    def get(self, prop: int, /) -> float:
        """Return no property."""
        return 0.0

    def set(self, prop: int, value: float, /) -> bool:
        """Refuse every setting."""
        return False

    def read(self) -> tuple[bool, Any]:
        """Wait for the next frame; none comes after unplugging."""
        if self._unplugged.wait(self.period_s):
            return False, None
        self._number += 1
        return True, random_colours(self._number)

    def release(self) -> None:
        """Note that the reading thread has finished."""
        self._released.set()

    def unplug(self) -> None:
        """Deliver no more frames; return when the reading thread has noticed."""
        self._unplugged.set()
        assert self._released.wait(GRACE_S)


class ControlledCapture(PacedCapture):
    """The same camera with exposure and gain, which count 100 us and steps."""

    RANGES: Mapping[SettingName, NumberRange] = {
        SettingName.EXPOSURE_S: NumberRange(0.0005, 0.25, 0.0001),
        SettingName.GAIN: NumberRange(0, 64, 1),
    }

    def __init__(self) -> None:
        super().__init__()
        self._properties: dict[int, float] = {cv2.CAP_PROP_EXPOSURE: 200, cv2.CAP_PROP_GAIN: 16}

    @property
    def period_s(self) -> float:
        """The exposure and 5 ms."""
        return self._properties[cv2.CAP_PROP_EXPOSURE] * 1e-4 + 0.005

    def get(self, prop: int, /) -> float:
        """Return a property."""
        return self._properties.get(prop, 0.0)

    def set(self, prop: int, value: float, /) -> bool:
        """Keep a property."""
        self._properties[prop] = value
        return True


class TestUvc(CameraContract, FreeRunOnlyContract, LostContract):
    """A USB video camera: frames and loss; it has no trigger."""

    @pytest.fixture
    def subject(self) -> Iterator[Subject]:
        """Return a camera that can be unplugged and opened again."""
        opened: list[PacedCapture] = []

        def open_capture(config: OpenCvConfig) -> PacedCapture:
            opened.append(PacedCapture())
            return opened[-1]

        config = OpenCvConfig(exposure_s=PacedCapture.EXPOSURE_S)
        with OpenCvCamera(config, RealClock(), open_capture) as camera:
            yield Subject(camera, RealClock(), TriggerMode.FREE_RUN, grace_s=0.5, unplug=lambda: opened[-1].unplug())


class TestControlledUvc(CameraContract, FreeRunOnlyContract, LostContract):
    """A USB video camera whose exposure and gain can be set."""

    @pytest.fixture
    def subject(self) -> Iterator[Subject]:
        """Return a camera that can be unplugged and opened again."""
        opened: list[ControlledCapture] = []

        def open_capture(config: OpenCvConfig) -> ControlledCapture:
            opened.append(ControlledCapture())
            return opened[-1]

        config = OpenCvConfig(exposure_s=PacedCapture.EXPOSURE_S)
        with OpenCvCamera(config, RealClock(), open_capture, ControlledCapture.RANGES) as camera:
            yield Subject(camera, RealClock(), TriggerMode.FREE_RUN, grace_s=0.5, unplug=lambda: opened[-1].unplug())


class TestVideoFile(CameraContract, FreeRunOnlyContract):
    """A Motion-JPEG file: frames; it has no trigger and cannot be lost."""

    @pytest.fixture
    def subject(self, tmp_path: Path) -> Iterator[Subject]:
        """Return a file of five frames, 20 ms apart."""
        clock, path = VirtualClock(), write_mjpeg(tmp_path, 5, fps=50)
        with open_opencv(OpenCvConfig(str(path), exposure_s=0.004), clock) as camera:
            yield Subject(camera, clock, TriggerMode.FREE_RUN)
