"""Quantities of cells as the operator reads them: names, units, and numbers with their uncertainty."""

from __future__ import annotations

import math
from typing import Final

from app.gui.widgets.formatting import UNKNOWN
from reconstruction.cells.table import CellQuantity

_MICRO: Final = "\N{MICRO SIGN}m"
#: Name, unit and meaning of every quantity.
QUANTITIES: Final = {
    CellQuantity.AREA: ("Area", f"{_MICRO}\N{SUPERSCRIPT TWO}", "Area of the cell's outline"),
    CellQuantity.MEAN_PHASE: ("Phase", "rad", "Mean phase above the background, which is the median of a ring around the cell"),
    CellQuantity.OPTICAL_VOLUME: (
        "Volume",
        f"{_MICRO}\N{SUPERSCRIPT THREE}",
        "Optical volume: optical path difference summed over the cell and its blurred edge. It needs wavelength_um in the "
        "instrument file",
    ),
    CellQuantity.DRY_MASS: (
        "Mass",
        "pg",
        "Dry mass: optical volume over the refractive increment. It needs refractive_increment_um3_per_pg in the "
        "instrument file",
    ),
}


def heading(quantity: CellQuantity) -> str:
    """Return name and unit of a quantity: ``Area / um2``."""
    name, unit, _ = QUANTITIES[quantity]
    return f"{name} / {unit}"


def narrow_heading(quantity: CellQuantity) -> str:
    """Return name and unit of a quantity in two lines."""
    name, unit, _ = QUANTITIES[quantity]
    return f"{name}\n{unit}"


def value_text(value: float, std: float = math.nan) -> str:
    """Write a number with its standard deviation, both down to the first digit of this, or the second after a 1.

    An unknown number is a dash.
    """
    if not math.isfinite(value):
        return UNKNOWN
    if not (math.isfinite(std) and std > 0):
        return _short(value)
    place = math.floor(math.log10(std))
    decimals = max(0, (1 if std < 2 * 10.0**place else 0) - place)
    return f"{value:.{decimals}f} ± {std:.{decimals}f}"


def _short(value: float) -> str:
    """Write a number with three digits, without an exponent."""
    size = abs(value)
    decimals = 2 if size == 0 else max(0, 2 - math.floor(math.log10(size)))
    return f"{value:.{decimals}f}"
