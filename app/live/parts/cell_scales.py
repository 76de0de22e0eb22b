"""What is known of pixel, light and dry matter where cells are measured."""

from __future__ import annotations

from typing import Protocol

from app.instrument.config import InstrumentConfig
from app.status import LiveView
from reconstruction.cells.table import CellScale


class PixelSource(Protocol):
    """An instrument whose camera may bin its pixels."""

    @property
    def config(self) -> InstrumentConfig:
        """The instrument."""

    @property
    def pixel_um(self) -> float:
        """Size of a pixel of the frames at the fibre's facet, in micrometres; any thread may ask."""


class CellScales:
    """The scale of the cells of each view.

    Parameters
    ----------
    instrument : PixelSource
        Where the frames come from.
    """

    def __init__(self, instrument: PixelSource) -> None:
        self._instrument = instrument

    def of(self, view: LiveView) -> CellScale:
        """Return the scale of a view; its phase covers the whole frame."""
        config, reconstruction = self._instrument.config, view.reconstruction
        columns = reconstruction.phase_rad.shape[1] if reconstruction is not None else view.frame.shape[1]
        return CellScale(
            pixel_um=self._instrument.pixel_um * view.frame.shape[1] / columns,
            wavelength_um=config.light_wavelength_um,
            refractive_increment_um3_per_pg=config.refractive_increment_um3_per_pg,
        )
