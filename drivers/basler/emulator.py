"""Basler's camera emulator, which is part of pylon: the real API without a camera, with test images or simulated frames.

The emulator does not need the time of an exposure, and it cannot be unplugged. Both are added here.
"""

from __future__ import annotations

import math
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.base import CameraCapabilities, DeviceError, DeviceLostError, DeviceState, FrameFailedError, TriggerMode
from drivers.basler.camera import BaslerCamera
from drivers.basler.config import BaslerConfig
from drivers.camera_settings import CameraSetting, SettingName, SettingValue, accepted, exposure_setting, number
from drivers.twin.camera import SimulatedCamera

#: Time that the emulator needs for a frame, with some margin, in seconds.
TRANSPORT_S = 0.015
SERIAL = "0815-0000"


class EmulatedBasler(BaslerCamera):
    """The emulator with its test images; ``config`` is that of :class:`drivers.basler.camera.BaslerCamera`."""

    #: Longer than that of a real camera: the emulator shares the CPU with other programs.
    READY_S = 2.0

    def __init__(self, config: BaslerConfig | None = None) -> None:
        os.environ.setdefault("PYLON_CAMEMU", "1")  # pylon reads this when it lists its devices for the first time
        super().__init__(replace(config or BaslerConfig(width=512, height=512), serial=SERIAL))

    def fail_next(self, frames: int = 1) -> None:
        """Inject a fault: the next ``frames`` frames are incomplete."""
        self._camera.ForceFailedBufferCount.Value = frames
        self._camera.ForceFailedBuffer.Execute()

    def feature(self, name: str) -> object:
        """Return the value of a camera feature, such as ``TriggerSource``, as pylon reports it."""
        return getattr(self._camera, name).Value

    def edge(self) -> None:
        """Send an edge to its line. The emulator accepts a software trigger whatever its trigger source is."""
        self._await_ready()
        self._camera.ExecuteSoftwareTrigger()

    def unplug(self) -> None:
        """Inject a fault: the camera is disconnected until :meth:`reconnect`."""
        self._state = DeviceState.LOST
        self._release()

    def _write_exposure(self, exposure_s: float) -> None:
        super()._write_exposure(exposure_s)
        self._write_rate(self._mode)

    def _write_rate(self, trigger: TriggerMode | None) -> None:
        wanted_hz = self._rate_hz if self._rate_hz is not None and trigger is TriggerMode.FREE_RUN else math.inf
        self._camera.AcquisitionFrameRateEnable.Value = True
        self._camera.AcquisitionFrameRate.Value = max(0.01, min(wanted_hz, 1 / (self._exposure_s + TRANSPORT_S)))

    def _retrieve(self, timeout_s: float) -> Any:
        if not self._pending:
            return super()._retrieve(timeout_s)
        stop_ns = self._pending[0][0]
        deadline_ns = self._clock.now_ns() + round(timeout_s * 1e9)
        # The emulator answers a trigger immediately, whatever the exposure.
        self._clock.wait_until(min(stop_ns, deadline_ns))
        return super()._retrieve((deadline_ns - self._clock.now_ns()) * 1e-9) if stop_ns <= deadline_ns else None


class TwinFedBasler(EmulatedBasler):
    """The emulator that delivers the frames of a simulated camera through pylon, unchanged.

    Faults of the simulated camera become faults of this one: pylon itself declares an incomplete frame.

    Parameters
    ----------
    sensor : SimulatedCamera
        The simulated camera; 8 bit, on the real clock.

    Raises
    ------
    DeviceError
        ``sensor`` does not have 8 bit.
    """

    def __init__(self, sensor: SimulatedCamera) -> None:
        if sensor.bit_depth != 8:
            raise DeviceError(f"pylon's emulator takes 8-bit images, got {sensor.bit_depth} bit; set bit_depth to 8")
        self.sensor = sensor
        self._folder = tempfile.TemporaryDirectory(prefix="specklescope-basler-")
        height, width = sensor.capabilities.shape
        super().__init__(BaslerConfig(width=width, height=height, exposure_s=sensor.exposure_s))

    def set_exposure(self, exposure_s: float) -> None:
        """Set the exposure time of the emulator and of the simulated camera."""
        super().set_exposure(exposure_s)
        self.sensor.set_exposure(exposure_s)

    def settings(self) -> tuple[CameraSetting, ...]:
        """Return the settings of the simulated camera."""
        self._alive()
        return (exposure_setting(self), *(item for item in self.sensor.settings() if item.name is not SettingName.EXPOSURE_S))

    def change_setting(self, name: SettingName, value: SettingValue) -> None:
        """Change a setting of the simulated camera; pylon carries frames of its shape."""
        value = accepted(self.settings(), name, value, armed=self._mode is not None)
        if name is SettingName.EXPOSURE_S:
            self.set_exposure(number(value))
            return
        self.sensor.change_setting(name, value)
        if name.changes_shape:
            with self._errors(f"set {name} to {value}"):
                self._carry_shape(self._camera)
            self.capabilities = self._describe()

    def arm(self, trigger: TriggerMode) -> None:
        """Arm both."""
        super().arm(trigger)
        self.sensor.arm(trigger)

    def disarm(self) -> None:
        """Stop both."""
        self.sensor.disarm()
        super().disarm()

    def reconnect(self) -> None:
        """Open both again."""
        self.sensor.reconnect()
        super().reconnect()

    def close(self) -> None:
        """Release both, and the folder through which the images pass."""
        super().close()
        self.sensor.close()
        self._folder.cleanup()

    def _configure(self, camera: Any) -> None:
        super()._configure(camera)
        folder = Path(self._folder.name)
        # pylon reads a single file only once. It reads two names of the same file again and again.
        (folder / "in").mkdir(exist_ok=True)
        self._carry_shape(camera)
        for name in ("a.bmp", "b.bmp"):
            if not (folder / "in" / name).is_symlink():
                (folder / "in" / name).symlink_to(folder / "now.bmp")
        camera.TestImageSelector.Value = "Off"
        camera.ImageFileMode.Value = "On"
        camera.ImageFilename.Value = str(folder / "in")

    def _carry_shape(self, camera: Any) -> None:
        height, width = self.sensor.capabilities.shape
        camera.Width.Value, camera.Height.Value = width, height
        self._feed(np.zeros((height, width), np.uint8))

    def _describe(self) -> CameraCapabilities:
        sensor = self.sensor.capabilities
        return replace(
            super()._describe(),
            bit_depths=(8,),
            exposure_range_s=sensor.exposure_range_s,
            readout_s=sensor.readout_s + 2 * TRANSPORT_S,
            trigger_delay_s=sensor.trigger_delay_s,
        )

    def _trigger_source(self, trigger: TriggerMode) -> str:
        return "Software"  # the simulated camera has its own trigger; pylon carries one frame at a time

    def _fire(self) -> None:
        self.sensor.trigger()

    def _retrieve(self, timeout_s: float) -> Any:
        try:
            frame = self.sensor.read(timeout_s)
        except DeviceLostError:
            self.unplug()
            raise
        except FrameFailedError:
            self.fail_next()
        else:
            self._feed(frame.pixels)
            self._pending.clear()
            self._pending.append((frame.t_ns, frame.exposure_s))
        self._await_ready()
        self._camera.ExecuteSoftwareTrigger()
        return super()._retrieve(1.0)

    def _feed(self, pixels: NDArray[Any]) -> None:
        encoded, image = cv2.imencode(".bmp", pixels)
        assert encoded
        part = Path(self._folder.name) / "part"
        part.write_bytes(image.tobytes())
        part.replace(Path(self._folder.name) / "now.bmp")
