"""A thread that reads an OpenCV capture, and the bounded queue of its frames.

``cv2.VideoCapture.read`` may block for ever when a camera is unplugged. A thread that hangs is abandoned together with its
capture. If the call returns later, the thread releases the capture and ends.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from drivers.base import DeviceError, DeviceLostError, DeviceTimeoutError, Frame
from drivers.clock import Clock
from drivers.recorded.video_file import grey

#: Largest number of frames that wait to be read; further frames are lost and counted.
QUEUE_FRAMES = 32
#: Longest time to wait for the end of a thread that may hang, in seconds.
_JOIN_S = 0.5


class Capture(Protocol):
    """The part of ``cv2.VideoCapture`` that is used."""

    def isOpened(self) -> bool:
        """Return whether the device was opened."""

    def get(self, prop: int, /) -> float:
        """Return a setting; 0 or -1 where the device does not have it."""

    def set(self, prop: int, value: float, /) -> bool:
        """Request a setting; return whether it was accepted."""

    def read(self) -> tuple[bool, Any]:
        """Wait for the next image (H, W, 3); the first value is False if there is none."""

    def release(self) -> None:
        """Close the device."""


@dataclass
class LostFrames:
    """``count`` frames, starting with number ``first``, arrived while the queue was full."""

    first: int
    count: int


@dataclass(frozen=True, kw_only=True)
class ReaderConfig:
    """Name of a device, and what its frames are like.

    Parameters
    ----------
    name : str
        Name for messages.
    exposure_s : float
        Exposure time of the frames, in seconds.
    lost_after_s : float
        A device that delivers nothing for this time is lost, in seconds.
    shape : (int, int), optional
        Required height and width of the frames; by default those of the first frame.
    """

    name: str
    exposure_s: float
    lost_after_s: float
    shape: tuple[int, int] | None = None


@dataclass(frozen=True)
class _Request:
    """What the thread is asked to do with the device, whether that gives the exposure, and the answer."""

    work: Callable[[Capture], float]
    gives_exposure: bool
    result: Future[float]


class CaptureReader:
    """Reads a device from its opening until it is lost. The thread starts immediately.

    Parameters
    ----------
    open_capture : callable
        Opens and configures the device. It runs in the thread, because it may block as well.
    config : ReaderConfig
        The device.
    clock : Clock
        Gives the frames their time stamps.
    """

    def __init__(self, open_capture: Callable[[], Capture], config: ReaderConfig, clock: Clock) -> None:
        self._open_capture = open_capture
        self._name = config.name
        self._exposure_s = config.exposure_s
        self._lost_after_s = config.lost_after_s
        self._shape = config.shape
        self._has_frame = False
        self._clock = clock
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._error = ""
        self._queue: deque[Frame | LostFrames] = deque()
        self._requests: deque[_Request] = deque()
        self._armed_ns: int | None = None
        self._count = 0
        self._last_ns = clock.now_ns()
        self._thread = threading.Thread(target=self._run, name=f"read {config.name}", daemon=True)
        self._thread.start()

    def wait_until_open(self) -> tuple[int, int]:
        """Wait for the first frame and return its shape (H, W); raises DeviceLostError when none arrives."""
        with self._changed:
            self._wait(self._lost_after_s, lambda: self._has_frame)
            self._check()
            assert self._shape is not None, "without a frame the check above raises"
            return self._shape

    def check(self) -> None:
        """Raise DeviceLostError when the device has disappeared or delivered nothing for too long."""
        with self._changed:
            self._check()

    def arm(self) -> None:
        """Empty the queue; frames whose exposure begins from now on are queued, numbered from 0."""
        with self._changed:
            self._queue.clear()
            self._count = 0
            self._armed_ns = self._clock.now_ns()

    def disarm(self) -> None:
        """Empty the queue and keep it empty. The camera is still read, because its buffers would otherwise keep old frames."""
        with self._changed:
            self._queue.clear()
            self._armed_ns = None

    def get(self, timeout_s: float) -> Frame | LostFrames:
        """Return the next frame or a gap; raises DeviceTimeoutError, or DeviceLostError as soon as the loss is known."""
        with self._changed:
            self._wait(timeout_s, lambda: bool(self._queue))
            self._check()
            if not self._queue:
                raise DeviceTimeoutError(
                    f"no frame from {self._name} within {timeout_s:.3f} s; check its exposure and its frame rate"
                )
            return self._queue.popleft()

    def call(self, work: Callable[[Capture], float], *, gives_exposure: bool = False) -> float:
        """Let the thread use the device between two frames, and return the result.

        Parameters
        ----------
        work : callable
            Called with the device.
        gives_exposure : bool
            Whether the result is the exposure of the frames that are read afterwards, in seconds.

        Raises
        ------
        DeviceLostError
            The device has disappeared, or delivers nothing.
        DeviceError
            ``work`` has raised this.
        """
        request = _Request(work, gives_exposure, Future())
        with self._changed:
            self._check()
            self._requests.append(request)
        try:
            return request.result.result(self._lost_after_s)
        except (TimeoutError, CancelledError):
            request.result.cancel()
            self.check()
            raise DeviceTimeoutError(f"{self._name} did not answer within {self._lost_after_s:g} s") from None

    def stop(self) -> None:
        """End the thread; abandon it if it hangs."""
        self._stop.set()
        self._thread.join(_JOIN_S)

    @property
    def _lost_ns(self) -> int:
        """Time in ns from which a device that delivers nothing is lost."""
        return self._last_ns + round(self._lost_after_s * 1e9)

    def _wait(self, timeout_s: float, ready: Callable[[], bool]) -> None:
        """Wait until ``ready``, until the device is lost, or until the time is over."""
        deadline_ns = self._clock.now_ns() + round(timeout_s * 1e9)
        while not ready() and not self._error:
            left_ns = min(deadline_ns, self._lost_ns) - self._clock.now_ns()
            if left_ns <= 0:
                return
            self._changed.wait(left_ns * 1e-9)

    def _check(self) -> None:
        if not self._error and self._clock.now_ns() >= self._lost_ns:
            self._lose(f"{self._name} delivered nothing for {self._lost_after_s:g} s; check its cable and open it again")
        if self._error:
            raise DeviceLostError(self._error)

    def _lose(self, error: str) -> None:
        self._error = self._error or error
        self._stop.set()
        self._queue.clear()
        for request in self._requests:
            request.result.cancel()
        self._changed.notify_all()

    # ---- in the thread

    def _run(self) -> None:
        capture: Capture | None = None
        try:
            capture = self._open_capture()
            while not self._stop.is_set():
                self._serve(capture)
                delivered, image = capture.read()
                arrived_ns = self._clock.now_ns()
                if not delivered or image is None:
                    raise DeviceError(f"{self._name} returned no frame; check its cable and open it again")
                self._put(grey(image), arrived_ns)
        except Exception as error:  # noqa: BLE001 the caller of get() must see every error of the thread
            text = " ".join(str(error).split())
            with self._changed:
                self._lose(text if isinstance(error, DeviceError) else f"{self._name} failed ({text}); open it again")
        finally:
            # Last, because this may block as well.
            if capture is not None:
                capture.release()

    def _serve(self, capture: Capture) -> None:
        while self._requests:
            request = self._requests.popleft()
            if not request.result.set_running_or_notify_cancel():
                continue
            try:
                answer = request.work(capture)
            except DeviceError as error:
                request.result.set_exception(error)
                continue
            if request.gives_exposure:
                with self._changed:
                    self._exposure_s = answer
            request.result.set_result(answer)

    def _put(self, pixels: NDArray[np.uint8], arrived_ns: int) -> None:
        with self._changed:
            self._last_ns = arrived_ns
            height, width = pixels.shape
            self._shape = self._shape or (height, width)
            if pixels.shape != self._shape:
                raise DeviceError(f"{self._name} delivered {pixels.shape} instead of {self._shape}; open it again")
            self._has_frame = True
            # A frame whose exposure began before arming is not queued.
            if self._armed_ns is not None and arrived_ns - round(self._exposure_s * 1e9) >= self._armed_ns:
                number = self._count
                self._count += 1
                last = self._queue[-1] if self._queue else None
                if len(self._queue) < QUEUE_FRAMES:
                    self._queue.append(Frame(pixels, number, arrived_ns, self._exposure_s))
                elif isinstance(last, LostFrames):
                    last.count += 1
                else:
                    self._queue.append(LostFrames(number, 1))
            self._changed.notify_all()
