"""The calibrations of a session, one at a time: what they know of the instrument, and how they get its devices."""

from __future__ import annotations

from collections.abc import Callable

from acquisition.capture.pair_capture import Rig
from app.calibrations.kinds import CalibrationOrder
from app.calibrations.run import CalibrationRun
from app.calibrations.target import CalibrationTarget
from app.instrument.config import InstrumentConfig
from app.live.camera_control import CameraControl
from app.live.parts.device_queue import DeviceQueue
from app.live.parts.errors import SessionError
from calibration.stored import devices_of
from drivers.camera_settings import SettingName


class CalibrationControl:
    """The calibration that runs, or the last one. One thread calls this.

    Parameters
    ----------
    rig : Rig
        The devices.
    camera : CameraControl
        The settings of the camera.
    devices : DeviceQueue
        Who uses the devices.
    """

    def __init__(self, rig: Rig, camera: CameraControl, devices: DeviceQueue) -> None:
        self._rig = rig
        self._camera = camera
        self._devices = devices
        self._run: CalibrationRun | None = None

    def target(self, config: InstrumentConfig, fibre: str) -> CalibrationTarget:
        """Return what would be calibrated, as it was last read: no device is asked."""
        exposures = [setting.value for setting in self._camera.settings if setting.name is SettingName.EXPOSURE_S]
        exposure_s = next((float(value) for value in exposures if isinstance(value, int | float)), 0.0)
        slm = self._rig.slm
        return CalibrationTarget(
            config=config,
            fibre=fibre,
            devices=devices_of(self._rig) if slm is not None else {},
            display=slm.capabilities if slm is not None else None,
            exposure_s=exposure_s,
            frame_s=exposure_s + self._rig.camera.capabilities.readout_s,
        )

    def start(self, order: CalibrationOrder, target: CalibrationTarget, put_back: Callable[[], None]) -> CalibrationRun:
        """Measure, after those who use the devices now, and read the settings of the camera again at the end."""
        self._run = CalibrationRun(order, target, self._rig, self._devices.last, put_back)
        self._devices.start(self._run.stage)
        self._devices.use("camera settings", self._camera.refresh)
        return self._run

    def stop(self) -> None:
        """Ask the calibration to stop; nothing is stored then."""
        if self._run is not None:
            self._run.stage.request_stop()

    def check_idle(self, purpose: str) -> None:
        """Refuse what cannot be done while a calibration uses the devices."""
        if self._run is not None and self._run.active:
            raise SessionError(f"a calibration uses the camera and the SLM; stop it, or wait for its end, before {purpose}")

    def let_go(self) -> None:
        """Free the last calibration."""
        self._run = None
