"""Points, lines, rectangles and ellipses on a picture, in micrometres, and the pixels that belong to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PixelGrid:
    """The pixels of a picture and their size.

    Parameters
    ----------
    rows, columns : int
        Size of the picture in pixels.
    pitch_um : float
        Side of a pixel in micrometres. x goes to the right and y downwards from the outer corner of the first pixel.
    """

    rows: int
    columns: int
    pitch_um: float

    def pixel_at(self, x_um: float, y_um: float) -> tuple[int, int] | None:
        """Return row and column of the pixel at a position, or None outside the picture."""
        row, column = int(np.floor(y_um / self.pitch_um)), int(np.floor(x_um / self.pitch_um))
        return (row, column) if 0 <= row < self.rows and 0 <= column < self.columns else None


@dataclass(frozen=True)
class PointShape:
    """A point, in micrometres."""

    x_um: float
    y_um: float


@dataclass(frozen=True)
class LineShape:
    """A line between two points, in micrometres."""

    x1_um: float
    y1_um: float
    x2_um: float
    y2_um: float

    @property
    def length_um(self) -> float:
        """Length in micrometres."""
        return float(np.hypot(self.x2_um - self.x1_um, self.y2_um - self.y1_um))

    @property
    def angle_deg(self) -> float:
        """Direction in degrees, counter-clockwise from the x axis as it is seen on the picture."""
        return float(np.degrees(np.arctan2(self.y1_um - self.y2_um, self.x2_um - self.x1_um)))


@dataclass(frozen=True)
class RectangleShape:
    """A rectangle by its upper left corner and its size, in micrometres."""

    x_um: float
    y_um: float
    width_um: float
    height_um: float


@dataclass(frozen=True)
class EllipseShape(RectangleShape):
    """An ellipse by the rectangle around it, in micrometres."""


Shape = PointShape | LineShape | RectangleShape | EllipseShape


@dataclass(frozen=True, eq=False)
class PixelSet:
    """Pixels of a picture: a window of the array, and which of its pixels belong to the set.

    Parameters
    ----------
    window : tuple of slice
        Rows and columns of the window.
    inside : ndarray of bool, shape of the window
        Which pixels of the window belong.
    """

    window: tuple[slice, slice]
    inside: NDArray[np.bool_]

    def values(self, picture: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return the values of the pixels, shape (n,)."""
        return np.asarray(picture[self.window][self.inside])


def _indices(low_um: float, high_um: float, pitch_um: float, number: int) -> slice:
    # The pixels whose centres lie between low and high.
    first = int(np.ceil(low_um / pitch_um - 0.5))
    last = int(np.floor(high_um / pitch_um - 0.5))
    return slice(min(max(first, 0), number), min(max(last + 1, 0), number))


def pixels_in(shape: PointShape | RectangleShape, grid: PixelGrid) -> PixelSet:
    """Return the pixels whose centres lie inside a rectangle or an ellipse, or the one pixel that contains a point.

    Parts outside the picture are cut off; the set may be empty.
    """
    if isinstance(shape, PointShape):
        pixel = grid.pixel_at(shape.x_um, shape.y_um)
        row, column = pixel or (0, 0)
        return PixelSet((slice(row, row + 1), slice(column, column + 1)), np.full((1, 1), pixel is not None))
    rows = _indices(shape.y_um, shape.y_um + shape.height_um, grid.pitch_um, grid.rows)
    columns = _indices(shape.x_um, shape.x_um + shape.width_um, grid.pitch_um, grid.columns)
    y_um = (np.arange(rows.start, rows.stop) + 0.5) * grid.pitch_um
    x_um = (np.arange(columns.start, columns.stop) + 0.5) * grid.pitch_um
    inside = np.ones((len(y_um), len(x_um)), np.bool_)
    if isinstance(shape, EllipseShape) and inside.size:
        v = (y_um - shape.y_um - shape.height_um / 2) / (shape.height_um / 2)
        u = (x_um - shape.x_um - shape.width_um / 2) / (shape.width_um / 2)
        inside = np.asarray(u[None] ** 2 + v[:, None] ** 2 <= 1.0)
    return PixelSet((rows, columns), inside)
