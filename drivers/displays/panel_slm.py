"""Common part of all SLMs that are displays: a panel turns patterns into grey images, and the last image is kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from drivers.base import Pattern, SlmCapabilities
from drivers.displays.panel import Panel


class PanelSlm(ABC):
    """The part of :class:`drivers.base.GreySlm` that does not depend on how an image reaches the display."""

    capabilities: SlmCapabilities
    panel: Panel
    _shown: Pattern | None = None
    _grey: NDArray[np.uint8] | None = None

    @property
    def panel_shape(self) -> tuple[int, int]:
        """Height and width of the display in pixels."""
        return self.panel.shape

    @property
    def shown(self) -> Pattern | None:
        """The last pattern that the display accepted, or None before the first and after a grey image."""
        return self._shown

    @property
    def grey(self) -> NDArray[np.uint8] | None:
        """The grey levels that the display accepted last, (H, W), or None before the first image."""
        return self._grey

    def show(self, pattern: Pattern) -> int:
        """Show a pattern; see :meth:`drivers.base.Slm.show`. After an error it is unknown what the panel shows."""
        settled_ns = self.show_grey(self.panel.grey(pattern))
        self._shown = pattern
        return settled_ns

    def show_grey(self, grey: NDArray[np.uint8]) -> int:
        """Show grey levels unchanged; see :meth:`drivers.base.GreySlm.show_grey`."""
        grey = self.panel.check(grey)
        accepted_ns = self._send(grey)
        self._grey = grey
        self._shown = None
        return accepted_ns + round((self.capabilities.latency_s + self.capabilities.settle_s) * 1e9)

    @abstractmethod
    def _send(self, grey: NDArray[np.uint8]) -> int:
        """Send an image to the display; return the monotonic time in ns at which it was accepted, or raise a DeviceError."""

    @abstractmethod
    def close(self) -> None:
        """Release the display."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
