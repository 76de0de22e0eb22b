"""Any SLM class of slmsuite, sent grey levels of our own.

slmsuite's ``set_phase`` takes phases or integers. For phases it has a convention of its own: the sign is flipped (grey 255 is
phase 0, and rising phase darkens), levels are 2 pi / 256 apart, and a wavefront correction may be added. Integers of the
panel's own type go to it as they are. They are what is sent here, so that phase becomes grey in one place, through the
panel's calibrated response, and every driver sends the same bytes to the same panel. In slmsuite's book-keeping
(``slm.phase``) such an image is the negative of our phase, unless the panel's response says otherwise.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from drivers.base import DeviceError, DeviceLostError, SlmCapabilities
from drivers.displays.panel import Panel, PanelConfig
from drivers.displays.panel_slm import PanelSlm
from drivers.slmsuite.sdk_thread import Argument, SdkThread, check_class_path, keywords, load_class


@dataclass(frozen=True)
class SlmsuiteSlmConfig:
    """Which of slmsuite's SLMs, and what slmsuite does not tell about it.

    Parameters
    ----------
    class_path : str
        Such as ``slmsuite.hardware.slms.screenmirrored.ScreenMirrored``; empty only for an SLM that was made elsewhere.
    arguments : dict
        For its constructor, by name: numbers, texts, lists of numbers.
    refresh_hz : float
        Refresh rate of the panel.
    latency_s : float
        Longest time from slmsuite's return to the first new light. The default is a careful guess for a video output;
        measure it with a sync check.
    settle_s : float, optional
        Settling time of the liquid crystal; None takes slmsuite's ``settle_time_s``, which is 0.3 s unless it was told.
    timeout_s, open_timeout_s : float
        Deadlines for an image and for opening.
    """

    class_path: str = ""
    arguments: dict[str, Argument] = field(default_factory=dict, hash=False)
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
    """A :class:`drivers.base.GreySlm` on slmsuite; opened by creating it.

    Parameters
    ----------
    config : SlmsuiteSlmConfig
        Which SLM.
    panel : Panel, optional
        Its native shape, its response and the pattern's place; a linear panel of 2 pi of slmsuite's shape when left out.

    Raises
    ------
    DeviceError
        slmsuite or the class is missing, the SLM cannot be opened, has not 8 bit, or another shape than ``panel``.
    """

    def __init__(self, config: SlmsuiteSlmConfig, panel: Panel | None = None) -> None:
        if not config.class_path:
            raise ValueError("class_path must name a class of slmsuite.hardware.slms; wrap() takes an SLM made elsewhere")
        maker = load_class(config.class_path, "SLM")
        self._begin(config, panel, lambda: maker(**config.arguments), lambda slm: slm.close())

    @classmethod
    def wrap(cls, slm: Any, config: SlmsuiteSlmConfig | None = None, panel: Panel | None = None) -> Self:
        """Return an adapter for an slmsuite SLM that was made elsewhere, and is closed there.

        Reconnecting uses the same object again, on a new thread.

        Parameters
        ----------
        slm : slmsuite.hardware.slms.slm.SLM
            Used by nobody else in the meantime.
        config : SlmsuiteSlmConfig, optional
            All but ``class_path`` and ``arguments`` is used.
        panel : Panel, optional
            As for the constructor.

        Raises
        ------
        DeviceError
            It has not 8 bit, has another shape than ``panel``, or does not answer.
        """
        self = cls.__new__(cls)
        self._begin(config or SlmsuiteSlmConfig(), panel, lambda: slm, lambda _: None)
        return self

    def _begin(
        self, config: SlmsuiteSlmConfig, panel: Panel | None, make: Callable[[], Any], close: Callable[[Any], None]
    ) -> None:
        self.config = config
        self._make, self._close, self._panel = make, close, panel
        self._name = f"the slmsuite SLM {config.class_path.rpartition('.')[2]}".rstrip()
        self._lock = threading.Lock()
        self._sdk: SdkThread | None = self._open()

    def _send(self, grey: NDArray[np.uint8]) -> int:
        with self._lock:
            sdk = self._open_thread()
            try:
                # No settling here: the caller may prepare the next image in the meantime.
                sdk.call("show an image", lambda slm: slm.set_phase(grey, settle=False), self.config.timeout_s)
            except DeviceError as error:
                self._release(0.0)
                raise DeviceLostError(f"{error}; then reconnect") from error
            return time.monotonic_ns()

    def check(self) -> None:
        """Raise DeviceLostError when the last image failed; slmsuite has no other way to tell that an SLM is gone."""
        self._open_thread()

    def reconnect(self) -> None:
        """Make the SLM again on a new thread.

        Raises
        ------
        DeviceLostError
            It is still away.
        """
        with self._lock:
            self._release(self.config.timeout_s)
            try:
                self._sdk = self._open()
            except DeviceError as error:
                raise DeviceLostError(f"{error}; then reconnect") from error

    def close(self) -> None:
        """Close the SLM unless it was made elsewhere; safe to call twice and after it was lost."""
        with self._lock:
            self._release(self.config.timeout_s)

    # ---- inside

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
            raise DeviceError(f"{self._name} has {slm.bitdepth} bit, patterns have 8; choose its 8-bit mode")
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
