"""Conversion of phase to 8-bit grey levels: correction, wrap, and the panel's calibrated look-up table (LUT).

This is the only place where it happens. The rest of the program uses phase in radians; SLM drivers send grey levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from drivers.base import WrongPatternError, frozen_array

_LEVELS = 256
# A table over the circle replaces a search for every pixel. A step is 1e-4 rad, far smaller than a grey level of any panel,
# and a 16-bit index wraps by itself.
_STEPS = 1 << 16
_STEP_RAD = 2 * np.pi / _STEPS
# Decimals of a turn at which two levels count as the same phase.
_SAME_TURNS = 7
# An image is converted in pieces of this many pixels, so that the intermediate values stay in the processor's cache.
_PIECE = 1 << 16


@dataclass(frozen=True, eq=False)
class GreyLut:
    """The phase that a panel gives at each grey level, calibrated at the laser's wavelength.

    Parameters
    ----------
    phases_rad : array_like of float, shape (256,)
        Phase of each grey level in radians; it must not decrease. Only differences matter, and they may exceed 2 pi. They are
        kept relative to level 0: the same phase added to every pixel changes nothing.

    Raises
    ------
    ValueError
        The phases are not 256 finite numbers that rise by at most 8 pi.
    """

    phases_rad: NDArray[np.float64]

    def __post_init__(self) -> None:
        phases = np.array(self.phases_rad, dtype=np.float64)
        if phases.shape != (_LEVELS,):
            raise ValueError(f"a grey LUT must have one phase for each of 256 levels, got shape {phases.shape}")
        if not np.isfinite(phases).all():
            raise ValueError("a grey LUT must be finite; calibrate it again or interpolate the missing levels")
        decreases = np.flatnonzero(np.diff(phases) < 0)
        if decreases.size:
            raise ValueError(
                f"a grey LUT must not decrease, but it does after level {decreases[0]}; smooth or unwrap the calibration"
            )
        slm_range_rad = phases[-1] - phases[0]
        if not 0 < slm_range_rad <= 8 * np.pi:
            raise ValueError(
                f"a grey LUT must rise by more than 0 and at most 8 pi rad, got {slm_range_rad:.6g}; give radians, not degrees"
            )
        object.__setattr__(self, "phases_rad", frozen_array(phases - phases[0]))

    @classmethod
    def linear(cls, slm_range_rad: float = 2 * np.pi) -> Self:
        """Return the LUT of a linear panel; level 255 gives ``slm_range_rad`` more phase than level 0."""
        return cls.gamma(1.0, slm_range_rad)

    @classmethod
    def gamma(cls, gamma: float, slm_range_rad: float = 2 * np.pi) -> Self:
        """Return the LUT of a panel whose phase is ``(grey / 255)**gamma * slm_range_rad``."""
        if not gamma > 0:
            raise ValueError(f"gamma of a grey LUT must be positive, got {gamma}")
        return cls((np.arange(_LEVELS) / (_LEVELS - 1)) ** gamma * slm_range_rad)

    @cached_property
    def _table(self) -> NDArray[np.uint8]:
        """Grey level with the nearest phase, for the middle of each step of the circle."""
        # Of several levels with the same phase np.unique keeps the lowest, which needs the weakest field in the liquid crystal.
        # Rounded first: level 200 with 2 pi, up to a rounding error, has the same phase as level 0.
        turns = np.round(self.phases_rad / (2 * np.pi), _SAME_TURNS)
        around, level = np.unique(2 * np.pi * np.mod(turns, 1), return_index=True)
        # Add the neighbours across phase 0, so that the circle is closed.
        around = np.concatenate([around[-1:] - 2 * np.pi, around, around[:1] + 2 * np.pi])
        level = np.concatenate([level[-1:], level, level[:1]])
        middles = (around[1:] + around[:-1]) / 2
        step_middles = (np.arange(_STEPS) + 0.5) * _STEP_RAD
        return level[np.searchsorted(middles, step_middles)].astype(np.uint8)

    def grey(self, turns: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the levels with the nearest phases on the circle, to within 1e-4 rad.

        Parameters
        ----------
        turns : ndarray of float32
            Requested phase divided by 2 pi; any finite value.

        Returns
        -------
        ndarray of uint8
            Of the same shape.
        """
        fraction = turns - np.floor(turns)
        # The fraction of a number just below 0 rounds to 1; the mask turns that step into step 0.
        step = (fraction * np.float32(_STEPS)).astype(np.int32) & (_STEPS - 1)
        return self._table.take(step)

    def phase_of(self, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the phase in radians that the panel gives at these grey levels, of the same shape."""
        return self.phases_rad.astype(np.float32)[grey]


class GreyEncoder:
    """Converts phase images to grey images for one panel.

    Parameters
    ----------
    lut : GreyLut
        Phase of the panel at each grey level.
    correction_rad : ndarray of float32, shape (H, W), optional
        Added to every phase image: the negative of the wavefront error of the panel and the relay optics.

    Raises
    ------
    ValueError
        The correction is not a finite (H, W) float32 image.
    """

    def __init__(self, lut: GreyLut, correction_rad: NDArray[np.float32] | None = None) -> None:
        self.lut = lut
        self.correction_rad: NDArray[np.float32] | None = None
        self._correction_turns: NDArray[np.float32] | None = None
        if correction_rad is not None:
            if correction_rad.ndim != 2 or correction_rad.dtype != np.float32:
                raise ValueError(f"a correction must be (H, W) float32 rad, got {correction_rad.shape} {correction_rad.dtype}")
            if not np.isfinite(correction_rad).all():
                raise ValueError("a correction must be finite; use 0 where the wavefront was not measured")
            self.correction_rad = correction_rad.copy()
            self.correction_rad.flags.writeable = False
            turns = self.correction_rad.astype(np.float64) / (2 * np.pi)
            self._correction_turns = (turns - np.floor(turns)).astype(np.float32)

    def __call__(self, phase_rad: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the grey image for a phase image.

        Parameters
        ----------
        phase_rad : ndarray of float32, shape (H, W)
            Any finite phase in radians; it need not be wrapped.

        Returns
        -------
        ndarray of uint8, shape (H, W)
            The levels with the nearest phases on the circle.

        Raises
        ------
        WrongPatternError
            The phase is not a finite float32 image, or does not have the correction's shape.
        """
        if phase_rad.ndim != 2 or phase_rad.dtype != np.float32:
            raise WrongPatternError(f"a phase image must be (H, W) float32 radians, got {phase_rad.shape} {phase_rad.dtype}")
        correction = self._correction_turns
        if correction is not None and correction.shape != phase_rad.shape:
            raise WrongPatternError(
                f"the phase has the shape {phase_rad.shape}, the correction {correction.shape}; resize one of them"
            )
        grey = np.empty(phase_rad.shape, np.uint8)
        rows = max(1, _PIECE // max(1, phase_rad.shape[1]))
        for top in range(0, phase_rad.shape[0], rows):
            piece = slice(top, top + rows)
            turns = phase_rad[piece] * np.float32(1 / (2 * np.pi))
            if correction is not None:
                turns += correction[piece]
            if not np.isfinite(turns).all():
                raise WrongPatternError(f"the phase is not finite near row {top}; check where it was computed")
            grey[piece] = self.lut.grey(turns)
        return grey

    def phase_of(self, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the phase in radians that a grey image stands for: the panel's phase minus the correction."""
        phase = self.lut.phase_of(grey)
        return phase if self.correction_rad is None else phase - self.correction_rad
