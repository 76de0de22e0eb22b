"""A fibre's measured response: what every core makes of the light it gets, ready for retrieval and for the disk."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from calibration.stored import CalibrationError, Stored
from drivers.base import frozen_array
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig

KIND = "fibre response"
_ARRAYS = ("core_phase_rad", "core_gain", "coupling")
_NUMBERS = ("background", "probe_patterns", "correlation", "weakest", "ceiling")


@dataclass(frozen=True, eq=False)
class FibreResponse:
    """What self-calibration found. One phase that all cores and modes share is unknown, and without effect.

    Parameters
    ----------
    config : OpticsConfig
        The structure it holds for: where the cores lie, and the optics around them.
    core_phase_rad, core_gain : ndarray of float32, shape (modes, cores)
        Phase and amplitude; the square of the gain is in counts per second.
    coupling : ndarray of complex64, shape (modes, cores, k)
        What every core has from its neighbours, itself first with a phase of 0, every row of unit power.
    background : float
        Counts per second that carry no speckle.
    probe_patterns : int
        How many were fitted.
    correlation, weakest : float
        Of predicted and seen intensity, on the probes that were left out of the fit: of the field, and of its worst tile.
    ceiling : float
        What it would be with the true response, as far as the repeats of those probes tell.
    """

    config: OpticsConfig
    core_phase_rad: NDArray[np.float32]
    core_gain: NDArray[np.float32]
    coupling: NDArray[np.complex64]
    background: float
    probe_patterns: int
    correlation: float = 0.0
    weakest: float = 0.0
    ceiling: float = 1.0

    def __post_init__(self) -> None:
        for name in _ARRAYS:
            object.__setattr__(self, name, frozen_array(getattr(self, name)))

    @property
    def id(self) -> str:
        """First 12 hexadecimal digits of SHA-256 over the cores' phases and gains."""
        return hashlib.sha256(self.core_phase_rad.tobytes() + self.core_gain.tobytes()).hexdigest()[:12]

    @property
    def quality(self) -> float:
        """Correlation over its ceiling: 1 is as good as shot-to-shot noise lets anybody see."""
        return self.correlation / self.ceiling

    @property
    def core_noise_rad(self) -> float:
        """Phase noise of a core in one shot, rms, as it follows from the ceiling when nothing else limits that."""
        return math.sqrt(max(0.0, -math.log(min(1.0, self.ceiling))))

    def transmission(self) -> NDArray[np.complex64]:
        """Complex amplitude of every core's light from each neighbour, (modes, cores, k): all three arrays in one."""
        response = self.core_gain * np.exp(1j * self.core_phase_rad)
        return np.asarray(response[..., None] * self.coupling, np.complex64)

    def optics(self, device: torch.device | str = "cpu") -> FibreOptics:
        """Return a model of this fibre; its intensity is in counts per second, without the background."""
        phase, gain, coupling = (torch.tensor(getattr(self, name), device=device) for name in _ARRAYS)
        return FibreOptics(self.config, device).with_response(gain, phase, coupling)

    def stored(self, devices: Mapping[str, str]) -> Stored:
        """Return it as :func:`calibration.stored.save` takes it."""
        values = {"optics": asdict(self.config)} | {name: getattr(self, name) for name in _NUMBERS}
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        # Half precision, real and imaginary parts side by side: 1 in 2000 of a coefficient is far below what a fit knows.
        arrays["coupling"] = np.ascontiguousarray(self.coupling).view(np.float32).astype(np.float16)
        return Stored(KIND, devices, values, arrays)

    @classmethod
    def from_stored(cls, stored: Stored) -> FibreResponse:
        """Read it back.

        Raises
        ------
        CalibrationError
            Something is missing or does not fit.
        """
        try:
            optics: dict[str, Any] = dict(stored.values["optics"])
            optics = {key: tuple(value) if isinstance(value, list) else value for key, value in optics.items()}
            numbers: dict[str, Any] = {name: stored.values[name] for name in _NUMBERS}
            phase, gain, coupling = (stored.arrays[name] for name in _ARRAYS)
            if coupling.dtype == np.float16:
                coupling = np.ascontiguousarray(coupling, np.float32).view(np.complex64)
            return cls(OpticsConfig(**optics), phase, gain, coupling, **numbers)
        except (KeyError, TypeError, ValueError) as error:
            raise CalibrationError(f"the stored fibre response lacks or spoils {error}; calibrate again") from error


def from_transmission(
    config: OpticsConfig, transmission: NDArray[np.complex64], background: float, probe_patterns: int
) -> FibreResponse:
    """Split transmissions (modes, cores, k) into gain, phase and rows of unit power."""
    gain = np.linalg.norm(transmission, axis=-1)
    phase = np.angle(transmission[..., 0])
    rows = transmission / np.maximum(gain, 1e-12)[..., None] * np.exp(-1j * phase)[..., None]
    arrays = phase.astype(np.float32), gain.astype(np.float32), rows.astype(np.complex64)
    return FibreResponse(config, *arrays, background, probe_patterns)
