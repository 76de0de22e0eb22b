"""Gain and read noise from pairs of frames: the photon transfer curve (EMVA 1288), for speckle.

Two frames of one pattern differ by noise: half the variance of the difference is ``read^2 + gain * mean``. A speckle offers all
levels in one pair, but it also changes a little from shot to shot, and that noise, far larger than the photons', grows as
``level * field mean``: in one pair it looks exactly like shot noise. Two things tell them apart. Grains are wider than pixels,
photons are not: a high-pass filter (Immerkaer, Comput. Vis. Image Underst. 64, 300, 1996) keeps the whole of the white noise
and a tenth of the speckle's. And pixels of one relative brightness are followed over exposures, where the speckle's part grows
as the square of the mean: each class of brightness has a quadratic term of its own, all share gain and read noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from calibration.stored import CalibrationError

Floats = NDArray[np.float64]

_LAPLACE = np.outer([1, -2, 1], [1, -2, 1]) / 6.0
#: Edges of the classes of brightness, in units of the field's mean.
_CLASSES = np.geomspace(0.5, 3.5, 7)
#: A class is left out of a pair when more of its pixels than this touch zero or full scale, or when it is smaller than that.
_MAX_CLIPPED = 0.01
_MIN_PIXELS = 200
_MIN_POINTS = 16
#: Pixels of a grain share the speckle's noise, which makes its variance less certain than white noise's by this factor.
_GRAIN = 5.0
_MAX_ERROR = 0.2
#: Variance of rounding to whole counts.
_ROUNDING = 1 / 12


@dataclass(frozen=True)
class PhotonTransfer:
    """The curve and what it says.

    Parameters
    ----------
    counts_per_e, counts_per_e_error : float
        System gain, and its standard error.
    read_variance, read_variance_error : float
        Variance of a dark pixel without rounding, in counts squared; noise may make it negative.
    mean_counts, variance, fitted : ndarray of float64, shape (N,)
        The points, offset and rounding taken away, and the variance that the fit gives them.
    speckle : ndarray of float64, shape (6,)
        Quadratic term of each class of brightness; a class that was never seen has 0.
    """

    counts_per_e: float
    counts_per_e_error: float
    read_variance: float
    read_variance_error: float
    mean_counts: Floats
    variance: Floats
    fitted: Floats
    speckle: Floats

    @property
    def e_per_count(self) -> float:
        """Photo-electrons per count."""
        return 1 / self.counts_per_e

    @property
    def read_noise_e(self) -> float:
        """Read noise in electrons; 0 where it is lost in the rounding."""
        return math.sqrt(max(self.read_variance, 0.0)) / self.counts_per_e

    @property
    def read_noise_error_e(self) -> float:
        """Its standard error: an upper limit where the noise itself is 0."""
        error = self.read_variance_error
        return min(math.sqrt(error), error / (2 * math.sqrt(max(self.read_variance, 1e-12)))) / self.counts_per_e


def photon_transfer(
    frames: NDArray[Any], full_scale: int, offset_counts: float, usable: NDArray[np.bool_] | None = None
) -> PhotonTransfer:
    """Fit gain and read noise.

    Parameters
    ----------
    frames : ndarray, shape (E, F, H, W)
        F frames, an even number, of one pattern at each of E exposures, in raw counts.
    full_scale : int
        Count at which the camera saturates.
    offset_counts : float
        Mean count without light.
    usable : ndarray of bool, shape (H, W), optional
        Pixels that follow the light.

    Raises
    ------
    CalibrationError
        Too few points lie between darkness and saturation, or the variance does not rise as that of photons does.
    """
    weights = _LAPLACE**2
    relative = np.mean([mean / max(float(mean.mean()), 1e-9) for mean in frames.mean(axis=1) - offset_counts], axis=0)
    group = np.digitize(ndimage.correlate(relative, weights), _CLASSES) - 1
    if usable is not None:
        group[ndimage.binary_dilation(~usable, np.ones((3, 3)))] = -1
    pairs = [pair for shots in frames for pair in zip(shots[::2], shots[1::2], strict=True)]
    points = [
        (number, *point)
        for number, (first, second) in enumerate(pairs)
        for point in _points(first, second, group, full_scale, offset_counts)
    ]
    if len(points) < _MIN_POINTS:
        raise CalibrationError(
            f"{len(points)} points of the photon transfer curve lie between darkness and saturation, {_MIN_POINTS} are needed; "
            "check light and exposure"
        )
    pair, label, pixels, mean, variance = np.array(points).T
    squares = (label[:, None] == np.arange(len(_CLASSES) - 1)) * mean[:, None] ** 2
    design = np.column_stack([np.ones_like(mean), mean, squares])
    sigma = np.abs(variance) + _ROUNDING
    # What is measured may not weigh itself: a variance that came out low by chance would count for more.
    for _ in range(4):
        weight = np.sqrt(pixels / 2) / sigma
        solution = np.linalg.lstsq(design * weight[:, None], variance * weight, rcond=None)[0]
        fitted = design @ solution
        sigma = np.sqrt((np.maximum(fitted, 0) + _ROUNDING) ** 2 + _GRAIN * (squares @ solution[2:]) ** 2)
    # All classes of a pair share one change of the speckle, so that only pairs are independent.
    weighted = (design * weight[:, None])[:, solution != 0]
    pull = np.stack([((variance - fitted) * weight)[pair == each] @ weighted[pair == each] for each in np.unique(pair)])
    inverse = np.linalg.inv(weighted.T @ weighted)
    few = len(pull) / max(len(pull) - weighted.shape[1], 1)
    error = np.sqrt(np.maximum(np.diag(inverse @ (pull.T @ pull) @ inverse) * few, np.diag(inverse)))
    gain = float(solution[1])
    if gain <= 0 or error[1] > _MAX_ERROR * gain:
        raise CalibrationError(
            f"the variance rises by {gain:.2g} +- {error[1]:.2g} per count, an error of {100 * _MAX_ERROR:.0f} % is allowed; "
            "switch off what the camera does to its pixels, use its most bits, and keep light and fibre still"
        )
    return PhotonTransfer(
        gain, float(error[1]), float(solution[0]), float(error[0]), mean, variance, fitted, np.asarray(solution[2:])
    )


def _points(
    first: NDArray[Any], second: NDArray[Any], group: NDArray[np.int64], full_scale: int, offset_counts: float
) -> list[tuple[int, int, float, float]]:
    """Return class, pixels, mean and variance of every class that a pair shows between darkness and saturation."""
    one, other = first.astype(np.float64), second.astype(np.float64)
    noise = ndimage.correlate(one - other, _LAPLACE)
    mean = ndimage.correlate((one + other) / 2 - offset_counts, _LAPLACE**2)
    clipped = (np.minimum(one, other) <= 0) | (np.maximum(one, other) >= full_scale)
    clipped = ndimage.binary_dilation(clipped, np.ones((3, 3)))
    found = []
    for label in range(len(_CLASSES) - 1):
        inside = group == label
        pixels = int(inside.sum())
        if pixels < _MIN_PIXELS or clipped[inside].mean() > _MAX_CLIPPED:
            continue
        inside &= ~clipped
        variance = float(np.mean(noise[inside] ** 2)) / 2 - _ROUNDING
        found.append((label, pixels, float(mean[inside].mean()), variance))
    return found
