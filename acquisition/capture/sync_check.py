"""Checking by light that frames belong to their patterns: reference checks and sync checks.

The same pattern gives nearly the same speckle again, and another pattern gives another speckle. Two checks use this:

- Reference check: the frames of the flat pattern must correlate with the first of them. Then the fibre has not moved.
- Sync check: a sync pattern is shown among the objects. The matching frame must look more like the sync pattern than its
  neighbours do, which are the frames up to two places earlier or later.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.base import Pattern

LAGS = (-2, -1, 1, 2)
#: Which of the two sync patterns is shown at each place: a sequence in which every shift by one or two places is detected.
SYNC = (0, 0, 1, 0, 1, 1)

Speckle = NDArray[np.float32]


def speckle_of(pixels: NDArray[Any]) -> Speckle:
    """Return a frame as a unit vector without its mean, so that the product of two is their correlation.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (C, H, W)
        Counts of a frame. Every second pixel in both directions is used.
    """
    vector = pixels[..., ::2, ::2].astype(np.float32).ravel()
    vector -= vector.mean()
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), np.float32)


def sync_check_patterns(shape: tuple[int, int]) -> tuple[Pattern, Pattern]:
    """Return two patterns whose speckles are as different as possible: flat, and 0 or pi at random in every block."""
    flat = Pattern(np.zeros(shape, np.float32), "sync 0")
    block = max(1, min(shape) // 16)
    size = (-(-shape[0] // block), -(-shape[1] // block))
    binary = np.random.default_rng(20).integers(0, 2, size).astype(np.float32) * np.float32(np.pi)
    phase = np.repeat(np.repeat(binary, block, 0), block, 1)[: shape[0], : shape[1]]
    return flat, Pattern(np.ascontiguousarray(phase), "sync 1")


def sync_margin(speckles: list[Speckle]) -> float:
    """Return the margin of the sync check over the sequence :data:`SYNC`; it passed when the margin is above 0.

    For an assumed lag between frames and patterns, the separation is the mean correlation of frames of the same pattern,
    minus the mean correlation of frames of different patterns. The margin is the separation at lag 0, minus the largest
    separation at any other lag.
    """
    correlations = np.array([[float(a @ b) for b in speckles] for a in speckles])

    def separation(lag: int) -> float:
        shown = {n: SYNC[n + lag] for n in range(len(SYNC)) if 0 <= n + lag < len(SYNC)}
        pairs = [(correlations[a, b], shown[a] == shown[b]) for a in shown for b in shown if a < b]
        same = [value for value, alike in pairs if alike]
        other = [value for value, alike in pairs if not alike]
        return float(np.mean(same) - np.mean(other)) if same and other else -1.0

    return separation(0) - max(separation(lag) for lag in LAGS)


def sync_template(speckles: list[Speckle]) -> Speckle:
    """Return the speckle of the second sync pattern: the mean of its frames in the sequence :data:`SYNC`, as a unit vector."""
    mean = np.sum([speckle for speckle, which in zip(speckles, SYNC, strict=True) if which], axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), np.float32)


class ReferenceCheck:
    """The reference checks and sync checks of one run, fed with its frames in their order.

    Parameters
    ----------
    min_correlation : float
        Smallest accepted correlation of a reference shot with the first one.

    Attributes
    ----------
    reference, sync : ndarray or None
        Speckles of the first reference shot and of the sync pattern; None before they are known.
    drift : list of (int, float)
        Shot number, and correlation with the first reference, of every reference shot.
    lowest : float
        The smallest of these correlations.
    """

    def __init__(self, min_correlation: float) -> None:
        self.min_correlation = min_correlation
        self.reference: Speckle | None = None
        self.sync: Speckle | None = None
        self.drift: list[tuple[int, float]] = []
        self.lowest = 1.0
        #: Correlations of the last frames with the sync pattern.
        self._neighbours: deque[float] = deque(maxlen=max(LAGS))
        #: Of a sync check that waits for its later neighbours: the matching frame's correlation, and the earlier neighbours'.
        self._pending: tuple[float, list[float]] | None = None

    @property
    def sync_check_pending(self) -> bool:
        """Whether a sync check waits for the frames after its sync pattern."""
        return self._pending is not None

    def correlation(self, speckle: Speckle) -> float:
        """Return the correlation of a frame with the first reference; 1 before there is one."""
        return 1.0 if self.reference is None else float(speckle @ self.reference)

    def holds(self, number: int, speckle: Speckle) -> bool:
        """Add reference shot ``number``; return whether its correlation with the first one is large enough."""
        if self.reference is None:
            self.reference = speckle
        correlation = float(speckle @ self.reference)
        self.lowest = min(self.lowest, correlation)
        self.drift.append((number, correlation))
        return correlation >= self.min_correlation

    def begin_sync_check(self, speckle: Speckle) -> None:
        """Add the frame of the sync pattern that was shown among the other shots."""
        if self.sync is not None:
            self._pending = (float(speckle @ self.sync), list(self._neighbours))
            self._neighbours.clear()

    def add(self, speckle: Speckle, *, last: bool = False) -> float | None:
        """Add the frame of any other shot; return the margin of the sync check that it completes, or None.

        The margin is the correlation of the matching frame with the sync pattern, minus the largest correlation of a
        neighbour with it. ``last`` says that no further frame comes.
        """
        if self.sync is None:
            return None
        self._neighbours.append(float(speckle @ self.sync))
        if self._pending is None or (len(self._neighbours) < max(LAGS) and not last):
            return None
        matching, earlier = self._pending
        self._pending = None
        return matching - max([*earlier, *self._neighbours])

    def forget(self) -> None:
        """Forget the neighbours and a pending sync check, after shots were withdrawn."""
        self._neighbours.clear()
        self._pending = None
