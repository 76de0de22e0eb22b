"""Basler cameras through pypylon.

Rules learned on an optical bench:

- Frames are grabbed one by one, never only the latest.
- A trigger is sent only when the camera reports that it is ready, and only one is outstanding at a time.
- After arming, the settings are read back.
- An incomplete frame has error code 0 and a full array of pixels, so only ``GrabSucceeded()`` tells.
- pylon's own time-outs are not used. On Linux they rely on SIGALRM; if other code in the process handles that signal, a call
  of 50 ms waits for ever. The driver polls instead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import numpy as np
from pypylon import genicam, pylon

from drivers.base import (
    CameraCapabilities,
    CameraCounters,
    DeviceError,
    DeviceLostError,
    DeviceState,
    DeviceTimeoutError,
    Frame,
    FrameFailedError,
    TriggerIgnoredError,
    TriggerMode,
)
from drivers.basler.config import BaslerConfig
from drivers.basler.device import configure, describe, find
from drivers.basler.features import BURST_COUNT, BURST_TRIGGERS, EXPOSURE, TRIGGER_DELAY, value, write
from drivers.basler.settings import change, declared, limit_rate
from drivers.camera_settings import WRITING_ORDER, CameraSetting, SettingName, SettingValue, accepted, exposure_setting, number
from drivers.clock import Clock, RealClock
from drivers.device_facts import DeviceFact, library_fact

#: Pause between two polls, in nanoseconds; short compared with any exposure.
_POLL_NS = 500_000


class BaslerCamera:
    """A :class:`drivers.base.Camera` on pylon.

    Time stamps are on the computer's clock. A frame with a software trigger has the time of the trigger plus the exposure;
    any other frame has its arrival time minus the readout time.

    Parameters
    ----------
    config : BaslerConfig
        Which camera and its settings.
    clock : Clock, optional
        The computer's clock.

    Raises
    ------
    DeviceError
        The camera is missing, another program uses it, or it refuses a setting.
    """

    #: Longest time that an armed, idle camera may need to accept a trigger, in seconds.
    READY_S = 0.2

    def __init__(self, config: BaslerConfig | None = None, clock: Clock | None = None) -> None:
        self.config = config or BaslerConfig()
        self._clock = clock or RealClock()
        self._exposure_s = self.config.exposure_s
        self._rate_hz: float | None = None
        self._changed: dict[SettingName, SettingValue] = {}
        self._mode: TriggerMode | None = None
        self._state = DeviceState.OPEN
        self._pending: deque[tuple[int, float]] = deque()
        self._triggers = self._frames = self._failed = 0
        self._next_block: int | None = None
        self._serial = self.config.serial
        self._camera = self._open()
        # GigE cameras count ticks and report how many make a second. The others count nanoseconds.
        hertz = value(self._camera, "GevTimestampTickFrequency", "TimestampTickFrequency")
        self._tick_ns = 1e9 / hertz if isinstance(hertz, int) and hertz > 0 else 1.0
        self.capabilities = self._describe()

    @property
    def counters(self) -> CameraCounters:
        """Triggers, frames and failed frames since arming."""
        return CameraCounters(self._triggers, self._frames, self._failed)

    @property
    def exposure_s(self) -> float:
        """Exposure time in seconds, as the camera reports it."""
        return self._exposure_s

    @property
    def bit_depth(self) -> int:
        """Significant bits of a frame."""
        return self.config.bit_depth

    @property
    def temperature_c(self) -> float | None:
        """Temperature of the camera in degrees Celsius, or None if it has no sensor."""
        temperature = value(self._camera, "DeviceTemperature", "TemperatureAbs", "BslTemperature")
        return temperature if isinstance(temperature, float) else None

    def device_facts(self) -> tuple[DeviceFact, ...]:
        """Return firmware and driver; see :class:`drivers.device_facts.DescribedDevice`."""
        firmware = value(self._camera, "DeviceFirmwareVersion", "DeviceVersion")
        stated = (DeviceFact("Firmware", str(firmware)),) if firmware else ()
        return (*stated, library_fact("pypylon"))

    def set_exposure(self, exposure_s: float) -> None:
        """Set the exposure time; raises DeviceError outside the camera's range."""
        low_s, high_s = self.capabilities.exposure_range_s
        if not low_s <= exposure_s <= high_s:
            raise DeviceError(f"the exposure must be {low_s:g} to {high_s:g} s, got {exposure_s} s")
        self._alive()
        with self._errors(f"set the exposure to {exposure_s} s"):
            self._write_exposure(exposure_s)

    def settings(self) -> tuple[CameraSetting, ...]:
        """Return exposure, gain, frame rate, region and binning, as far as this camera has them."""
        self._alive()
        with self._errors("describe its settings"):
            others = declared(self._camera, self._rate_hz, has_binning=not self.config.user_set)
        return (exposure_setting(self), *others)

    def change_setting(self, name: SettingName, value: SettingValue) -> None:
        """Change one setting; see :meth:`drivers.camera_settings.AdjustableCamera.change_setting`."""
        value = accepted(self.settings(), name, value, armed=self._mode is not None)
        if name is SettingName.EXPOSURE_S:
            self.set_exposure(number(value))
            return
        with self._errors(f"set {name} to {value}"):
            if name is SettingName.FRAME_RATE_HZ:
                self._rate_hz = number(value)
                self._write_rate(self._mode)
            else:
                change(self._camera, name, value)
        if name is SettingName.BINNING:
            self._changed.pop(SettingName.ROI, None)
        self._changed[name] = value
        if name.changes_shape:
            self.capabilities = self._describe()

    def arm(self, trigger: TriggerMode) -> None:
        """Set the trigger, read it back, empty the queue and start grabbing."""
        self.disarm()
        self._alive()
        with self._errors("arm"):
            self._set_trigger(trigger)
            self._write_rate(trigger)
            self._triggers = self._frames = self._failed = 0
            self._next_block = None
            self._camera.StartGrabbing(pylon.GrabStrategy_OneByOne)
        self._mode = trigger

    def trigger(self) -> None:
        """Start one exposure now; see :meth:`drivers.base.Camera.trigger`."""
        self._alive()
        if self._mode in (TriggerMode.FREE_RUN, TriggerMode.HARDWARE):
            state = "runs freely" if self._mode is TriggerMode.FREE_RUN else f"waits for {self.config.trigger_line}"
            raise DeviceError(f"the camera {state}; arm it for software triggers first")
        if self._mode is None:
            raise TriggerIgnoredError("the camera is not armed; arm it before triggering")
        if self._pending:
            raise TriggerIgnoredError("the last triggered frame was not read yet; read it before the next trigger")
        with self._errors("trigger"):
            if not self._await_ready():
                raise TriggerIgnoredError(f"{self._name} was not ready for a trigger within {self.READY_S} s; trigger it again")
            self._pending.append((self._clock.now_ns() + round(self._exposure_s * 1e9), self._exposure_s))
            self._triggers += 1
            self._fire()

    def read(self, timeout_s: float) -> Frame:
        """Return the next frame; see :meth:`drivers.base.Camera.read`."""
        self._alive()
        if self._mode is None:
            raise DeviceError("the camera is not armed; arm it before reading frames")
        with self._errors("read a frame"):
            result = self._retrieve(timeout_s)
            if result is None:
                raise DeviceTimeoutError(
                    f"no frame from {self._name} within {timeout_s:.3f} s; check the trigger and the cable"
                )
            try:
                return self._frame(result)
            finally:
                result.Release()

    def disarm(self) -> None:
        """Stop grabbing and discard queued frames."""
        self._mode = None
        self._pending.clear()
        if self._state is DeviceState.OPEN:
            with self._errors("stop"):
                self._camera.StopGrabbing()

    def reconnect(self) -> None:
        """Open the same camera again, with its earlier settings, disarmed.

        Raises
        ------
        DeviceLostError
            It is still disconnected.
        """
        self._release()
        try:
            self._camera = self._open()
        except DeviceError as error:
            raise DeviceLostError(f"{error}; plug it in and reconnect") from error
        self._state = DeviceState.OPEN

    def close(self) -> None:
        """Release the camera; safe to call twice and after it was lost."""
        self._release()
        self._state = DeviceState.CLOSED

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # ---- the emulator overrides these

    def _fire(self) -> None:
        self._camera.ExecuteSoftwareTrigger()

    def _retrieve(self, timeout_s: float) -> Any:
        """Return the next grab result, or None when none arrives within ``timeout_s``."""

        def next_result() -> Any:
            result = self._camera.RetrieveResult(0, pylon.TimeoutHandling_Return)
            return result if result.IsValid() else None

        return self._poll(next_result, timeout_s)

    def _await_ready(self) -> bool:
        return bool(self._poll(lambda: self._camera.WaitForFrameTriggerReady(0, pylon.TimeoutHandling_Return), self.READY_S))

    def _poll(self, query: Callable[[], Any], timeout_s: float) -> Any:
        """Call ``query`` until its result is true or the time is over; return the last result."""
        deadline_ns = self._clock.now_ns() + round(timeout_s * 1e9)
        while not (answer := query()) and self._clock.now_ns() < deadline_ns:
            self._clock.wait_until(min(deadline_ns, self._clock.now_ns() + _POLL_NS))
        return answer

    def _trigger_source(self, trigger: TriggerMode) -> str:
        return {TriggerMode.SOFTWARE: "Software", TriggerMode.HARDWARE: self.config.trigger_line}.get(trigger, "")

    def _write_exposure(self, exposure_s: float) -> None:
        self._exposure_s = round(write(self._camera, "exposure_s", EXPOSURE, exposure_s, scale=1e6), 9)

    def _write_rate(self, trigger: TriggerMode | None) -> None:
        """Limit the frame rate in free run; a triggered camera follows its triggers."""
        limit_rate(self._camera, self._rate_hz if trigger is TriggerMode.FREE_RUN else None)

    # ---- internal

    def _set_trigger(self, trigger: TriggerMode) -> None:
        """Write the trigger's settings; raise DeviceError when the camera reports others afterwards."""
        camera = self._camera
        # Any other trigger that is still on, such as that of a burst, would hold back every frame.
        for selector in camera.TriggerSelector.Symbolics:
            camera.TriggerSelector.Value = selector
            if camera.TriggerMode.Value != "Off":
                camera.TriggerMode.Value = "Off"
        by_line = trigger is TriggerMode.HARDWARE
        burst = self.config.trigger_burst if by_line else 1
        starts = next((name for name in BURST_TRIGGERS if name in camera.TriggerSelector.Symbolics), BURST_TRIGGERS[0])
        write(camera, "trigger_burst", ("TriggerSelector",), starts if burst > 1 else "FrameStart")
        source = self._trigger_source(trigger)
        if source:
            write(camera, "trigger_line", ("TriggerSource",), source)
            camera.TriggerMode.Value = "On"
            delay_s = self.config.trigger_delay_s if by_line else 0.0
            write(camera, "trigger_delay_s", TRIGGER_DELAY, delay_s, scale=1e6)
            if by_line:
                write(camera, "trigger_activation", ("TriggerActivation",), self.config.trigger_activation)
            if burst > 1:
                write(camera, "trigger_burst", BURST_COUNT, burst)
        reported = (camera.TriggerMode.Value, camera.TriggerSource.Value if source else "")
        if reported != (("On", source) if source else ("Off", "")):
            raise DeviceError(
                f"{self._name} reports trigger mode and source {reported} instead of {source or 'Off'}; reset the camera"
            )

    @property
    def _name(self) -> str:
        return f"the Basler camera {self._serial or '(any)'}"

    def _open(self) -> Any:
        device = find(self._serial)
        self._serial = device.GetSerialNumber()
        with self._errors("open; is it in use by another program?"):
            camera = pylon.InstantCamera(pylon.TlFactory.GetInstance().CreateDevice(device))
            camera.Open()
            self._camera = camera
        try:
            with self._errors("be set up"):
                self._configure(camera)
        except DeviceError:
            self._release()  # another attempt, with other settings, finds it free
            raise
        return camera

    def _configure(self, camera: Any) -> None:
        configure(camera, self.config)
        for name in WRITING_ORDER:
            if name in self._changed:
                change(camera, name, self._changed[name])
        self._write_exposure(self._exposure_s)

    def _describe(self) -> CameraCapabilities:
        with self._errors("describe itself"):
            return replace(describe(self._camera), trigger_delay_s=self.config.trigger_delay_s)

    def _frame(self, result: Any) -> Frame:
        arrived_ns = self._clock.now_ns()
        if self._pending:
            stop_ns, exposure_s = self._pending.popleft()
        else:
            stop_ns, exposure_s = arrived_ns - round(self.capabilities.readout_s * 1e9), self._exposure_s
        lost = 0 if self._next_block is None else result.BlockID - self._next_block
        self._next_block = result.BlockID + 1
        if self._mode is TriggerMode.HARDWARE:
            self._triggers += 1 + max(0, lost)
        if not result.GrabSucceeded() or lost:
            self._failed += 1 + max(0, lost)
            reason = f"{lost} frames before it are missing" if lost else " ".join(result.ErrorDescription.split())
            raise FrameFailedError(f"{self._name} delivered an incomplete frame: {reason}; check the cable and the bandwidth")
        pixels = np.asarray(result.Array)
        index = self._frames
        self._frames += 1
        stop_ns = min(stop_ns, arrived_ns)
        # Cameras without a clock send 0.
        device_ns = round(result.TimeStamp * self._tick_ns) or None
        return Frame(pixels, index, stop_ns, exposure_s, self.config.bit_depth, device_ns=device_ns)

    def _alive(self) -> None:
        if self._state is DeviceState.LOST:
            raise DeviceLostError(f"{self._name} is disconnected; plug it in and reconnect it")
        if self._state is DeviceState.CLOSED:
            raise DeviceError(f"{self._name} is closed; open it again")

    def _release(self) -> None:
        self._mode = None
        self._pending.clear()
        try:
            self._camera.Close()
            self._camera.DestroyDevice()
        except genicam.GenericException:
            pass  # it has been unplugged, so there is nothing to close

    @contextmanager
    def _errors(self, action: str) -> Iterator[None]:
        """Turn pylon's exceptions into DeviceError, with the first line of the message."""
        try:
            yield
        except genicam.GenericException as error:
            camera = getattr(self, "_camera", None)
            if camera is not None and camera.IsCameraDeviceRemoved():
                self._state = DeviceState.LOST
                self._mode = None
                raise DeviceLostError(f"{self._name} was unplugged; plug it in and reconnect it") from error
            reason = str(error).strip().splitlines()[0].split(" : ")[0]
            raise DeviceError(f"{self._name} could not {action}: {reason}") from error
        except DeviceError as error:
            if type(error) is DeviceError and self._name not in str(error):
                raise DeviceError(f"{self._name}: {error}") from error
            raise
