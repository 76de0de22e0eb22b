"""Proving by light that frames belong to their patterns: the flat pattern as a sentinel, and lag scans around it.

The speckle of one pattern comes back nearly the same, and that of another does not. So the flat pattern's frames have to
correlate with the first of them, and no frame shot up to two places earlier or later may do that better.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.base import Frame, Pattern

LAGS = (-2, -1, 1, 2)
#: A neighbour whose speckle is as like the reference as this decides nothing: its pattern may be flat itself.
UNDECIDED = 0.02
#: Kinds of the sync patterns: no shift by one or two places maps the sequence onto itself.
SYNC = (0, 0, 1, 0, 1, 1)

Speckle = NDArray[np.float32]


def speckle_of(frame: Frame) -> Speckle:
    """Return a frame's unit vector: every second pixel both ways, without the mean; correlation is their product."""
    pixels = frame.pixels[::2, ::2].astype(np.float32).ravel()
    pixels -= pixels.mean()
    return np.asarray(pixels / max(float(np.linalg.norm(pixels)), 1e-9), np.float32)


def sync_patterns(shape: tuple[int, int]) -> tuple[Pattern, Pattern]:
    """Return two patterns whose speckles are as different as can be: flat, and 0 or pi at random in every block."""
    flat = Pattern(np.zeros(shape, np.float32), "sync 0")
    block = max(1, min(shape) // 64)
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


@dataclass(frozen=True)
class Judgement:
    """What a lag scan found around the sentinel shot ``number``; the margin is that of lag 0 over the best other one."""

    number: int
    margin: float

    @property
    def failed(self) -> bool:
        """Whether another lag wins."""
        return self.margin < -UNDECIDED

    @property
    def decided(self) -> bool:
        """Whether lag 0 wins clearly."""
        return self.margin > UNDECIDED


class Sentinel:
    """Judges the frames of a run as they come, against the plan's first reference.

    Parameters
    ----------
    min_correlation : float
        Smallest accepted correlation of a flat shot.
    """

    def __init__(self, min_correlation: float) -> None:
        self.min_correlation = min_correlation
        self.reference: Speckle | None = None
        #: (shot number, correlation) of every flat shot.
        self.drift: list[tuple[int, float]] = []
        self.lowest = 1.0
        self._recent: deque[tuple[int, float, bool]] = deque(maxlen=5)
        self._waiting: list[int] = []

    def correlation(self, frame: Frame) -> float:
        """How alike a frame is to the reference, 1 before there is one."""
        return 1.0 if self.reference is None else float(speckle_of(frame) @ self.reference)

    def holds(self, number: int, frame: Frame) -> bool:
        """Take the frame of a flat shot; say whether it is still the reference's."""
        speckle = speckle_of(frame)
        if self.reference is None:
            self.reference = speckle
        correlation = float(speckle @ self.reference)
        self.lowest = min(self.lowest, correlation)
        self.drift.append((number, correlation))
        return correlation >= self.min_correlation

    def take(self, number: int, correlation: float, is_reference: bool, last: bool = False) -> list[Judgement]:
        """Take the correlation of a stored shot; return the scans that can be judged now.

        Parameters
        ----------
        number : int
            Shots come one after the other.
        correlation : float
            With the reference.
        is_reference : bool
            Whether it showed the flat pattern.
        last : bool
            No more shots come.
        """
        self._recent.append((number, correlation, is_reference))
        if is_reference and number:
            self._waiting.append(number)
        ready = [waiting for waiting in self._waiting if last or number >= waiting + max(LAGS)]
        self._waiting = [waiting for waiting in self._waiting if waiting not in ready]
        found = {recent: (value, flat) for recent, value, flat in self._recent}
        judged = []
        for sentinel in ready:
            others = [found[sentinel + lag] for lag in LAGS if sentinel + lag in found]
            objects = [value for value, flat in others if not flat]
            if sentinel in found and objects:
                judged.append(Judgement(sentinel, found[sentinel][0] - max(objects)))
        return judged

    def forget(self) -> None:
        """Start again after shots were withdrawn."""
        self._recent.clear()
        self._waiting.clear()
