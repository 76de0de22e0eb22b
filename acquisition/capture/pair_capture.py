"""One pair at a time: show, settle, trigger, read, verify; and what to do when that fails.

The rules, each learned from a wrong pair on an optical bench:

- At most one pattern and one trigger are outstanding.
- Trigger only when the camera is ready.
- Expose only after the SLM has displayed the pattern and has settled.
- After a fault disarm, drain, arm and show the pattern again before the retake. Never only read again.
- Never shift frames against patterns.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from acquisition.archive.kinds import EventKind
from drivers.base import (
    Camera,
    DeviceError,
    DeviceLostError,
    DeviceTimeoutError,
    Frame,
    FrameFailedError,
    Pattern,
    Slm,
    SpeckleScopeError,
    TriggerIgnoredError,
    TriggerMode,
)
from drivers.clock import Clock, RealClock

T = TypeVar("T")


class CaptureError(SpeckleScopeError):
    """A pair could not be captured, however often it was retaken."""


class BadPairError(SpeckleScopeError):
    """A frame came, but it may not belong to its pattern, or it is useless; it is retaken."""


#: What is retaken after a fault, and how the journal names the fault.
_FAULTS: Mapping[type[SpeckleScopeError], EventKind] = {
    DeviceTimeoutError: EventKind.DEVICE_TIMEOUT,
    DeviceLostError: EventKind.DEVICE_LOST,
    FrameFailedError: EventKind.FRAME_FAILED,
    TriggerIgnoredError: EventKind.TRIGGER_IGNORED,
    BadPairError: EventKind.BAD_PAIR,
}


@dataclass(frozen=True)
class FrameLimits:
    """Limits beyond which a frame is useless.

    Parameters
    ----------
    max_saturated : float
        Largest accepted fraction of saturated pixels.
    min_mean_fraction : float
        Smallest accepted mean, as a fraction of full scale.
    """

    max_saturated: float = 0.01
    min_mean_fraction: float = 0.005


@dataclass(frozen=True)
class Rig:
    """The devices of one instrument.

    Parameters
    ----------
    camera : Camera
        The camera.
    slm : Slm or None
        The SLM. Without one the instrument can watch, but it cannot show patterns.
    clock : Clock
        The clock that gives the devices their times.
    trigger : TriggerMode
        What starts an exposure under a pattern. With ``TriggerMode.HARDWARE`` the SLM's sync output is wired to the
        camera's trigger line.
    """

    camera: Camera
    slm: Slm | None
    clock: Clock
    trigger: TriggerMode = TriggerMode.SOFTWARE

    def display(self) -> Slm:
        """Return the SLM; raises DeviceError when there is none."""
        if self.slm is None:
            raise DeviceError("this instrument has no SLM, so no pattern can be shown; set 'slm' in its configuration")
        return self.slm

    def close(self) -> None:
        """Release the devices, in reverse order of opening."""
        try:
            if self.slm is not None:
                self.slm.close()
        finally:
            self.camera.close()


def make_rig(camera: Camera, slm: Slm, clock: Clock | None = None) -> Rig:
    """Return a rig with a software trigger, on the real clock unless another one is given."""
    return Rig(camera, slm, clock or RealClock())


class PairCapture:
    """Captures verified pairs from a rig; only the thread that owns the devices may use it.

    Parameters
    ----------
    rig : Rig
        Camera, SLM and clock.
    limits : FrameLimits
        Quality limits of a single frame.
    on_fault : callable
        Called with ``(kind, text)`` for every fault, before the retake.
    retakes : int
        How often one pair is retaken before the run stops.
    reconnect_s : float
        How long to wait for a lost device to come back, in seconds.

    Attributes
    ----------
    retaken : int
        Captures that were repeated after a fault.
    displays_lost : int
        How often the SLM's display was lost. Nobody knows since when, so earlier pairs cannot be trusted either.
    """

    def __init__(
        self,
        rig: Rig,
        limits: FrameLimits | None = None,
        on_fault: Callable[[EventKind, str], None] = lambda kind, text: None,
        retakes: int = 5,
        reconnect_s: float = 30.0,
    ) -> None:
        self._rig = rig
        self._slm = rig.display()
        self._limits = limits or FrameLimits()
        self._on_fault = on_fault
        self._retakes = retakes
        self._reconnect_s = reconnect_s
        self._armed = False
        self._settled_ns = 0
        self._last_crc: int | None = None
        self.retaken = 0
        self.displays_lost = 0

    def capture(self, pattern: Pattern, check: Callable[[Frame], None] = lambda frame: None) -> Frame:
        """Return a verified frame of ``pattern``, labelled with its id.

        Parameters
        ----------
        pattern : Pattern
            Pattern to show.
        check : callable
            A further check of the caller: it raises BadPairError for a frame that must be retaken.

        Raises
        ------
        CaptureError
            The capture failed more often than ``retakes`` allows, or a device did not come back.
        DeviceError
            The camera delivers frames without a trigger, or its trigger is set in a way that cannot work.
        """
        for attempt in range(self._retakes + 1):
            try:
                frame = self._capture_once(pattern)
                check(frame)
                return frame
            except (DeviceTimeoutError, FrameFailedError, TriggerIgnoredError, BadPairError) as error:
                self._fault(error)
                last: DeviceError | BadPairError = error
            except DeviceLostError as error:
                self._fault(error)
                self._await_return(error)
                last = error
            if attempt < self._retakes:
                self.retaken += 1
        raise CaptureError(f"pattern {pattern.name!r} failed {self._retakes + 1} times in a row; the last time: {last}")

    def release(self) -> None:
        """Disarm the camera; can be called after any failure."""
        self._armed = False
        self._rig.camera.disarm()

    def _capture_once(self, pattern: Pattern) -> Frame:
        camera, slm, clock = self._rig.camera, self._slm, self._rig.clock
        if not self._armed:
            self._arm()
        frame_s = camera.exposure_s + camera.capabilities.readout_s + 0.25
        requested_ns = clock.now_ns()
        self._settled_ns = self._display(lambda: slm.show(pattern))
        if self._rig.trigger is TriggerMode.HARDWARE:
            # The edge comes when the display changes, at a time that only the camera knows. Its trigger delay lets the liquid
            # crystal settle.
            earliest_ns = requested_ns + round(slm.capabilities.settle_s * 1e9)
            wait_s = (self._settled_ns - clock.now_ns()) * 1e-9 + camera.capabilities.trigger_delay_s
            frame = camera.read(wait_s + frame_s)
        else:
            clock.wait_until(self._settled_ns)
            earliest_ns = min(self._settled_ns, clock.now_ns())
            camera.trigger()
            frame = camera.read(frame_s)
        self._display(slm.check)
        self._verify(frame, earliest_ns)
        self._last_crc = zlib.crc32(frame.pixels.tobytes())
        return frame.labelled(pattern.id)

    def _display(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except DeviceLostError:
            self.displays_lost += 1
            raise

    def _arm(self) -> None:
        camera, slm = self._rig.camera, self._slm
        if self._rig.trigger is TriggerMode.HARDWARE:
            delay_s, settle_s = camera.capabilities.trigger_delay_s, slm.capabilities.settle_s
            if delay_s < settle_s:
                raise DeviceError(
                    f"the camera's trigger delay is {delay_s} s, the SLM needs {settle_s} s to settle; raise trigger_delay_s"
                )
            # The trigger edge of the last pattern may still come.
            self._rig.clock.wait_until(self._settled_ns)
        camera.arm(self._rig.trigger)
        counters = camera.counters
        if (counters.triggers, counters.frames) != (0, 0):
            raise DeviceError(f"the camera counts {counters} right after arming; power-cycle it")
        # An armed camera gives no frame without a trigger. Free-running cameras have spoilt whole datasets.
        try:
            camera.read(0.0)
        except DeviceTimeoutError:
            self._armed = True
            return
        camera.disarm()
        raise DeviceError("the camera delivers frames without a trigger; check its trigger source and line")

    def _verify(self, frame: Frame, earliest_ns: int) -> None:
        counters = self._rig.camera.counters
        start_ns = frame.t_ns - round(frame.exposure_s * 1e9)
        if counters.triggers != counters.frames + counters.failed:
            raise BadPairError(f"{counters.triggers} triggers gave {counters.frames} frames and {counters.failed} failures")
        if frame.index != counters.frames - 1:
            raise BadPairError(f"frame number {frame.index} came as frame {counters.frames - 1}")
        if start_ns < earliest_ns - 1_000_000:
            early_ms = (earliest_ns - start_ns) * 1e-6
            raise BadPairError(f"the exposure began {early_ms:.1f} ms before the pattern had settled")
        if zlib.crc32(frame.pixels.tobytes()) == self._last_crc:
            raise BadPairError("the frame repeats the previous one byte for byte: a stale buffer")
        saturated = frame.saturated_fraction()
        if saturated > self._limits.max_saturated:
            raise BadPairError(f"{100 * saturated:.1f} % of the pixels are saturated; shorten the exposure")
        mean = float(np.mean(frame.pixels)) / frame.full_scale
        if mean < self._limits.min_mean_fraction:
            raise BadPairError(
                f"the frame's mean is {100 * mean:.2f} % of full scale; is the light on? Switch it on or expose longer"
            )

    def _fault(self, error: SpeckleScopeError) -> None:
        kind = next(kind for fault, kind in _FAULTS.items() if isinstance(error, fault))
        self._on_fault(kind, str(error))
        self._armed = False
        self._rig.camera.disarm()

    def _await_return(self, lost: DeviceLostError) -> None:
        clock = self._rig.clock
        deadline = clock.now_ns() + round(self._reconnect_s * 1e9)
        while True:
            try:
                self._rig.camera.reconnect()
                self._slm.reconnect()
                return
            except DeviceLostError as error:
                if clock.now_ns() >= deadline:
                    raise CaptureError(f"a device did not come back within {self._reconnect_s:.0f} s: {error}") from lost
                clock.wait_until(clock.now_ns() + 500_000_000)
