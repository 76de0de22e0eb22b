"""How cells are marked on the overlay: the colours of their outlines, and their identities beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF
from PyQt6.QtGui import QColor

from app.gui.image_view.colour_maps import ColourMap, colour_table
from app.gui.image_view.drawing.picture_item import MAX_OUTLINE_COLOURS
from app.gui.widgets.palette import OUTLINE, PICTURE
from reconstruction.cells.table import CellQuantity, CellTable

#: Colours of identities: they differ in lightness and hue, also with red-green colour blindness (Okabe and Ito, 2008).
IDENTITY_COLOURS: Final = ("#56b4e9", "#e69f00", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#7fb2ff", "#ffffff")
#: Colours that a quantity has from 0 to the largest value; dark ones would not be seen on a dark picture.
_DARKEST: Final = 70


class CellColour(StrEnum):
    """What the colour of an outline says; the value is what the operator reads."""

    ONE = "One colour"
    IDENTITY = "Identity"
    AREA = "Area"
    MEAN_PHASE = "Mean phase"
    OPTICAL_VOLUME = "Optical volume"
    DRY_MASS = "Dry mass"

    @property
    def quantity(self) -> CellQuantity | None:
        """The quantity that it shows; None where it shows none."""
        return {
            CellColour.AREA: CellQuantity.AREA,
            CellColour.MEAN_PHASE: CellQuantity.MEAN_PHASE,
            CellColour.OPTICAL_VOLUME: CellQuantity.OPTICAL_VOLUME,
            CellColour.DRY_MASS: CellQuantity.DRY_MASS,
        }.get(self)


@dataclass(frozen=True, kw_only=True)
class CellSizes:
    """Which cells are looked at, by their size.

    Parameters
    ----------
    smallest_um2, largest_um2 : float
        Area in square micrometres.
    """

    smallest_um2: float = 0.0
    largest_um2: float = math.inf

    def passes(self, cells: CellTable) -> NDArray[np.bool_]:
        """Return which cells have such a size, shape (n,); all of them where their size is not known."""
        area = cells.area_um2
        return np.isnan(area) | ((area >= self.smallest_um2) & (area <= self.largest_um2))


@dataclass(frozen=True, kw_only=True)
class CellLook:
    """How cells are marked.

    Parameters
    ----------
    colour : CellColour
        What the colour of an outline says.
    top : float
        The value with the brightest colour; the darkest one is that of 0.
    sizes : CellSizes
        Outlines of other cells are grey.
    has_numbers : bool
        Whether identities are written beside the cells.
    """

    colour: CellColour = CellColour.ONE
    top: float = 1.0
    sizes: CellSizes = CellSizes()
    has_numbers: bool = True


@dataclass(frozen=True)
class PictureText:
    """A short text on a picture.

    Parameters
    ----------
    place : QPointF
        Its middle, in pixels of the picture.
    text : str
        What is written.
    colour : str
        Its colour, as ``#rrggbb``.
    """

    place: QPointF
    text: str
    colour: str


def identity_colour(identity: int) -> str:
    """Return the colour of an identity, as ``#rrggbb``."""
    return IDENTITY_COLOURS[(identity - 1) % len(IDENTITY_COLOURS)]


def cell_colours(cells: CellTable, look: CellLook) -> NDArray[np.uint8]:
    """Return the colour of each cell, shape (n, 4): red, green, blue, opacity."""
    count = len(cells)
    colours = np.tile(_rgba(OUTLINE), (count, 1))
    quantity = look.colour.quantity
    if look.colour is CellColour.IDENTITY:
        table = np.array([_rgba(colour) for colour in IDENTITY_COLOURS], np.uint8)
        colours = table[(cells.identity - 1) % len(table)]
    elif quantity is not None:
        values = cells.values(quantity)
        part = np.clip(np.nan_to_num(values / look.top), 0, 1)
        steps = np.rint(_DARKEST + part * (255 - _DARKEST)).astype(np.intp)
        bright = colour_table(ColourMap.TURBO, 0.0, 1.0)[steps]
        colours[:, :3] = np.where(np.isnan(values)[:, None], _rgba(OUTLINE)[:3], bright)
    colours[~look.sizes.passes(cells)] = _rgba(PICTURE.faint)
    return colours


def outline_colours(cells: CellTable, look: CellLook) -> NDArray[np.uint8] | None:
    """Return the colours of outlines in the order of the labels' numbers, shape (m, 4).

    None, for one colour, without cells and where there are more of them than an outline can have colours.
    """
    if not len(cells) or int(cells.label.max()) > MAX_OUTLINE_COLOURS:
        return None
    table = np.tile(_rgba(OUTLINE), (int(cells.label.max()), 1))
    table[cells.label.astype(np.intp) - 1] = cell_colours(cells, look)
    return table


def cell_texts(cells: CellTable, look: CellLook) -> tuple[PictureText, ...]:
    """Return the identities of the cells of the chosen sizes, each in its cell."""
    if not look.has_numbers:
        return ()
    colours = cell_colours(cells, look)
    return tuple(
        # A pixel's centre is half a pixel from its corner, at which the picture begins.
        PictureText(
            QPointF(float(cells.x_px[k]) + 0.5, float(cells.y_px[k]) + 0.5),
            str(int(cells.identity[k])),
            QColor(*(int(part) for part in colours[k])).name(),
        )
        for k in np.flatnonzero(look.sizes.passes(cells) & (cells.identity > 0))
    )


def _rgba(colour: str) -> NDArray[np.uint8]:
    return np.array(QColor(colour).getRgb(), np.uint8)
