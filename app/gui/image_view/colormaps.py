"""Colour tables of the pictures: (256, 3) uint8, perceptually uniform."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray

Table = NDArray[np.uint8]


@cache
def _named(name: str) -> Table:
    table: Table = pg.colormap.get(name).getLookupTable(nPts=256, alpha=False, mode="byte")
    return table


def grey_table(low: float, high: float) -> Table:
    """Return the colours from black to white, for any levels."""
    return np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)


def phase_table(low: float, high: float) -> Table:
    """Return a cyclic table when the levels span 2 pi, so that 0 and 2 pi have the same colour; otherwise a sequential one."""
    cyclic = math.isclose(high - low, 2 * math.pi, rel_tol=0.002)  # levels are typed with two decimals
    return _named("CET-C1s" if cyclic else "viridis")
