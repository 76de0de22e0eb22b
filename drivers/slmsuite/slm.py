"""SLMs of slmsuite, which receive grey levels from this program.

slmsuite's ``set_phase`` accepts phases or integers. For phases it has its own convention: the sign is inverted (grey 255 is
phase 0, and a larger phase is darker), levels are 2 pi / 256 apart, and a wavefront correction may be added. Integers of the
panel's own type are sent to the panel unchanged. This driver sends such integers: phase becomes grey levels in one place only,
through the panel's calibrated response, and every driver sends the same image to the same panel. In slmsuite's own record
(``slm.phase``) the image is then the negative of the phase here, unless the panel's response differs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from drivers.base import DeviceError, DeviceLostError, SlmCapabilities
from drivers.device_facts import DeviceFact, library_fact
from drivers.displays.panel import Panel, PanelConfig
from drivers.displays.panel_slm import PanelSlm
from drivers.slmsuite.sdk_thread import Argument, SdkThread, check_class_path, keywords, load_class


@dataclass(frozen=True)
class SlmsuiteSlmConfig:
    """Which of slmsuite's SLMs, and the properties that slmsuite does not report.

    Parameters
    ----------
    class_path : str
        Class, such as ``slmsuite.hardware.slms.screenmirrored.ScreenMirrored``; empty only for an object given to ``wrap``.
    arguments : dict
        Arguments of its constructor by name: numbers, texts, lists of numbers.
    refresh_hz : float
        Refresh rate of the panel in hertz.
    latency_s : float
        Longest time in seconds from slmsuite's return to the first light of the new image. The default is a cautious estimate
        for a video output; measure it with a sync check.
    settle_s : float, optional
        Settling time of the liquid crystal in seconds; None uses slmsuite's ``settle_time_s``, whose default is 0.3 s.
    timeout_s, open_timeout_s : float
        Longest times for an image and for opening, in seconds.

    Raises
    ------
    ValueError
        A setting is impossible.
    """

    class_path: str = ""
    arguments: dict[str, Argument] = field(default_factory=dict, hash=False)
    _: KW_ONLY
    refresh_hz: float = 60.0
    latency_s: float = 0.1
    settle_s: float | None = None
    timeout_s: float = 2.0
    open_timeout_s: float = 20.0

    def __post_init__(self) -> None:
        if self.class_path:
            check_class_path(self.class_path)
        object.__setattr__(self, "arguments", keywords(self.arguments))
        if min(self.refresh_hz, self.timeout_s, self.open_timeout_s) <= 0 or (self.settle_s or 0) < 0:
            raise ValueError(f"refresh_hz and time-outs must be positive, settle_s 0 or more, got {self}")
        if self.latency_s < 1 / self.refresh_hz:
            raise ValueError(f"latency_s must be at least one refresh, {1 / self.refresh_hz:.4f} s, got {self.latency_s}")


class SlmsuiteSlm(PanelSlm):
    """A :class:`drivers.base.GreySlm` on slmsuite. Creating the object opens it.

    Parameters
    ----------
    config : SlmsuiteSlmConfig
        Which SLM.
    panel : Panel, optional
        Its native shape, its response and the position of the pattern; by default a linear panel of 2 pi with slmsuite's shape.

    Raises
    ------
    DeviceError
        slmsuite or the class is missing, the SLM cannot be opened, does not have 8 bit, or does not have the panel's shape.
    ValueError
        ``config`` names no class.
    """

    def __init__(self, config: SlmsuiteSlmConfig, panel: Panel | None = None) -> None:
        if not config.class_path:
            raise ValueError("class_path must name a class of slmsuite.hardware.slms; use wrap() for an existing SLM object")
        maker = load_class(config.class_path, "SLM")
        self._begin(config, panel, lambda: maker(**config.arguments), lambda slm: slm.close())

    @classmethod
    def wrap(cls, slm: Any, config: SlmsuiteSlmConfig | None = None, panel: Panel | None = None) -> Self:
        """Return an adapter for an existing slmsuite SLM, which the caller must close.

        Reconnecting uses the same object on a new thread.

        Parameters
        ----------
        slm : slmsuite.hardware.slms.slm.SLM
            No other code may use it in the meantime.
        config : SlmsuiteSlmConfig, optional
            ``class_path`` and ``arguments`` are ignored.
        panel : Panel, optional
            As for the constructor.

        Raises
        ------
        DeviceError
            It does not have 8 bit, does not have the panel's shape, or does not answer.
        """
        self = cls.__new__(cls)
        self._begin(config or SlmsuiteSlmConfig(), panel, lambda: slm, lambda _: None)
        return self

    def _begin(
        self, config: SlmsuiteSlmConfig, panel: Panel | None, make: Callable[[], Any], close: Callable[[Any], None]
    ) -> None:
        self.config = config
        self._make = make
        self._close = close
        self._panel = panel
        self._name = f"the slmsuite SLM {config.class_path.rpartition('.')[2]}".rstrip()
        self._lock = threading.Lock()
        self._sdk: SdkThread | None = self._open()

    def _send(self, grey: NDArray[np.uint8]) -> int:
        with self._lock:
            sdk = self._open_thread()
            try:
                # Do not wait for settling: the caller may prepare the next image in the meantime.
                sdk.call("show an image", lambda slm: slm.set_phase(grey, settle=False), self.config.timeout_s)
            except DeviceError as error:
                self._release(0.0)
                raise DeviceLostError(f"{error}; then reconnect") from error
            return time.monotonic_ns()

    def device_facts(self) -> tuple[DeviceFact, ...]:
        """Return the driver; see :class:`drivers.device_facts.DescribedDevice`."""
        return (library_fact("slmsuite"),)

    def check(self) -> None:
        """Raise DeviceLostError when the last image failed; slmsuite does not report the loss of an SLM in any other way."""
        self._open_thread()

    def reconnect(self) -> None:
        """Open the SLM again on a new thread.

        Raises
        ------
        DeviceLostError
            It is still disconnected.
        """
        with self._lock:
            self._release(self.config.timeout_s)
            try:
                self._sdk = self._open()
            except DeviceError as error:
                raise DeviceLostError(f"{error}; then reconnect") from error

    def close(self) -> None:
        """Close the SLM, except one given to ``wrap``; safe to call twice and after it was lost."""
        with self._lock:
            self._release(self.config.timeout_s)

    # ---- internal

    def _open_thread(self) -> SdkThread:
        if self._sdk is None:
            raise DeviceLostError(f"{self._name} is not open; check power and cable, then reconnect")
        return self._sdk

    def _open(self) -> SdkThread:
        sdk = SdkThread(self._name, self._make, self._close, self.config.open_timeout_s)
        try:
            self.capabilities, self.panel = sdk.call("describe itself", self._describe, self.config.timeout_s)
        except DeviceError:
            sdk.end(0.0)
            raise
        return sdk

    def _describe(self, slm: Any) -> tuple[SlmCapabilities, Panel]:
        height, width = (int(size) for size in slm.shape)
        if slm.bitdepth != 8 or slm.dtype != np.uint8:
            raise DeviceError(f"{self._name} has {slm.bitdepth} bit, but 8 bit are needed; choose its 8-bit mode")
        panel = self._panel or Panel(PanelConfig((height, width)))
        if panel.shape != (height, width):
            raise DeviceError(f"{self._name} has {(height, width)} pixels, the panel {panel.shape}; correct the panel's shape")
        kind, settle_s = type(slm).__name__, self.config.settle_s
        capabilities = SlmCapabilities(
            model=f"slmsuite {kind}",
            serial=str(slm.name or kind),
            shape=panel.pattern_shape,
            refresh_s=1 / self.config.refresh_hz,
            latency_s=self.config.latency_s,
            settle_s=float(slm.settle_time_s) if settle_s is None else settle_s,
        )
        return capabilities, panel

    def _release(self, timeout_s: float) -> None:
        sdk, self._sdk = self._sdk, None
        if sdk is not None:
            sdk.end(timeout_s)
