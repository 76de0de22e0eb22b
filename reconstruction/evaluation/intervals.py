"""Reliability of a standard deviation: how often the truth lies inside the predicted interval.

The central interval of level p is ``phase +- z std``, where z is the normal quantile of (1 + p) / 2. It should contain the
truth for a fraction p of the held-out pixels. The observed fraction against p is the reliability curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Phase = NDArray[np.float32]

#: Levels of the reliability curve.
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
#: The level that is reported as one number, and for which :func:`interval_scale` corrects the intervals.
LEVEL = 0.9


@dataclass(frozen=True, eq=False)
class Estimate:
    """A reconstruction, its standard deviation and the truth, each (h, w) in radians."""

    phase_rad: Phase
    std_rad: Phase
    truth_rad: Phase


@dataclass(frozen=True)
class Reliability:
    """Reliability of the intervals.

    Parameters
    ----------
    nominal, observed : tuple of float
        Levels, and the fraction of pixels whose interval contains the truth.
    coverage : float
        Observed fraction at :data:`LEVEL`.
    width_rad : float
        Mean width of the intervals at :data:`LEVEL`.
    """

    nominal: tuple[float, ...]
    observed: tuple[float, ...]
    coverage: float
    width_rad: float


def reliability(estimates: Sequence[Estimate], mask: NDArray[np.bool_], scale: float = 1.0) -> Reliability:
    """Measure the reliability over all pixels of the mask in all images.

    Parameters
    ----------
    estimates : sequence of Estimate
        Held-out images.
    mask : ndarray of bool, shape (h, w)
        The fibre's disc.
    scale : float
        Factor on the standard deviations, from :func:`interval_scale`.

    Raises
    ------
    ValueError
        There is no image.
    """
    ratio, std = _ratios(estimates, mask)
    observed = tuple(float(np.mean(ratio <= _z(level) * scale)) for level in LEVELS)
    width = 2 * _z(LEVEL) * scale * float(std.mean())
    return Reliability(LEVELS, observed, observed[LEVELS.index(LEVEL)], width)


def interval_scale(estimates: Sequence[Estimate], mask: NDArray[np.bool_]) -> float:
    """Return the factor on the standard deviation for which 90 % intervals contain the truth for 90 % of the pixels.

    This is conformal calibration with one number (Angelopoulos and Bates, "A gentle introduction to conformal prediction",
    2021, section 2.3). Use validation images only. With the images of the report, the coverage would be correct by
    construction.

    Raises
    ------
    ValueError
        There is no image.
    """
    ratio, _ = _ratios(estimates, mask)
    return float(np.quantile(ratio, LEVEL)) / _z(LEVEL)


def _ratios(estimates: Sequence[Estimate], mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return errors divided by their standard deviations, and the standard deviations, of all pixels."""
    if not estimates:
        raise ValueError("there is no image to evaluate intervals with")
    std = np.concatenate([each.std_rad[mask] for each in estimates]).astype(np.float64)
    error = np.concatenate([np.abs(each.truth_rad - each.phase_rad)[mask] for each in estimates]).astype(np.float64)
    return error / np.maximum(std, 1e-9), std


def _z(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)
