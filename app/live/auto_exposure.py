"""Auto exposure in the live view: a few frames lead to the exposure at which the brightest pixels reach 80 % of full scale."""

from __future__ import annotations

from calibration.devices.exposure import MOST_SHOTS, level_of, next_exposure, unsteady
from calibration.stored import CalibrationError
from drivers.base import Camera, DeviceError, DeviceLostError, Frame
from drivers.camera_settings import SettingName, change_setting


class AutoExposure:
    """One search, fed with the frames of a free-running camera. Only the thread that uses the camera calls it.

    Parameters
    ----------
    camera : Camera
        A camera whose exposure can change while it is armed.
    now_ns : int
        The present time on the camera's clock, in ns.

    Attributes
    ----------
    result : str
        What the search has led to, for people; empty while it goes on.
    succeeded : bool
        Whether the target level was reached.
    """

    def __init__(self, camera: Camera, now_ns: int) -> None:
        self._camera = camera
        self._changed_ns = now_ns
        self._shots = 0
        self._is_settled = True
        self.result = ""
        self.succeeded = False

    def saw(self, frame: Frame, now_ns: int) -> None:
        """Learn from a frame, and set the next exposure; raises DeviceLostError when the camera has disappeared.

        A frame that was exposed before the last change says nothing, and is passed over. So is the first one after it, because
        not every camera states the exposure with which a frame was begun.
        """
        if self.result or frame.t_ns - round(frame.exposure_s * 1e9) < self._changed_ns:
            return
        if not self._is_settled:
            self._is_settled = True
            return
        self._shots += 1
        level, exposure_s = level_of(frame), self._camera.exposure_s
        try:
            better_s = next_exposure(level, exposure_s, self._camera.capabilities.exposure_range_s)
        except CalibrationError as error:
            self.result = str(error)
            return
        if better_s is None:
            self.succeeded = True
            self.result = (
                f"{exposure_s:.4g} s: the brightest pixels reach {100 * level:.0f} % of full scale ({self._shots} frames)"
            )
        elif self._shots >= MOST_SHOTS:
            self.result = unsteady(level)
        else:
            self._expose(better_s, now_ns)

    def _expose(self, exposure_s: float, now_ns: int) -> None:
        try:
            change_setting(self._camera, SettingName.EXPOSURE_S, exposure_s)
        except DeviceLostError:
            raise
        except DeviceError as error:
            self.result = str(error)
        self._changed_ns = now_ns
        self._is_settled = False
