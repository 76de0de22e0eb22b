"""A camera that exposes by the clock in a thread of its own, keeps 16 frames, and overwrites the oldest: nobody can slow it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from app.benchmarks.live.counter_code import BIT_PX, COLUMNS, write_number
from drivers.base import (
    CameraCapabilities,
    CameraCounters,
    DeviceError,
    DeviceLostError,
    DeviceTimeoutError,
    Frame,
    FrameFailedError,
    TriggerMode,
)
from drivers.camera_settings import (
    CameraSetting,
    NumberRange,
    Roi,
    RoiRange,
    SettingName,
    SettingValue,
    accepted,
    exposure_setting,
)

_KEPT = 16
_EXPOSURE_S = 0.002
_LOWEST_RATE_HZ, _HIGHEST_RATE_HZ = 1.0, 200.0
_ROI_STEP_PX = 4
#: For so many exposures the camera remembers when they ended.
_TIMES = 2000
#: The smallest region: the code of the number has to fit.
_ROI_LEAST_PX = COLUMNS * BIT_PX


class ClockedCamera:
    """Delivers pictures in turn; every frame has the number of its exposure in its upper left corner.

    Parameters
    ----------
    pictures : sequence of ndarray of uint8, shape (H, W)
        What is exposed, in turn.
    fps : float
        Exposures per second.
    """

    def __init__(self, pictures: Sequence[NDArray[np.uint8]], fps: float) -> None:
        self._pictures = pictures
        self._period_s = 1 / fps
        height, width = pictures[0].shape
        self.capabilities = CameraCapabilities(
            model="clocked camera",
            serial="benchmark",
            shape=(height, width),
            bit_depths=(8,),
            exposure_range_s=(1e-4, 1.0),
            readout_s=1 / fps,
        )
        self.bit_depth = 8
        self.exposure_s = _EXPOSURE_S
        self._roi = self._roi_range().whole
        self._armed = False
        self._frames: deque[Frame] = deque()
        self._changed = threading.Condition()
        self._exposures = 0
        self._overwritten = 0
        self._delivered = 0
        self._lost = False
        self._hangs = False
        self._delivers_nothing = False
        self._newest_read = -1
        self._times_ns: deque[tuple[int, int]] = deque(maxlen=_TIMES)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def counters(self) -> CameraCounters:
        """Exposures, frames that were read, and frames that were overwritten, since arming."""
        return CameraCounters(self._exposures, self._delivered, self._overwritten)

    @property
    def exposures(self) -> int:
        """Number of exposures since arming; the newest frame has this number minus 1."""
        return self._exposures

    @property
    def newest_read(self) -> int:
        """Number of the newest frame that was read; -1 before the first."""
        return self._newest_read

    def times_ns(self) -> dict[int, int]:
        """Return when the latest exposures ended, by their numbers, in nanoseconds of the monotonic clock."""
        with self._changed:
            return dict(self._times_ns)

    def lose(self) -> None:
        """Disappear, as a camera whose cable was pulled out."""
        with self._changed:
            self._lost = True
            self._changed.notify_all()

    def return_(self) -> None:
        """Be there again."""
        with self._changed:
            self._lost = False

    def hang(self, *, hangs: bool) -> None:
        """Deliver no frames, or deliver them again."""
        self._hangs = hangs

    def deliver_nothing(self, *, nothing: bool) -> None:
        """Return None in place of frames, as some makers' software does against its description; or frames again."""
        self._delivers_nothing = nothing

    def settings(self) -> tuple[CameraSetting, ...]:
        """Return exposure, frame rate and region; see :class:`drivers.camera_settings.AdjustableCamera`."""
        rates = NumberRange(_LOWEST_RATE_HZ, _HIGHEST_RATE_HZ)
        return (
            exposure_setting(self),
            CameraSetting(name=SettingName.FRAME_RATE_HZ, value=1 / self._period_s, limits=rates, unit="Hz"),
            CameraSetting(name=SettingName.ROI, value=self._roi, limits=self._roi_range(), unit="px", live=False),
        )

    def change_setting(self, name: SettingName, value: SettingValue) -> None:
        """Change one setting; see :meth:`drivers.camera_settings.AdjustableCamera.change_setting`."""
        value = accepted(self.settings(), name, value, armed=self._armed)
        if isinstance(value, Roi):
            self._roi = value
            self.capabilities = replace(self.capabilities, shape=(value.height, value.width))
        elif name is SettingName.EXPOSURE_S:
            self.set_exposure(value)
        else:
            self._period_s = 1 / value

    def set_exposure(self, exposure_s: float) -> None:
        """Set the exposure time in seconds; raises DeviceError outside the range."""
        shortest_s, longest_s = self.capabilities.exposure_range_s
        if not shortest_s <= exposure_s <= longest_s:
            raise DeviceError(f"exposure {exposure_s:g} s is outside {shortest_s:g} to {longest_s:g} s")
        self.exposure_s = exposure_s

    def arm(self, trigger: TriggerMode) -> None:
        """Begin to expose; only free run."""
        if trigger is not TriggerMode.FREE_RUN:
            raise DeviceError("the clocked camera has no trigger; use free run")
        self.disarm()
        if self._lost:
            raise DeviceLostError("the clocked camera has disappeared")
        self._frames.clear()
        self._exposures = self._overwritten = self._delivered = 0
        self._newest_read = -1
        self._times_ns.clear()
        self._armed = True
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._expose, args=(self._stop,), name="clocked camera", daemon=True)
        self._thread.start()

    def trigger(self) -> None:
        """Refuse: the camera runs by its clock."""
        raise DeviceError("the clocked camera has no trigger; use free run")

    def read(self, timeout_s: float) -> Frame:
        """Return the next frame in order, as any camera; frames that were overwritten are reported."""
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self._lost, timeout_s)
            if self._lost:
                raise DeviceLostError("the clocked camera has disappeared")
            if self._delivers_nothing:
                return None  # type: ignore[return-value]  # this is the fault
            if not self._frames:
                raise DeviceTimeoutError(f"no frame within {timeout_s:g} s")
            frame = self._frames.popleft()
            missing = frame.index - self._delivered - self._overwritten
            if missing > 0:
                self._overwritten += missing
                self._frames.appendleft(frame)
                raise FrameFailedError(f"{missing} frames were overwritten before they were read")
            self._delivered += 1
            self._newest_read = frame.index
            return frame

    def disarm(self) -> None:
        """Stop exposing."""
        self._armed = False
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)
            self._thread = None

    def reconnect(self) -> None:
        """Open the camera again."""
        self.disarm()
        if self._lost:
            raise DeviceLostError("the clocked camera is not there")

    def close(self) -> None:
        """Stop."""
        self.disarm()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _roi_range(self) -> RoiRange:
        height, width = self._pictures[0].shape
        low = min(_ROI_LEAST_PX, height, width)
        widths, heights = NumberRange(low, width, _ROI_STEP_PX), NumberRange(low, height, _ROI_STEP_PX)
        return RoiRange(width=widths, height=heights, x_step=_ROI_STEP_PX, y_step=_ROI_STEP_PX)

    def _expose(self, stop: threading.Event) -> None:
        rows, columns = slice(self._roi.y, self._roi.y + self._roi.height), slice(self._roi.x, self._roi.x + self._roi.width)
        due_s = time.monotonic() + self._period_s
        number = 0
        while not stop.wait(max(0.0, due_s - time.monotonic())):
            # After this process was stopped for a while, only the exposures that are kept have pictures: the others would keep
            # the interpreter from the window for 70 us each.
            unseen = max(0, int((time.monotonic() - due_s) / self._period_s) - _KEPT)
            number += unseen
            due_s += unseen * self._period_s
            pixels = self._pictures[number % len(self._pictures)][rows, columns].copy()
            write_number(pixels, number)
            frame = Frame(pixels, number, time.monotonic_ns(), self.exposure_s)
            number += 1
            due_s += self._period_s
            with self._changed:
                self._exposures = number
                self._times_ns.append((frame.index, frame.t_ns))
                if self._hangs or self._lost:
                    continue
                self._frames.append(frame)
                while len(self._frames) > _KEPT:
                    self._frames.popleft()
                self._changed.notify_all()
