"""The two display levels that panes with the same kind of values share."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, pyqtSignal

_ADAPTED_PERCENTILES = (0.5, 99.5)
_SAMPLED_PX = 512


class HistogramScale(StrEnum):
    """How counts of the histogram become heights."""

    LINEAR = "linear"
    SQUARE_ROOT = "square root"
    LOGARITHMIC = "logarithmic"

    def heights(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return heights between 0 and 1."""
        if self is HistogramScale.SQUARE_ROOT:
            counts = np.sqrt(counts)
        elif self is HistogramScale.LOGARITHMIC:
            counts = np.log1p(counts)
        top = counts.max(initial=0.0)
        return counts / top if top > 0 else counts


def sampled(image: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return every n-th pixel, so that statistics of a large picture stay fast."""
    stride = max(1, max(image.shape) // _SAMPLED_PX)
    return image[::stride, ::stride]


class Levels(QObject):
    """Lower and upper level, and how they follow the picture.

    Parameters
    ----------
    default : tuple of float
        Levels at the start.
    limits : tuple of float
        Smallest and largest value that a level may have.
    """

    changed = pyqtSignal()

    def __init__(self, default: tuple[float, float], limits: tuple[float, float]) -> None:
        super().__init__()
        self.default = default
        self.limits = limits
        self._pair = default
        self._auto = False
        self._scale = HistogramScale.SQUARE_ROOT

    @property
    def pair(self) -> tuple[float, float]:
        """Lower and upper level."""
        return self._pair

    @property
    def every_frame(self) -> bool:
        """Whether the levels are set from every picture."""
        return self._auto

    @property
    def scale(self) -> HistogramScale:
        """How counts of the histogram become heights."""
        return self._scale

    def set_pair(self, low: float, high: float) -> None:
        """Set both levels, cut to the limits. When they are not ascending, the present levels stay."""
        low, high = max(low, self.limits[0]), min(high, self.limits[1])
        if low < high and (low, high) != self._pair:
            self._pair = (low, high)
            self.changed.emit()

    def set_by_hand(self, low: float, high: float) -> None:
        """Set both levels as the operator chose them: they then stay from picture to picture."""
        self.set_every_frame(on=False)
        self.set_pair(low, high)

    def set_every_frame(self, *, on: bool) -> None:
        """Choose whether the levels are set from every picture."""
        if on != self._auto:
            self._auto = on
            self.changed.emit()

    def set_scale(self, scale: HistogramScale) -> None:
        """Choose how counts of the histogram become heights."""
        if scale is not self._scale:
            self._scale = scale
            self.changed.emit()

    def adapt(self, image: NDArray[np.generic]) -> None:
        """Set the levels to percentiles 0.5 and 99.5 of a picture; one without finite values changes nothing."""
        values = sampled(image).astype(np.float32)
        values = values[np.isfinite(values)]
        if values.size:
            low, high = np.percentile(values, _ADAPTED_PERCENTILES)
            self.set_pair(float(low), float(high))

    def state(self) -> dict[str, object]:
        """Return plain data for :meth:`restore`."""
        return {"low": self._pair[0], "high": self._pair[1], "every_frame": self._auto, "histogram": str(self._scale)}

    def restore(self, state: dict[str, object]) -> None:
        """Set what :meth:`state` has returned; raises ValueError or TypeError for other content."""
        low, high = float(str(state["low"])), float(str(state["high"]))
        if not (np.isfinite((low, high)).all() and low < high):
            raise ValueError(f"levels {low:g} and {high:g} are not two ascending numbers")
        self.set_scale(HistogramScale(str(state["histogram"])))
        self.set_every_frame(on=state["every_frame"] is True)
        self.set_pair(low, high)
