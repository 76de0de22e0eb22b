"""The measurements of all cells of one frame, one row for each cell."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from drivers.base import frozen_array


@dataclass(frozen=True, kw_only=True)
class CellScale:
    """What turns pixels and radians into lengths, volumes and masses; None where nobody has stated it.

    Parameters
    ----------
    pixel_um : float, optional
        Side of a pixel of the phase's grid, in micrometres.
    wavelength_um : float, optional
        Wavelength of the light in micrometres.
    refractive_increment_um3_per_pg : float, optional
        How much the refractive index rises with the concentration of dry matter, in cubic micrometres per picogram.
    """

    pixel_um: float | None = None
    wavelength_um: float | None = None
    refractive_increment_um3_per_pg: float | None = None


class CellQuantity(StrEnum):
    """A measured quantity; its value is the name of its column."""

    AREA = "area_um2"
    MEAN_PHASE = "mean_phase_rad"
    OPTICAL_VOLUME = "optical_volume_um3"
    DRY_MASS = "dry_mass_pg"


@dataclass(frozen=True, kw_only=True)
class CellTable:
    """The cells of one frame; every column has one value for each cell, in the order of the labels.

    NaN stands for what is not known. Standard deviations are those of random errors alone: what every cell shares, such as a
    wrong wavelength or a model that makes all phases too small, is not in them.

    Parameters
    ----------
    label : ndarray of uint16
        Number of the cell in the labels of its frame.
    identity : ndarray of int32
        The same number for the same cell in every frame, from 1; 0 where nobody has followed it.
    area_px : ndarray of int32
        Pixels.
    area_um2 : ndarray of float64
        Area in square micrometres.
    x_px, y_px : ndarray of float64
        Centroid in pixels of the phase's grid; the centre of the first pixel is at 0.
    background_rad : ndarray of float64
        Phase beside the cell in radians; everything else is measured above it.
    mean_phase_rad, mean_phase_std_rad : ndarray of float64
        Mean phase above the background in radians, and its standard deviation.
    optical_volume_um3, optical_volume_std_um3 : ndarray of float64
        Optical path difference summed over the cell and its blurred edge, in cubic micrometres, and its standard deviation.
    dry_mass_pg, dry_mass_std_pg : ndarray of float64
        Dry mass in picograms, and its standard deviation.
    is_cut : ndarray of bool
        Whether the edge of the field cuts the cell off, so that area, volume and mass are those of a part.
    correlated_px : float
        How many pixels carry the same random error: 1 for independent pixels.
    is_least_std : bool
        Whether the standard deviations are lower bounds: those of the noise beside the cells, where no model states more.
    """

    label: NDArray[np.uint16]
    identity: NDArray[np.int32]
    area_px: NDArray[np.int32]
    area_um2: NDArray[np.float64]
    x_px: NDArray[np.float64]
    y_px: NDArray[np.float64]
    background_rad: NDArray[np.float64]
    mean_phase_rad: NDArray[np.float64]
    mean_phase_std_rad: NDArray[np.float64]
    optical_volume_um3: NDArray[np.float64]
    optical_volume_std_um3: NDArray[np.float64]
    dry_mass_pg: NDArray[np.float64]
    dry_mass_std_pg: NDArray[np.float64]
    is_cut: NDArray[np.bool_]
    correlated_px: float = field(default=np.nan)
    is_least_std: bool = False

    def __post_init__(self) -> None:
        for name, column in self.columns().items():
            object.__setattr__(self, name, frozen_array(column))

    def __len__(self) -> int:
        return len(self.label)

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """Return every column by its name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}

    def values(self, quantity: CellQuantity) -> NDArray[np.float64]:
        """Return the column of a quantity."""
        return np.asarray(getattr(self, quantity.value), np.float64)

    def std(self, quantity: CellQuantity) -> NDArray[np.float64]:
        """Return the standard deviations of a quantity; NaN for areas, whose error depends on the segmenter."""
        name = {
            CellQuantity.MEAN_PHASE: "mean_phase_std_rad",
            CellQuantity.OPTICAL_VOLUME: "optical_volume_std_um3",
            CellQuantity.DRY_MASS: "dry_mass_std_pg",
        }.get(quantity)
        return np.full(len(self), np.nan) if name is None else np.asarray(getattr(self, name), np.float64)

    def with_identities(self, identities: NDArray[np.int32]) -> Self:
        """Return the same measurements with an identity for each cell."""
        return replace(self, identity=identities)
