"""Whether a standard deviation is honest: how often the truth lies where it says.

A central interval of level p is ``phase +- z std`` with z the normal quantile of (1 + p) / 2. Over held-out pixels it should
hold the truth in a fraction p of cases (a reliability curve: nominal against observed).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Phase = NDArray[np.float32]

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
#: The level that is reported as one number, and that :func:`interval_scale` sets right.
LEVEL = 0.9


@dataclass(frozen=True, eq=False)
class Estimate:
    """A reconstruction with its standard deviation, and the truth; all (h, w), in radians."""

    phase_rad: Phase
    std_rad: Phase
    truth_rad: Phase


@dataclass(frozen=True)
class Reliability:
    """What intervals were worth.

    Parameters
    ----------
    nominal, observed : tuple of float
        Levels, and the fraction of pixels whose interval held the truth.
    coverage : float
        Observed at :data:`LEVEL`.
    width_rad : float
        Mean width of the intervals at :data:`LEVEL`.
    """

    nominal: tuple[float, ...]
    observed: tuple[float, ...]
    coverage: float
    width_rad: float


def reliability(estimates: Sequence[Estimate], mask: NDArray[np.bool_], scale: float = 1.0) -> Reliability:
    """Count over all pixels of the mask in all images.

    Parameters
    ----------
    estimates : sequence of Estimate
        Held-out images.
    mask : ndarray of bool, shape (h, w)
        Where the fibre sees.
    scale : float
        Factor on the standard deviations, from :func:`interval_scale`.

    Raises
    ------
    ValueError
        No image.
    """
    ratio, std = _ratios(estimates, mask)
    observed = tuple(float(np.mean(ratio <= _z(level) * scale)) for level in LEVELS)
    width = 2 * _z(LEVEL) * scale * float(std.mean())
    return Reliability(LEVELS, observed, observed[LEVELS.index(LEVEL)], width)


def interval_scale(estimates: Sequence[Estimate], mask: NDArray[np.bool_]) -> float:
    """Return the factor on the standard deviation with which 90 % intervals hold 90 % of the pixels.

    Conformal calibration by one number (Angelopoulos and Bates, "A gentle introduction to conformal prediction", 2021,
    section 2.3). For validation images only: taken from the images that are reported on, coverage would be right by itself.

    Raises
    ------
    ValueError
        No image.
    """
    ratio, _ = _ratios(estimates, mask)
    return float(np.quantile(ratio, LEVEL)) / _z(LEVEL)


def _ratios(estimates: Sequence[Estimate], mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Errors over their standard deviations, and those, of all pixels."""
    if not estimates:
        raise ValueError("no image to judge intervals by")
    std = np.concatenate([each.std_rad[mask] for each in estimates]).astype(np.float64)
    error = np.concatenate([np.abs(each.truth_rad - each.phase_rad)[mask] for each in estimates]).astype(np.float64)
    return error / np.maximum(std, 1e-9), std


def _z(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)
