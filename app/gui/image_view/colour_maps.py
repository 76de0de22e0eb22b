"""The colour maps of the pictures, as tables (256, 3) uint8."""

from __future__ import annotations

import math
from enum import StrEnum
from functools import cache

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray

Table = NDArray[np.uint8]

#: Colours of pixels at or beyond the lower and the upper level.
BELOW_COLOUR = (40, 110, 255)
ABOVE_COLOUR = (255, 0, 255)


class ColourMap(StrEnum):
    """Which colours a picture has."""

    #: For phases: cyclic when the levels span 2 pi, otherwise viridis.
    AUTOMATIC = "automatic"
    GREY = "grey"
    VIRIDIS = "viridis"
    MAGMA = "magma"
    CIVIDIS = "cividis"
    TURBO = "turbo"
    #: Blue, white, red: for values around zero.
    DIVERGING = "diverging"
    #: Cyclic: both ends have the same colour.
    CYCLIC = "cyclic"
    CYCLIC_FOUR = "cyclic, four colours"
    CYCLIC_GREY = "cyclic grey"

    @property
    def is_cyclic(self) -> bool:
        """Whether both ends have the same colour."""
        return self in (ColourMap.CYCLIC, ColourMap.CYCLIC_FOUR, ColourMap.CYCLIC_GREY)


#: CET maps: P. Kovesi, Good colour maps: how to design them, arXiv:1509.03700 (2015).
_NAMES = {
    ColourMap.VIRIDIS: "viridis",
    ColourMap.MAGMA: "magma",
    ColourMap.CIVIDIS: "cividis",
    ColourMap.TURBO: "turbo",
    ColourMap.DIVERGING: "CET-D1A",
    ColourMap.CYCLIC: "CET-C1s",
    ColourMap.CYCLIC_FOUR: "CET-C2s",
    ColourMap.CYCLIC_GREY: "CET-C5s",
}


@cache
def _named(name: str) -> Table:
    table: Table = pg.colormap.get(name).getLookupTable(nPts=256, alpha=False, mode="byte")
    return table


def resolved(colours: ColourMap, low: float, high: float) -> ColourMap:
    """Return the map that AUTOMATIC stands for at these levels; any other map stays."""
    if colours is not ColourMap.AUTOMATIC:
        return colours
    # Levels are typed with two decimals.
    return ColourMap.CYCLIC if math.isclose(high - low, 2 * math.pi, rel_tol=0.002) else ColourMap.VIRIDIS


def colour_table(colours: ColourMap, low: float, high: float) -> Table:
    """Return the colours from the lower to the upper level, (256, 3)."""
    chosen = resolved(colours, low, high)
    if chosen is ColourMap.GREY:
        return np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    return _named(_NAMES[chosen])


def marked_table(table: Table) -> Table:
    """Return a table whose first and last colour mark clipped pixels; the others span the whole of ``table``."""
    marked = table.copy()
    marked[1:-1] = table[np.round(np.linspace(0, 255, 254)).astype(int)]
    marked[0] = BELOW_COLOUR
    marked[-1] = ABOVE_COLOUR
    return marked


def marked_levels(low: float, high: float, *, whole: bool) -> tuple[float, float]:
    """Return the levels at which the first and the last colour of :func:`marked_table` mean "at or beyond the level".

    Parameters
    ----------
    low, high : float
        The levels.
    whole : bool
        Whether the values are whole numbers.
    """
    # Between the marks lie 254 colours. Rounding must not decide about a value that lies exactly at a level.
    margin = 0.5 if whole and high - low > 1 else (high - low) * 1e-6
    low, high = low + margin, high - margin
    step = (high - low) / 254
    return low - step, high + step
