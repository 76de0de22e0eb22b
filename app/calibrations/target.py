"""What is calibrated: the open instrument, as far as a calibration and its verdict depend on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.instrument.config import InstrumentConfig
from app.instrument.devices import panel_of
from drivers.base import SlmCapabilities

#: Folder of the calibrations of an instrument, inside its archive.
CALIBRATIONS = "calibrations"


@dataclass(frozen=True, kw_only=True)
class CalibrationTarget:
    """The open instrument.

    Parameters
    ----------
    config : InstrumentConfig
        Its settings.
    fibre : str
        Name of its fibre.
    devices : mapping of str to str
        Its devices, see :func:`calibration.stored.devices_of`.
    display : SlmCapabilities, optional
        What the SLM declares; None without an SLM.
    exposure_s : float
        Present exposure in seconds.
    frame_s : float
        Time of a frame in seconds: exposure and readout.
    """

    config: InstrumentConfig
    fibre: str
    devices: Mapping[str, str]
    display: SlmCapabilities | None
    exposure_s: float
    frame_s: float

    @property
    def root(self) -> Path:
        """Folder of the calibrations of this instrument."""
        return self.config.archive.absolute() / CALIBRATIONS

    @property
    def settled_s(self) -> float:
        """Time from the request for a pattern to settled light, as the SLM declares it, in seconds; 0 without an SLM."""
        return self.display.latency_s + self.display.settle_s if self.display is not None else 0.0


def present_response(config: InstrumentConfig) -> NDArray[np.float64]:
    """Return the phase that the configured driver assumes for each grey level, (256,) in radians.

    Raises
    ------
    SpeckleScopeError
        The configured look-up table cannot be read.
    """
    if config.on_twin:
        twin = config.twin.slm
        return (np.arange(256) / 255) ** twin.assumed_lut_gamma * twin.slm_range_rad
    return panel_of(config).encoder.lut.phases_rad
