"""Opens devices to try them out before they are written into an instrument file, and shows what they do."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from acquisition.streams.channel import RateMeter, Stage
from app.instrument.config import InstrumentConfig
from app.instrument.devices import CAMERAS, SLMS, DetectedDevice, detect, open_camera, open_slm
from app.instrument.opening import open_rig
from drivers.base import (
    Camera,
    DeviceError,
    DeviceLostError,
    DeviceTimeoutError,
    Frame,
    FrameFailedError,
    GreySlm,
    Pattern,
    Slm,
    SpeckleScopeError,
    TriggerMode,
)
from drivers.clock import RealClock
from drivers.displays.test_card import draw_test_card

_POLL_S = 0.1
#: Time between two attempts to reconnect a lost camera, and between two updates of its description.
_UPDATE_EVERY_S = 0.5


class SlmImage(StrEnum):
    """An image that can be shown on the SLM."""

    TEST_CARD = "test card"
    BLANK = "blank"


@dataclass(frozen=True, eq=False, kw_only=True)
class PreviewStatus:
    """The present state of the devices.

    Parameters
    ----------
    running : bool
        Whether the devices are open.
    camera, slm : str
        Description of the opened device and of its state.
    camera_trouble, slm_trouble : str
        Why the device could not be opened, or how it was lost; empty if there is no error.
    frame : Frame, optional
        The newest frame.
    grey : ndarray of uint8, shape (H, W), optional
        The bytes that the SLM displays.
    """

    running: bool = True
    camera: str = ""
    camera_trouble: str = ""
    slm: str = ""
    slm_trouble: str = ""
    frame: Frame | None = None
    grey: NDArray[np.uint8] | None = None


class DevicePreview:
    """Opens camera and SLM of a configuration, and monitors them until :meth:`close`.

    An error of one device does not affect the other. Every call returns at once; the work is done in a separate thread.

    Parameters
    ----------
    config : InstrumentConfig
        Names the devices.
    """

    def __init__(self, config: InstrumentConfig) -> None:
        self._config = config
        self._status = PreviewStatus(camera="opening\N{HORIZONTAL ELLIPSIS}", slm="opening\N{HORIZONTAL ELLIPSIS}")
        self._requested: deque[SlmImage] = deque()
        self._rate = RateMeter()
        self._failed = 0
        self._stage = Stage("device preview", self._work)
        self._stage.start()

    @property
    def status(self) -> PreviewStatus:
        """The present state of the devices."""
        running = self._stage.running
        trouble = str(self._stage.error or "") if not running else ""
        return replace(self._status, running=running, camera_trouble=self._status.camera_trouble or trouble)

    def show(self, image: SlmImage) -> None:
        """Show an image on the SLM soon."""
        self._requested.append(image)

    def close(self) -> None:
        """Close the devices soon; ``status.running`` is False once they are closed."""
        self._stage.request_stop()

    def join(self, timeout_s: float) -> bool:
        """Wait until the devices are closed; return whether they are."""
        return self._stage.join(timeout_s)

    def _update(self, **changes: object) -> None:
        self._status = replace(self._status, **changes)  # type: ignore[arg-type]

    def _work(self, stop: threading.Event) -> None:
        with ExitStack() as stack:
            camera, slm = self._open(stack)
            next_update_s = 0.0
            while not stop.is_set():
                if slm is not None:
                    self._serve_slm(slm)
                if camera is None:
                    stop.wait(_POLL_S)
                    continue
                try:
                    self._update(frame=camera.read(_POLL_S))
                    self._rate.tick()
                except DeviceTimeoutError:
                    pass
                except FrameFailedError:
                    self._failed += 1
                except DeviceLostError as error:
                    self._update(camera_trouble=str(error))
                    stop.wait(_UPDATE_EVERY_S)
                    self._reconnect(camera)
                if time.monotonic() >= next_update_s:
                    next_update_s = time.monotonic() + _UPDATE_EVERY_S
                    self._update(camera=self._describe(camera))

    def _open(self, stack: ExitStack) -> tuple[Camera | None, Slm | None]:
        camera: Camera | None = None
        slm: Slm | None = None
        if self._config.on_twin:
            rig, _ = open_rig(self._config)
            camera, slm = stack.enter_context(rig.camera), rig.slm
        else:
            try:
                camera = stack.enter_context(open_camera(self._config, RealClock()))
            except SpeckleScopeError as error:
                self._update(camera="", camera_trouble=str(error))
            try:
                slm = open_slm(self._config)
            except SpeckleScopeError as error:
                self._update(slm="", slm_trouble=str(error))
        if slm is not None:
            stack.enter_context(slm)
            self._update(slm=_describe_slm(slm))
        elif not self._status.slm_trouble:
            self._update(slm="none")
        if camera is not None:
            camera.arm(TriggerMode.FREE_RUN)
            self._update(camera=self._describe(camera))
        return camera, slm

    def _reconnect(self, camera: Camera) -> None:
        try:
            camera.reconnect()
            camera.arm(TriggerMode.FREE_RUN)
            self._update(camera_trouble="")
        except DeviceError as error:
            self._update(camera_trouble=str(error))

    def _serve_slm(self, slm: Slm) -> None:
        try:
            slm.check()
            while self._requested:
                self._update(grey=_show(slm, self._requested.popleft()))
            self._update(slm_trouble="")
        except DeviceLostError as error:
            self._update(slm_trouble=str(error), grey=None)
            try:
                slm.reconnect()
            except DeviceError as still:
                self._update(slm_trouble=str(still))
        except DeviceError as error:
            self._update(slm_trouble=str(error))

    def _describe(self, camera: Camera) -> str:
        capabilities = camera.capabilities
        height, width = capabilities.shape
        parts = [
            f"{capabilities.model} {capabilities.serial}",
            f"{width} x {height} px",
            f"{camera.bit_depth} bit",
            f"{1e3 * camera.exposure_s:.3g} ms",
            f"{self._rate.per_second():.1f} frames/s",
        ]
        temperature_c = getattr(camera, "temperature_c", None)
        if temperature_c is not None:
            parts.append(f"{temperature_c:.0f} \N{DEGREE SIGN}C")
        if self._failed:
            parts.append(f"{self._failed} bad frames")
        return ", ".join(parts)


def _describe_slm(slm: Slm) -> str:
    capabilities = slm.capabilities
    height, width = capabilities.shape
    known = capabilities.serial in capabilities.model
    name = capabilities.model if known else f"{capabilities.model} {capabilities.serial}"
    settled_ms = 1e3 * (capabilities.latency_s + capabilities.settle_s)
    period = f"{1e3 * capabilities.refresh_s:.2f} ms per frame, settled after {settled_ms:.0f} ms"
    return f"{name}, patterns of {width} x {height} px, {period}"


def _blank(shape: tuple[int, int]) -> NDArray[np.uint8]:
    return np.zeros(shape, np.uint8)


_DRAW: Mapping[SlmImage, Callable[[tuple[int, int]], NDArray[np.uint8]]] = {
    SlmImage.TEST_CARD: draw_test_card,
    SlmImage.BLANK: _blank,
}


def _show(slm: Slm, image: SlmImage) -> NDArray[np.uint8]:
    """Show an image and return the bytes that the SLM displays."""
    if isinstance(slm, GreySlm):
        grey = _DRAW[image](slm.panel_shape)
        slm.show_grey(grey)
        return grey if slm.grey is None else slm.grey
    grey = _DRAW[image](slm.capabilities.shape)
    slm.show(Pattern((grey * (np.pi / 255)).astype(np.float32), image))
    return grey


class DeviceSearch:
    """Searches for devices of every kind in a separate thread; the results appear kind by kind."""

    def __init__(self) -> None:
        self.cameras: dict[str, list[DetectedDevice] | str] = {}
        self.slms: dict[str, list[DetectedDevice] | str] = {}
        self._stage = Stage("search", self._work)
        self._stage.start()

    @property
    def running(self) -> bool:
        """Whether the search goes on."""
        return self._stage.running

    def _work(self, stop: threading.Event) -> None:
        for kinds, results in ((SLMS, self.slms), (CAMERAS, self.cameras)):
            for name, kind in kinds.items():
                try:
                    results[name] = detect(kind)
                except SpeckleScopeError as error:
                    results[name] = str(error)
