"""From values to colours. Software and shader calculate with the same numbers, so that both choose the same colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray

#: Red, green, blue and opacity of a clipped pixel: in none of the colour tables.
CLIPPED = (255, 0, 255, 255)
COLOURS = 256


def rgba(table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return colours as (n, 4): opaque, where they had no opacity."""
    if table.shape[1] == 4:
        return np.ascontiguousarray(table)
    return np.column_stack([table, np.full(len(table), 255, np.uint8)])


@dataclass(frozen=True, kw_only=True)
class Colours:
    """How values become colours.

    Attributes
    ----------
    levels : tuple of float
        The values of the first and of the last colour.
    table : ndarray of uint8, shape (256, 4)
        The colours between the levels.
    cyclic : bool
        Values beyond a level continue at the other one.
    full_scale : int, optional
        Counts from which a pixel is marked as clipped.
    """

    levels: tuple[float, float]
    table: NDArray[np.uint8]
    cyclic: bool = False
    full_scale: int | None = None

    @property
    def colours_per_unit(self) -> float:
        """The number of colours for a difference of 1 between two values."""
        low, high = self.levels
        return COLOURS / ((high - low) or 1.0)

    def clipped(self, picture: NDArray[np.generic]) -> NDArray[np.bool_] | None:
        """Return which pixels are clipped; None when none are marked, as in a picture that is not in whole numbers."""
        if self.full_scale is None or picture.dtype.kind != "u":
            return None
        return np.greater_equal(picture, self.full_scale)

    def wrapped_positions(self, values: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return where values lie in the cyclic table, as float32 from 0 to 256."""
        low = np.float32(self.levels[0])
        with np.errstate(invalid="ignore"):  # infinite values become NaN, which is not drawn
            position = values.astype(np.float32)
            position -= low
            position *= np.float32(self.colours_per_unit)
            position -= np.floor(position * np.float32(1 / COLOURS)) * np.float32(COLOURS)
        return position

    def for_each_count(self, counts: int) -> NDArray[np.uint8]:
        """Return the colours of the whole numbers 0, 1, ..., counts - 1, (counts, 4)."""
        if self.cyclic:
            index = np.minimum(self.wrapped_positions(np.arange(counts)), COLOURS - 1).astype(np.uint8)
        else:
            # pyqtgraph calculates with float64 for 256 counts and with float32 for 65536
            values = np.arange(counts, dtype=np.int64 if counts == COLOURS else np.uint16)
            index = pg.functions.rescaleData(
                values, self.colours_per_unit, self.levels[0], dtype=np.uint8, clip=(0, COLOURS - 1)
            )
        colours = self.table[index]
        if self.full_scale is not None:
            colours[self.full_scale :] = CLIPPED
        return colours
