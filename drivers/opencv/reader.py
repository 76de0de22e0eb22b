"""A thread that alone talks to an OpenCV capture, and the bounded queue through which its frames come out.

``cv2.VideoCapture.read`` may block for ever when a camera is pulled out. A thread that hangs is abandoned together with its
capture; should it wake up, it releases that and ends.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from drivers.base import DeviceError, DeviceLostError, DeviceTimeoutError, Frame
from drivers.clock import Clock
from drivers.recorded.video_file import grey

#: Frames that wait for whoever reads them; more are lost, and counted.
QUEUE_FRAMES = 32
#: How long stopping waits for a thread that may hang, in seconds.
_JOIN_S = 0.5


class Capture(Protocol):
    """The part of ``cv2.VideoCapture`` that is used."""

    def isOpened(self) -> bool:
        """Return whether the device was opened."""

    def set(self, prop: int, value: float, /) -> bool:
        """Ask for a setting."""

    def read(self) -> tuple[bool, Any]:
        """Wait for the next image (H, W, 3); False without one."""

    def release(self) -> None:
        """Close the device."""


@dataclass
class Lost:
    """So many frames, from number ``first`` on, came while the queue was full."""

    first: int
    count: int


class CaptureReader:
    """One opening of a device, from its first frame to its loss; the thread starts at once.

    Parameters
    ----------
    open_capture : callable
        Opens and configures the device; runs in the thread, since that may block as well.
    name : str
        For messages.
    exposure_s : float
        Exposure time that the frames carry, in seconds.
    lost_after_s : float
        A device that delivers nothing for so long is lost, in seconds.
    clock : Clock
        Stamps the frames.
    shape : tuple of int, optional
        The shape (H, W) that is due; by default that of the first frame.
    """

    def __init__(
        self,
        open_capture: Callable[[], Capture],
        name: str,
        exposure_s: float,
        lost_after_s: float,
        clock: Clock,
        shape: tuple[int, int] | None = None,
    ) -> None:
        self._shape = shape
        self._seen = False
        self._open_capture = open_capture
        self._name = name
        self._exposure_s = exposure_s
        self._lost_after_s = lost_after_s
        self._clock = clock
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._error = ""
        self._queue: deque[Frame | Lost] = deque()
        self._armed_ns: int | None = None
        self._count = 0
        self._last_ns = clock.now_ns()
        self._thread = threading.Thread(target=self._run, name=f"read {name}", daemon=True)
        self._thread.start()

    def wait_until_open(self) -> tuple[int, int]:
        """Return the shape (H, W) of the frames, known with the first one; raises DeviceLostError when none comes."""
        with self._changed:
            self._wait(self._lost_after_s, lambda: self._seen)
            self._check()
            assert self._shape is not None, "silence was waited for, and checked"
            return self._shape

    def check(self) -> None:
        """Raise DeviceLostError when the device has gone or has been silent for too long."""
        with self._changed:
            self._check()

    def arm(self) -> None:
        """Empty the queue; from now on frames whose exposure begins later are queued, numbered from 0."""
        with self._changed:
            self._queue.clear()
            self._count, self._armed_ns = 0, self._clock.now_ns()

    def disarm(self) -> None:
        """Empty the queue and leave it so. The camera is read all the same, or its buffers would keep old frames."""
        with self._changed:
            self._queue.clear()
            self._armed_ns = None

    def get(self, timeout_s: float) -> Frame | Lost:
        """Return what comes next; raises DeviceTimeoutError, or DeviceLostError as soon as that is known."""
        with self._changed:
            self._wait(timeout_s, lambda: bool(self._queue))
            self._check()
            if not self._queue:
                raise DeviceTimeoutError(
                    f"no frame from {self._name} within {timeout_s:.3f} s; check its exposure and its rate"
                )
            return self._queue.popleft()

    def stop(self) -> None:
        """End the thread, or abandon it when it hangs."""
        self._stop.set()
        self._thread.join(_JOIN_S)

    @property
    def _silent_ns(self) -> int:
        """When the device has been silent for too long."""
        return self._last_ns + round(self._lost_after_s * 1e9)

    def _wait(self, timeout_s: float, ready: Callable[[], bool]) -> None:
        """Wait until ready, lost, silent for too long or out of time."""
        deadline_ns = self._clock.now_ns() + round(timeout_s * 1e9)
        while not ready() and not self._error:
            left_ns = min(deadline_ns, self._silent_ns) - self._clock.now_ns()
            if left_ns <= 0:
                return
            self._changed.wait(left_ns * 1e-9)

    def _check(self) -> None:
        if not self._error and self._clock.now_ns() >= self._silent_ns:
            self._lose(f"{self._name} delivered nothing for {self._lost_after_s:g} s; check its cable and open it again")
        if self._error:
            raise DeviceLostError(self._error)

    def _lose(self, error: str) -> None:
        self._error = self._error or error
        self._stop.set()
        self._queue.clear()
        self._changed.notify_all()

    # ---- in the thread

    def _run(self) -> None:
        capture: Capture | None = None
        try:
            capture = self._open_capture()
            while not self._stop.is_set():
                done, image = capture.read()
                arrived_ns = self._clock.now_ns()
                if not done or image is None:
                    raise DeviceError(f"{self._name} returned no frame; check its cable and open it again")
                self._put(grey(image), arrived_ns)
        except Exception as error:  # noqa: BLE001 whatever ends the thread, its reader has to know
            text = " ".join(str(error).split())
            with self._changed:
                self._lose(text if isinstance(error, DeviceError) else f"{self._name} failed ({text}); open it again")
        finally:
            # Last, because this may hang as well.
            if capture is not None:
                capture.release()

    def _put(self, pixels: NDArray[np.uint8], arrived_ns: int) -> None:
        with self._changed:
            self._last_ns = arrived_ns
            height, width = pixels.shape
            self._shape = self._shape or (height, width)
            if pixels.shape != self._shape:
                raise DeviceError(f"{self._name} delivered {pixels.shape} instead of {self._shape}; open it again")
            self._seen = True
            # What began before arming shows the world before it.
            if self._armed_ns is not None and arrived_ns - round(self._exposure_s * 1e9) >= self._armed_ns:
                number, self._count = self._count, self._count + 1
                last = self._queue[-1] if self._queue else None
                if len(self._queue) < QUEUE_FRAMES:
                    self._queue.append(Frame(pixels, number, arrived_ns, self._exposure_s))
                elif isinstance(last, Lost):
                    last.count += 1
                else:
                    self._queue.append(Lost(number, 1))
            self._changed.notify_all()
