"""The mean of the newest frames, pixel by pixel."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconstruction.phase_filters import into_turn


class RunningMean:
    """Keeps the newest frames and their sum, so that a frame costs one addition and one subtraction.

    Parameters
    ----------
    frames : int
        Number of frames.
    wrapped_from_rad : float or None
        Lower end of the interval of wrapped phases, whose mean is that of directions; None for all other values.
    """

    def __init__(self, frames: int, wrapped_from_rad: float | None = None) -> None:
        self._frames = frames
        self._low_rad = wrapped_from_rad
        self._recent: deque[NDArray[Any]] = deque()
        self._sum: NDArray[Any] = np.zeros((0, 0))
        self._unknown: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self._recent)

    def add(self, picture: NDArray[np.generic], mask: NDArray[np.bool_]) -> NDArray[np.generic]:
        """Add a frame, and return the mean.

        Parameters
        ----------
        picture : ndarray, shape (h, w)
            Counts, or phase in radians. A frame of another shape begins again.
        mask : ndarray of bool, shape (h, w)
            Where the values mean something. A frame with values there that are not finite is not added.

        Returns
        -------
        ndarray of float32, shape (h, w)
            The mean; ``picture`` itself before the first frame that could be added. NaN where the newest added frame has
            values outside the mask that are not finite.
        """
        if self._sum.shape != picture.shape:
            self._recent.clear()
        if picture.dtype.kind == "u" and self._low_rad is None:
            self._append(picture)
        else:
            finite = np.isfinite(picture)
            if bool(finite[mask].all()):
                values = np.where(finite, picture, 0).astype(np.float64)
                self._append(values if self._low_rad is None else np.exp(1j * values))
                self._unknown = None if finite.all() else ~finite
        if not self._recent:
            return picture
        if self._low_rad is None:
            mean = np.multiply(self._sum, np.float32(1 / len(self._recent)), dtype=np.float32, casting="unsafe")
        else:
            mean = into_turn(np.angle(self._sum), self._low_rad)
        if self._unknown is not None:
            mean[self._unknown] = np.nan
        return mean

    def _append(self, term: NDArray[Any]) -> None:
        if not self._recent:
            kind = np.uint32 if term.dtype.kind == "u" else term.dtype
            self._sum = np.zeros(term.shape, kind)
        self._recent.append(term)
        self._sum += term
        if len(self._recent) > self._frames:
            self._sum -= self._recent.popleft()
