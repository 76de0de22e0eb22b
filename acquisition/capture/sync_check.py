"""Verifying by light that frames belong to their patterns: sentinels, sync patterns, and sync checks around them.

The speckle of one pattern comes back nearly the same, and that of another does not. So the flat pattern's frames have to
correlate with the first of them: the fibre lies as it lay. And when a sync pattern is shown among the objects, its own frame
has to be the one that looks like it, not one shot up to two places earlier or later.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from drivers.base import Frame, Pattern

LAGS = (-2, -1, 1, 2)
#: Kinds of the sync patterns: no shift by one or two places maps the sequence onto itself.
SYNC = (0, 0, 1, 0, 1, 1)

Speckle = NDArray[np.float32]


def speckle_of(frame: Frame) -> Speckle:
    """Return a frame's unit vector: every second pixel both ways, without the mean; correlation is their product."""
    pixels = frame.pixels[::2, ::2].astype(np.float32).ravel()
    pixels -= pixels.mean()
    return np.asarray(pixels / max(float(np.linalg.norm(pixels)), 1e-9), np.float32)


def sync_check_patterns(shape: tuple[int, int]) -> tuple[Pattern, Pattern]:
    """Return two patterns whose speckles are as different as can be: flat, and 0 or pi at random in every block."""
    flat = Pattern(np.zeros(shape, np.float32), "sync 0")
    block = max(1, min(shape) // 16)
    size = (-(-shape[0] // block), -(-shape[1] // block))
    binary = np.random.default_rng(20).integers(0, 2, size).astype(np.float32) * np.float32(np.pi)
    phase = np.repeat(np.repeat(binary, block, 0), block, 1)[: shape[0], : shape[1]]
    return flat, Pattern(np.ascontiguousarray(phase), "sync 1")


def sync_margin(speckles: list[Speckle]) -> float:
    """Return by how much lag 0 explains the frames of the sync patterns better than any other lag.

    For a lag, it is the mean correlation of frames that should be alike less that of frames that should not.
    """
    like = np.array([[float(a @ b) for b in speckles] for a in speckles])

    def separation(lag: int) -> float:
        kinds = {n: SYNC[n + lag] for n in range(len(SYNC)) if 0 <= n + lag < len(SYNC)}
        pairs = [(like[a, b], kinds[a] == kinds[b]) for a in kinds for b in kinds if a < b]
        same = [value for value, alike in pairs if alike]
        other = [value for value, alike in pairs if not alike]
        return float(np.mean(same) - np.mean(other)) if same and other else -1.0

    return separation(0) - max(separation(lag) for lag in LAGS)


def sync_template(speckles: list[Speckle]) -> Speckle:
    """Return what the second sync pattern looks like: the mean of its frames in a preamble, as a unit vector."""
    mean = np.sum([speckle for speckle, kind in zip(speckles, SYNC, strict=True) if kind], axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), np.float32)


class ReferenceCheck:
    """Judges the frames of a run as they come: the flat ones against the first of them, sync frames against their neighbours.

    Parameters
    ----------
    min_correlation : float
        Smallest accepted correlation of a flat shot.
    """

    def __init__(self, min_correlation: float) -> None:
        self.min_correlation = min_correlation
        self.reference: Speckle | None = None
        self.sync: Speckle | None = None
        #: (shot number, correlation) of every flat shot.
        self.drift: list[tuple[int, float]] = []
        self.lowest = 1.0
        self._likeness: deque[float] = deque(maxlen=max(LAGS))
        self._scan: tuple[float, list[float]] | None = None

    @property
    def scanning(self) -> bool:
        """Whether a sync check waits for the frames that decide it."""
        return self._scan is not None

    def correlation(self, speckle: Speckle) -> float:
        """How alike a frame is to the reference, 1 before there is one."""
        return 1.0 if self.reference is None else float(speckle @ self.reference)

    def holds(self, number: int, speckle: Speckle) -> bool:
        """Take a flat shot; say whether it is still the reference."""
        if self.reference is None:
            self.reference = speckle
        correlation = float(speckle @ self.reference)
        self.lowest = min(self.lowest, correlation)
        self.drift.append((number, correlation))
        return correlation >= self.min_correlation

    def begin_scan(self, speckle: Speckle) -> None:
        """Take the frame of the sync pattern that was shown among the others."""
        if self.sync is not None:
            self._scan = (float(speckle @ self.sync), list(self._likeness))
            self._likeness.clear()

    def add(self, speckle: Speckle, last: bool = False) -> float | None:
        """Take any other shot's frame; return the margin of a sync check that is decided by it, else None.

        The margin is the likeness of the sync pattern's own frame to it, less that of the likest neighbour.
        """
        if self.sync is None:
            return None
        self._likeness.append(float(speckle @ self.sync))
        if self._scan is None or (len(self._likeness) < max(LAGS) and not last):
            return None
        own, before = self._scan
        self._scan = None
        return own - max([*before, *self._likeness])

    def forget(self) -> None:
        """Start again after shots were withdrawn."""
        self._likeness.clear()
        self._scan = None
