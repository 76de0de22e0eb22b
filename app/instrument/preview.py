"""Devices tried out before an instrument is built on them: what they are, whether they live, and what they show."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from acquisition.streams.channel import RateMeter, Stage
from app.instrument.config import InstrumentConfig
from app.instrument.devices import CAMERAS, SLMS, Found, find, open_camera, open_slm
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

SlmImage = Literal["test card", "blank"]
_POLL_S = 0.1
_LOOK_EVERY_S = 0.5


@dataclass(frozen=True, eq=False)
class PreviewStatus:
    """What is known of the devices now; texts of trouble are empty while all is well.

    Parameters
    ----------
    running : bool
        Whether the devices are held.
    camera, slm : str
        What was opened and how it is, in words.
    camera_trouble, slm_trouble : str
        Why it is not there, or went.
    frame : Frame, optional
        The newest.
    grey : ndarray of uint8, shape (H, W), optional
        The very bytes on the SLM's display.
    """

    running: bool = True
    camera: str = ""
    camera_trouble: str = ""
    slm: str = ""
    slm_trouble: str = ""
    frame: Frame | None = None
    grey: NDArray[np.uint8] | None = None


class DevicePreview:
    """Opens camera and SLM of a configuration, each on its own account, and watches them until :meth:`close`.

    Every call returns at once; the work is done in a thread of its own.

    Parameters
    ----------
    config : InstrumentConfig
        What to open.
    """

    def __init__(self, config: InstrumentConfig) -> None:
        self._config = config
        self._status = PreviewStatus(camera="opening\N{HORIZONTAL ELLIPSIS}", slm="opening\N{HORIZONTAL ELLIPSIS}")
        self._wanted: deque[SlmImage] = deque()
        self._rate = RateMeter()
        self._failed = 0
        self._stage = Stage("probe", self._work)
        self._stage.start()

    @property
    def status(self) -> PreviewStatus:
        """What is known now."""
        running = self._stage.running
        trouble = str(self._stage.error or "") if not running else ""
        return replace(self._status, running=running, camera_trouble=self._status.camera_trouble or trouble)

    def show(self, image: SlmImage) -> None:
        """Ask for an image on the SLM."""
        self._wanted.append(image)

    def close(self) -> None:
        """Let go of the devices soon; ``status.running`` says when they are free."""
        self._stage.request_stop()

    def join(self, timeout_s: float) -> bool:
        """Wait until the devices are free."""
        return self._stage.join(timeout_s)

    def _tell(self, **changes: object) -> None:
        self._status = replace(self._status, **changes)  # type: ignore[arg-type]

    def _work(self, stop: threading.Event) -> None:
        with ExitStack() as stack:
            camera, slm = self._open(stack)
            next_look_s = 0.0
            while not stop.is_set():
                if slm is not None:
                    self._serve_slm(slm)
                if camera is None:
                    stop.wait(_POLL_S)
                    continue
                try:
                    self._tell(frame=camera.read(_POLL_S))
                    self._rate.tick()
                except DeviceTimeoutError:
                    pass
                except FrameFailedError:
                    self._failed += 1
                except DeviceLostError as error:
                    self._tell(camera_trouble=str(error))
                    stop.wait(_LOOK_EVERY_S)
                    self._return(camera)
                if time.monotonic() >= next_look_s:
                    next_look_s = time.monotonic() + _LOOK_EVERY_S
                    self._tell(camera=self._words(camera))

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
                self._tell(camera="", camera_trouble=str(error))
            try:
                slm = open_slm(self._config)
            except SpeckleScopeError as error:
                self._tell(slm="", slm_trouble=str(error))
        if slm is not None:
            stack.enter_context(slm)
            known, (height, width) = slm.capabilities, slm.capabilities.shape
            period = f"{1e3 * known.refresh_s:.2f} ms a frame, {1e3 * (known.latency_s + known.settle_s):.0f} ms until settled"
            name = known.model if known.serial in known.model else f"{known.model} {known.serial}"
            self._tell(slm=f"{name}, patterns of {width} x {height} px, {period}")
        elif not self._status.slm_trouble:
            self._tell(slm="none")
        if camera is not None:
            camera.arm(TriggerMode.FREE_RUN)
            self._tell(camera=self._words(camera))
        return camera, slm

    def _return(self, camera: Camera) -> None:
        try:
            camera.reconnect()
            camera.arm(TriggerMode.FREE_RUN)
            self._tell(camera_trouble="")
        except DeviceError as error:
            self._tell(camera_trouble=str(error))

    def _serve_slm(self, slm: Slm) -> None:
        try:
            slm.check()
            while self._wanted:
                self._tell(grey=_show(slm, self._wanted.popleft()))
            self._tell(slm_trouble="")
        except DeviceLostError as error:
            self._tell(slm_trouble=str(error), grey=None)
            try:
                slm.reconnect()
            except DeviceError as still:
                self._tell(slm_trouble=str(still))
        except DeviceError as error:
            self._tell(slm_trouble=str(error))

    def _words(self, camera: Camera) -> str:
        known, (height, width) = camera.capabilities, camera.capabilities.shape
        parts = [
            f"{known.model} {known.serial}",
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


def _show(slm: Slm, image: SlmImage) -> NDArray[np.uint8]:
    """Show an image and return the bytes that are on display."""
    if isinstance(slm, GreySlm):
        shape = slm.panel_shape
        grey = draw_test_card(shape) if image == "test card" else np.zeros(shape, np.uint8)
        slm.show_grey(grey)
        return grey if slm.grey is None else slm.grey
    shape = slm.capabilities.shape
    grey = draw_test_card(shape) if image == "test card" else np.zeros(shape, np.uint8)
    slm.show(Pattern((grey * (np.pi / 255)).astype(np.float32), image))
    return grey


class DeviceSearch:
    """Looks for devices of every kind, in a thread of its own; results appear kind by kind."""

    def __init__(self) -> None:
        self.cameras: dict[str, list[Found] | str] = {}
        self.slms: dict[str, list[Found] | str] = {}
        self._stage = Stage("search", self._work)
        self._stage.start()

    @property
    def running(self) -> bool:
        """Whether it still looks."""
        return self._stage.running

    def _work(self, stop: threading.Event) -> None:
        for kinds, results in ((SLMS, self.slms), (CAMERAS, self.cameras)):
            for name, kind in kinds.items():
                try:
                    results[name] = find(kind)
                except SpeckleScopeError as error:
                    results[name] = str(error)
