"""Every kind of real camera and SLM: how it is found, and how the configuration becomes a device.

Drivers are imported when their kind is chosen: each brings a vendor's library, which may be missing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from acquisition.archive.recorded_frames import RecordedFrames
from acquisition.holograms.closed_form import add, static_phase
from app.instrument.config import InstrumentConfig
from drivers.base import Camera, DeviceError, Slm
from drivers.clock import Clock
from drivers.displays.panel import Panel
from drivers.displays.phase_lut import GreyEncoder

#: Starts the screen SLM's window. By name: no driver may import the window's package.
SCREEN_COMMAND = (sys.executable, "-P", "-m", f"{__package__.rpartition('.')[0]}.gui.slm_screen")


@dataclass(frozen=True)
class Found:
    """A device that is plugged in.

    Parameters
    ----------
    text : str
        For people.
    settings : mapping
        What the configuration needs to open it, as sections of :class:`app.instrument.config.InstrumentConfig`.
    """

    text: str
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """A kind of device: its name for people, its section of the configuration, and how it is found."""

    title: str
    section: str
    find: Callable[[], list[Found]] = list


def _find_basler() -> list[Found]:
    from drivers.basler.device import list_cameras

    return [Found(f"{model} {serial}", {"basler": {"serial": serial}}) for model, serial in list_cameras()]


def _find_opencv() -> list[Found]:
    from drivers.opencv.camera import list_opencv_cameras

    return [Found(text, {"opencv": {"source": text.split()[0]}}) for text in list_opencv_cameras()]


def _find_screens() -> list[Found]:
    from drivers.displays.screen import list_screens

    found = []
    for screen in list_screens(SCREEN_COMMAND):
        height, width = screen["shape"]
        facts = f"{screen['name']} {screen['model']}".strip() + f", {width} x {height} px, {screen['refresh_hz']:.0f} Hz"
        own = ", the operator's own" if screen["primary"] else ""
        settings = {"screen": {"screen": screen["serial"] or screen["name"]}, "panel": {"shape": (height, width)}}
        found.append(Found(facts + own, settings))
    return found


CAMERAS: Mapping[str, Kind] = {
    "simulated": Kind("Simulated camera", "twin"),
    "basler-emulated": Kind("Simulated camera through Basler's pylon", "twin"),
    "basler": Kind("Basler (pylon)", "basler", _find_basler),
    "opencv": Kind("UVC camera or video file (OpenCV)", "opencv", _find_opencv),
    "slmsuite": Kind("Any camera of slmsuite", "slmsuite_camera"),
    "replay": Kind("Recording", "replay"),
}
SLMS: Mapping[str, Kind] = {
    "simulated": Kind("Simulated SLM", "twin"),
    "screen": Kind("Monitor of this computer", "screen", _find_screens),
    "slmpy": Kind("slmPy server on another computer", "slmpy"),
    "slmpy-window": Kind("slmPy window on this computer", "slmpy_window"),
    "slmsuite": Kind("Any SLM of slmsuite", "slmsuite_slm"),
    "none": Kind("No SLM", ""),
}


def find(kind: Kind) -> list[Found]:
    """Return what is plugged in of a kind.

    Raises
    ------
    DeviceError
        Its library is missing or does not answer.
    """
    with _explained(kind.title):
        return kind.find()


def open_camera(config: InstrumentConfig, clock: Clock) -> Camera:
    """Open the configured real camera.

    Raises
    ------
    DeviceError
        It or its library is missing, or it refuses a setting.
    """
    with _explained(f"camera '{config.camera}'"):
        if config.camera == "basler":
            from drivers.basler.camera import BaslerCamera

            return BaslerCamera(config.basler, clock)
        if config.camera == "opencv":
            from drivers.opencv.camera import open_opencv

            return open_opencv(config.opencv, clock)
        if config.camera == "slmsuite":
            from drivers.slmsuite.camera import SlmsuiteCamera

            return SlmsuiteCamera(config.slmsuite_camera)
        if config.camera == "replay":
            from drivers.recorded.replay import ReplayCamera

            return ReplayCamera(RecordedFrames.open(config.replay.path), clock=clock)
    raise DeviceError(f"camera '{config.camera}' is simulated; it is opened with the twin")


def open_slm(config: InstrumentConfig) -> Slm | None:
    """Open the configured real SLM; None for ``none``.

    Raises
    ------
    DeviceError
        It or its library is missing, or it refuses a setting.
    """
    with _explained(f"SLM '{config.slm}'"):
        if config.slm == "none":
            return None
        panel = panel_of(config)
        if config.slm == "screen":
            from drivers.displays.screen import ScreenSlm

            return ScreenSlm(SCREEN_COMMAND, config.screen, panel)
        if config.slm == "slmpy":
            from drivers.displays.slmpy import SlmPySlm

            return SlmPySlm(config.slmpy, panel)
        if config.slm == "slmpy-window":
            from drivers.displays.slmpy_local import LocalSlmPySlm

            return LocalSlmPySlm(config.slmpy_window, panel)
        if config.slm == "slmsuite":
            from drivers.slmsuite.slm import SlmsuiteSlm

            return SlmsuiteSlm(config.slmsuite_slm, panel)
    raise DeviceError(f"SLM '{config.slm}' is simulated; it is opened with the twin")


def panel_of(config: InstrumentConfig) -> Panel:
    """Return the configured panel, with the carrier and the lens in its correction.

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
    """Turn a missing library and an impossible setting into an error with a remedy."""
    try:
        yield
    except ImportError as error:
        raise DeviceError(
            f"{what}: its library cannot be loaded ({error}); see README, 'Devices', for what to install"
        ) from error
    except ValueError as error:
        raise DeviceError(f"{what}: {error}") from error
