"""The complex response of a fibre: how every core transmits light. It is used by phase retrieval and stored on disk."""

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


@dataclass(frozen=True, eq=False, kw_only=True)
class FibreResponse:
    """Result of a self-calibration. One phase that all cores and modes share is unknown and has no effect.

    Parameters
    ----------
    config : OpticsConfig
        Structure of the fibre: where the cores lie, and the optics around them.
    core_phase_rad, core_gain : ndarray of float32, shape (modes, cores)
        Phase and amplitude of every core; the square of the gain is in counts per second.
    coupling : ndarray of complex64, shape (modes, cores, k)
        Relative amplitude that every core receives from its k neighbours. The core itself comes first, with phase 0; every row
        has unit power.
    background : float
        Intensity without speckle, in counts per second.
    probe_patterns : int
        Number of probe patterns in the fit.
    correlation, weakest : float
        Correlation of predicted and measured intensity on the held-out probe patterns: over the field, and in its worst tile.
    ceiling : float
        Correlation that the true response would reach, estimated from the repeated frames of the held-out probe patterns.
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
        """Correlation divided by its ceiling; 1 is as good as the noise from shot to shot allows."""
        return self.correlation / self.ceiling

    @property
    def core_noise_rad(self) -> float:
        """Root-mean-square phase noise of a core in one shot; follows from the ceiling if nothing else limits it."""
        return math.sqrt(max(0.0, -math.log(min(1.0, self.ceiling))))

    def transmission(self) -> NDArray[np.complex64]:
        """Return the complex amplitude of every core's light from each neighbour, (modes, cores, k)."""
        response = self.core_gain * np.exp(1j * self.core_phase_rad)
        return np.asarray(response[..., None] * self.coupling, np.complex64)

    def optics(self, device: torch.device | str = "cpu") -> FibreOptics:
        """Return a model of this fibre. Its intensity is in counts per second, without the background."""
        phase, gain, coupling = (torch.tensor(getattr(self, name), device=device) for name in _ARRAYS)
        try:
            return FibreOptics(self.config, device).with_response(gain, phase, coupling)
        except ValueError as error:
            raise CalibrationError(f"the fibre response does not fit its optics ({error}); calibrate again") from error

    def stored(self, devices: Mapping[str, str]) -> Stored:
        """Return the response in the form that :func:`calibration.stored.save` writes."""
        values = {"optics": asdict(self.config)} | {name: getattr(self, name) for name in _NUMBERS}
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        # Half precision, with real and imaginary parts side by side: its error of 1 in 2000 is far below the error of a fit.
        arrays["coupling"] = np.ascontiguousarray(self.coupling).view(np.float32).astype(np.float16)
        return Stored(KIND, devices, values, arrays)

    @classmethod
    def from_stored(cls, stored: Stored) -> FibreResponse:
        """Return the response of a stored calibration.

        Raises
        ------
        CalibrationError
            A value is missing or has the wrong type or shape.
        """
        try:
            optics: dict[str, Any] = dict(stored.values["optics"])
            optics = {key: tuple(value) if isinstance(value, list) else value for key, value in optics.items()}
            numbers: dict[str, Any] = {name: stored.values[name] for name in _NUMBERS}
            phase, gain, coupling = (stored.arrays[name] for name in _ARRAYS)
            if coupling.dtype == np.float16:
                coupling = np.ascontiguousarray(coupling, np.float32).view(np.complex64)
            config = OpticsConfig(**optics)
            _check(numbers, phase, gain, coupling)
            return cls(
                config=config,
                core_phase_rad=np.asarray(phase, np.float32),
                core_gain=np.asarray(gain, np.float32),
                coupling=np.asarray(coupling, np.complex64),
                **numbers,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CalibrationError(f"the stored fibre response is incomplete or damaged: {error}; calibrate again") from error


def _check(numbers: Mapping[str, Any], phase: NDArray[Any], gain: NDArray[Any], coupling: NDArray[Any]) -> None:
    """Raise ValueError unless the numbers and arrays are those of a response."""
    for name, value in numbers.items():
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{name} is {value!r}, not a finite number")
    if numbers["ceiling"] <= 0:
        raise ValueError(f"ceiling is {numbers['ceiling']}, it must be more than 0")
    kinds = {"core_phase_rad": (phase, np.floating, 2), "core_gain": (gain, np.floating, 2)}
    for name, (array, kind, axes) in {**kinds, "coupling": (coupling, np.complexfloating, 3)}.items():
        if not np.issubdtype(array.dtype, kind) or array.ndim != axes or not np.isfinite(array).all():
            raise ValueError(f"{name} is {array.dtype} {array.shape}, not finite numbers of {axes} axes")


def from_transmission(
    config: OpticsConfig, transmission: NDArray[np.complex64], background: float, probe_patterns: int
) -> FibreResponse:
    """Split transmissions (modes, cores, k) into gains, phases and coupling rows of unit power."""
    gain = np.linalg.norm(transmission, axis=-1)
    phase = np.angle(transmission[..., 0])
    rows = transmission / np.maximum(gain, 1e-12)[..., None] * np.exp(-1j * phase)[..., None]
    return FibreResponse(
        config=config,
        core_phase_rad=phase.astype(np.float32),
        core_gain=gain.astype(np.float32),
        coupling=rows.astype(np.complex64),
        background=background,
        probe_patterns=probe_patterns,
    )
