"""USB video cameras and video files through OpenCV. The camera is a stand-in for ``cv2.VideoCapture``; the file is real."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.base import TriggerMode
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

    def isOpened(self) -> bool:
        """Return True."""
        return True

    def set(self, prop: int, value: float, /) -> bool:
        """Refuse every setting."""
        return False

    def read(self) -> tuple[bool, Any]:
        """Wait for the next frame; none comes after unplugging."""
        if self._unplugged.wait(self.PERIOD_S):
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


class TestVideoFile(CameraContract, FreeRunOnlyContract):
    """A Motion-JPEG file: frames; it has no trigger and cannot be lost."""

    @pytest.fixture
    def subject(self, tmp_path: Path) -> Iterator[Subject]:
        """Return a file of five frames, 20 ms apart."""
        clock, path = VirtualClock(), write_mjpeg(tmp_path, 5, fps=50)
        with open_opencv(OpenCvConfig(str(path), exposure_s=0.004), clock) as camera:
            yield Subject(camera, clock, TriggerMode.FREE_RUN)
