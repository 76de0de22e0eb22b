"""The kinds of camera and SLM: how devices of a kind are detected, and how the configured one is opened.

A driver is imported when its kind is chosen, because each needs a vendor's library that may be missing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from acquisition.archive.recorded_frames import RecordedFrames
from acquisition.holograms.closed_form import add, static_phase
from app.instrument.config import InstrumentConfig
from app.instrument.kinds import CameraKind, SlmKind
from app.instrument.trust import check_trust, runnable
from drivers.base import Camera, DeviceError, Slm
from drivers.camera_settings import write_settings
from drivers.clock import Clock
from drivers.displays.panel import Panel
from drivers.displays.phase_lut import GreyEncoder

#: Starts the window of the screen SLM in a process of its own. By name, because no driver may import the window's package.
SCREEN_COMMAND = (sys.executable, "-P", "-m", f"{__package__.rpartition('.')[0]}.gui.slm_screen")


@dataclass(frozen=True)
class DetectedDevice:
    """A device that is plugged in.

    Parameters
    ----------
    text : str
        Its name and properties, for display.
    settings : mapping
        What the configuration needs to open it, as sections of :class:`app.instrument.config.InstrumentConfig`.
    """

    text: str
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class DeviceKind:
    """A kind of device.

    Parameters
    ----------
    title : str
        Its name, for display.
    section : str
        Its section of the configuration; empty if it has none.
    detect : callable
        Returns the devices of this kind that are plugged in.
    """

    title: str
    section: str
    detect: Callable[[], list[DetectedDevice]] = list


def _detect_basler() -> list[DetectedDevice]:
    from drivers.basler.device import list_cameras

    return [DetectedDevice(f"{model} {serial}", {"basler": {"serial": serial}}) for model, serial in list_cameras()]


def _detect_opencv() -> list[DetectedDevice]:
    from drivers.opencv.camera import list_opencv_cameras

    return [DetectedDevice(text, {"opencv": {"source": text.split()[0]}}) for text in list_opencv_cameras()]


def _detect_screens() -> list[DetectedDevice]:
    from drivers.displays.screen import list_screens

    devices = []
    for screen in list_screens(SCREEN_COMMAND):
        height, width = screen["shape"]
        text = f"{screen['name']} {screen['model']}".strip() + f", {width} x {height} px, {screen['refresh_hz']:.0f} Hz"
        primary = ", the operator's own" if screen["primary"] else ""
        settings = {"screen": {"screen": screen["serial"] or screen["name"]}, "panel": {"shape": (height, width)}}
        devices.append(DetectedDevice(text + primary, settings))
    return devices


CAMERAS: Mapping[str, DeviceKind] = {
    CameraKind.SIMULATED: DeviceKind("Simulated camera", "twin"),
    CameraKind.BASLER_EMULATED: DeviceKind("Simulated camera through Basler's pylon", "twin"),
    CameraKind.BASLER: DeviceKind("Basler (pylon)", "basler", _detect_basler),
    CameraKind.OPENCV: DeviceKind("UVC camera or video file (OpenCV)", "opencv", _detect_opencv),
    CameraKind.SLMSUITE: DeviceKind("Any camera of slmsuite", "slmsuite_camera"),
    CameraKind.REPLAY: DeviceKind("Recording", "replay"),
}
SLMS: Mapping[str, DeviceKind] = {
    SlmKind.SIMULATED: DeviceKind("Simulated SLM", "twin"),
    SlmKind.SCREEN: DeviceKind("Monitor of this computer", "screen", _detect_screens),
    SlmKind.SLMPY: DeviceKind("slmPy server on another computer", "slmpy"),
    SlmKind.SLMPY_WINDOW: DeviceKind("slmPy window on this computer", "slmpy_window"),
    SlmKind.SLMSUITE: DeviceKind("Any SLM of slmsuite", "slmsuite_slm"),
    SlmKind.NONE: DeviceKind("No SLM", ""),
}


def detect(kind: DeviceKind) -> list[DetectedDevice]:
    """Return the devices of a kind that are plugged in.

    Raises
    ------
    DeviceError
        The library of this kind is missing or does not answer.
    """
    with _explained(kind.title):
        return kind.detect()


def _open_basler(config: InstrumentConfig, clock: Clock) -> Camera:
    from drivers.basler.camera import BaslerCamera

    return BaslerCamera(config.basler, clock)


def _open_opencv(config: InstrumentConfig, clock: Clock) -> Camera:
    from drivers.opencv.camera import open_opencv

    return open_opencv(config.opencv, clock)


def _open_slmsuite_camera(config: InstrumentConfig, clock: Clock) -> Camera:
    from drivers.slmsuite.camera import SlmsuiteCamera

    return SlmsuiteCamera(config.slmsuite_camera)


def _open_replay(config: InstrumentConfig, clock: Clock) -> Camera:
    from drivers.recorded.replay import ReplayCamera

    return ReplayCamera(RecordedFrames.open(config.replay.path), config.replay.period_s, clock)


def _open_screen(config: InstrumentConfig, panel: Panel) -> Slm:
    from drivers.displays.screen import ScreenSlm

    return ScreenSlm(SCREEN_COMMAND, config.screen, panel)


def _open_slmpy(config: InstrumentConfig, panel: Panel) -> Slm:
    from drivers.displays.slmpy import SlmPySlm

    return SlmPySlm(config.slmpy, panel)


def _open_slmpy_window(config: InstrumentConfig, panel: Panel) -> Slm:
    from drivers.displays.slmpy_local import LocalSlmPySlm

    return LocalSlmPySlm(runnable(config.slmpy_window), panel)


def _open_slmsuite_slm(config: InstrumentConfig, panel: Panel) -> Slm:
    from drivers.slmsuite.slm import SlmsuiteSlm

    return SlmsuiteSlm(config.slmsuite_slm, panel)


_OPEN_CAMERA: Mapping[CameraKind, Callable[[InstrumentConfig, Clock], Camera]] = {
    CameraKind.BASLER: _open_basler,
    CameraKind.OPENCV: _open_opencv,
    CameraKind.SLMSUITE: _open_slmsuite_camera,
    CameraKind.REPLAY: _open_replay,
}
_OPEN_SLM: Mapping[SlmKind, Callable[[InstrumentConfig, Panel], Slm]] = {
    SlmKind.SCREEN: _open_screen,
    SlmKind.SLMPY: _open_slmpy,
    SlmKind.SLMPY_WINDOW: _open_slmpy_window,
    SlmKind.SLMSUITE: _open_slmsuite_slm,
}


def open_camera(config: InstrumentConfig, clock: Clock) -> Camera:
    """Open the configured real camera.

    Raises
    ------
    DeviceError
        The camera or its library is missing, or it refuses a setting.
    TrustError
        The instrument file wants to run or to connect to something that nobody has allowed.
    """
    check_trust(config)
    if config.camera not in _OPEN_CAMERA:
        raise DeviceError(f"camera '{config.camera}' is simulated; open it with open_rig")
    with _explained(f"camera '{config.camera}'"):
        return set_up(_OPEN_CAMERA[config.camera](config, clock), config)


def set_up(camera: Camera, config: InstrumentConfig) -> Camera:
    """Write the configured settings to a camera that was just opened, and return it; it is closed if it refuses one.

    Raises
    ------
    DeviceError
        It refuses a setting; the message names setting, value and range.
    """
    try:
        write_settings(camera, config.camera_settings.values)
    except BaseException as error:
        camera.close()
        if type(error) is DeviceError:
            raise DeviceError(f"camera_settings: {error}") from error
        raise
    return camera


def open_slm(config: InstrumentConfig) -> Slm | None:
    """Open the configured real SLM; None if the instrument has none.

    Raises
    ------
    DeviceError
        The SLM or its library is missing, or it refuses a setting.
    TrustError
        The instrument file wants to run or to connect to something that nobody has allowed.
    """
    check_trust(config)
    if config.slm is SlmKind.NONE:
        return None
    if config.slm not in _OPEN_SLM:
        raise DeviceError(f"SLM '{config.slm}' is simulated; open it with open_rig")
    with _explained(f"SLM '{config.slm}'"):
        return _OPEN_SLM[config.slm](config, panel_of(config))


def panel_of(config: InstrumentConfig) -> Panel:
    """Return the configured panel; its correction includes the carrier and the lens.

    Raises
    ------
    SpeckleScopeError
        A calibration file cannot be used, or the lens is too strong for the panel.
    """
    panel = Panel(config.panel)
    static_rad = static_phase(config.hologram, panel.shape)
    if static_rad is None:
        return panel
    correction_rad = panel.encoder.correction_rad
    total_rad = static_rad if correction_rad is None else add(static_rad, correction_rad)
    return Panel(config.panel, GreyEncoder(panel.encoder.lut, total_rad))


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn a missing library or an impossible setting into an error with a remedy."""
    try:
        yield
    except ImportError as error:
        raise DeviceError(
            f"{what}: its library cannot be loaded ({error}); see README, 'Devices', for what to install"
        ) from error
    except ValueError as error:
        raise DeviceError(f"{what}: {error}") from error
