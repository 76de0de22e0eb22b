"""Corrections of labels by hand: a cell is deleted, two are merged, or one is split along a line."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivers.base import SpeckleScopeError

#: Labels, 0 is background; shape (h, w).
Labels = NDArray[np.uint16]
#: Row and column of a pixel.
Place = tuple[int, int]


class CorrectionError(SpeckleScopeError):
    """Labels cannot be corrected as requested; they stay as they are."""


def cell_at(labels: Labels, place: Place) -> int:
    """Return the number of the cell at a pixel; raises CorrectionError where there is none."""
    row, column = place
    if not (0 <= row < labels.shape[0] and 0 <= column < labels.shape[1]) or not labels[row, column]:
        raise CorrectionError("there is no cell at this place; click inside an outline")
    return int(labels[row, column])


def deleted(labels: Labels, place: Place) -> Labels:
    """Return labels without the cell at a pixel; the numbers of the others stay."""
    return np.where(labels == cell_at(labels, place), 0, labels).astype(np.uint16)


def merged(labels: Labels, first: Place, second: Place) -> Labels:
    """Return labels in which the cells at two pixels are one, with the number of the first.

    Raises
    ------
    CorrectionError
        There is no cell, or both pixels are of the same one.
    """
    kept, other = cell_at(labels, first), cell_at(labels, second)
    if kept == other:
        raise CorrectionError("both places are in the same cell; click two cells")
    return np.where(labels == other, kept, labels).astype(np.uint16)


def split(labels: Labels, start: Place, end: Place) -> Labels:
    """Return labels in which the cell between two pixels is divided along the line through them.

    The line must enter and leave the cell. The part to its right, as seen from its start, gets a new number.

    Parameters
    ----------
    labels : ndarray of uint16, shape (h, w)
        The labels.
    start, end : tuple of int
        Row and column of the ends of the line; both may lie outside the cell.

    Raises
    ------
    CorrectionError
        The line crosses no cell, or leaves nothing of it at one side.
    """
    if start == end:
        raise CorrectionError("a line needs two places; drag across the cell")
    number = _crossed(labels, start, end)
    rows, columns = np.nonzero(labels == number)
    side = (end[1] - start[1]) * (rows - start[0]) - (end[0] - start[0]) * (columns - start[1])
    right = side > 0
    if right.all() or not right.any():
        raise CorrectionError("the line leaves the whole cell at one side; drag across its middle")
    new = int(labels.max()) + 1
    if new > np.iinfo(np.uint16).max:
        raise CorrectionError("there are too many cells in this picture; delete some first")
    divided = labels.copy()
    divided[rows[right], columns[right]] = new
    return divided


def _crossed(labels: Labels, start: Place, end: Place) -> int:
    """Return the cell of which a line crosses most pixels."""
    count = 2 * max(abs(end[0] - start[0]), abs(end[1] - start[1])) + 1
    rows = np.rint(np.linspace(start[0], end[0], count)).astype(np.intp).clip(0, labels.shape[0] - 1)
    columns = np.rint(np.linspace(start[1], end[1], count)).astype(np.intp).clip(0, labels.shape[1] - 1)
    crossed = labels[rows, columns]
    crossed = crossed[crossed > 0]
    if not crossed.size:
        raise CorrectionError("the line crosses no cell; drag across the cell that is to be split")
    return int(np.bincount(crossed).argmax())
