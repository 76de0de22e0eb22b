"""Gain and read noise from pairs of frames: the photon transfer curve (EMVA 1288), adapted to speckle.

Two frames of one pattern differ by noise: half the variance of the difference is ``read^2 + gain * mean``. A speckle contains
all grey levels in one pair. But the speckle also changes a little from shot to shot. This speckle noise is much larger than the
photon noise and grows as ``level * field mean``, so in a single pair it looks exactly like photon noise. Two properties
separate the two:

* Speckle grains are wider than pixels, photon noise is white. A high-pass filter (Immerkaer, Comput. Vis. Image Underst. 64,
  300, 1996) keeps all of the white noise and a tenth of the speckle noise.
* At a fixed relative brightness, the variance of the speckle noise grows as the square of the mean when the exposure changes.
  Pixels are therefore sorted into classes of relative brightness. Each class has its own quadratic term; all classes share
  gain and read noise.
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

#: High-pass filter of unit gain for the standard deviation of white noise.
_LAPLACE = np.outer([1, -2, 1], [1, -2, 1]) / 6.0
#: Edges of the classes of relative brightness, in units of the mean over the field.
_CLASSES = np.geomspace(0.5, 3.5, 7)
#: A class of a pair is not used if more than this fraction of its pixels is at zero or full scale, or if it has fewer pixels.
_MAX_CLIPPED = 0.01
_MIN_PIXELS = 200
_MIN_POINTS = 16
#: All pixels of a grain share the speckle noise. Its variance is therefore less certain than that of white noise by this
#: factor.
_GRAIN = 5.0
#: Largest allowed relative standard error of the gain.
_MAX_ERROR = 0.2
#: Variance of rounding to whole counts.
_ROUNDING = 1 / 12


@dataclass(frozen=True, kw_only=True)
class PhotonTransfer:
    """The photon transfer curve, and the gain and read noise that follow from it.

    Parameters
    ----------
    counts_per_e, counts_per_e_error : float
        System gain in counts per electron, and its standard error.
    read_variance, read_variance_error : float
        Variance of a dark pixel without rounding, in counts squared, and its standard error. Noise may make it negative.
    mean_counts, variance, fitted : ndarray of float64, shape (N,)
        Points of the curve: mean less the offset, variance less the rounding, and the fitted variance.
    speckle : ndarray of float64, shape (6,)
        Quadratic term of each class of relative brightness; 0 for a class without pixels.
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
        """Read noise in electrons; 0 where the rounding hides it."""
        return math.sqrt(max(self.read_variance, 0.0)) / self.counts_per_e

    @property
    def read_noise_error_e(self) -> float:
        """Standard error of the read noise in electrons; an upper limit where the read noise is 0."""
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
        Too few points lie between darkness and saturation, or the variance does not increase with the mean as photon noise
        does.
    """
    group = _brightness_classes(frames, offset_counts, usable)
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
    return _fit_curve(np.array(points, np.float64))


def _brightness_classes(frames: NDArray[Any], offset_counts: float, usable: NDArray[np.bool_] | None) -> NDArray[np.int64]:
    """Return the class of relative brightness of every pixel, (H, W); -1 around pixels that are not usable."""
    relative = np.mean([mean / max(float(mean.mean()), 1e-9) for mean in frames.mean(axis=1) - offset_counts], axis=0)
    group = np.digitize(ndimage.correlate(relative, _LAPLACE**2), _CLASSES) - 1
    if usable is not None:
        group[ndimage.binary_dilation(~usable, np.ones((3, 3)))] = -1
    return np.asarray(group)


def _fit_curve(points: Floats) -> PhotonTransfer:
    """Fit read noise, gain and speckle noise to rows of pair, class, number of pixels, mean and variance."""
    pair, label, pixels, mean, variance = points.T
    squares = (label[:, None] == np.arange(len(_CLASSES) - 1)) * mean[:, None] ** 2
    design = np.column_stack([np.ones_like(mean), mean, squares])
    sigma = np.abs(variance) + _ROUNDING
    # The weights come from the fitted variances. With measured ones, a variance that is low by chance would get a large weight.
    for _ in range(4):
        weight = np.sqrt(pixels / 2) / sigma
        solution = np.linalg.lstsq(design * weight[:, None], variance * weight, rcond=None)[0]
        fitted = design @ solution
        sigma = np.sqrt((np.maximum(fitted, 0) + _ROUNDING) ** 2 + _GRAIN * (squares @ solution[2:]) ** 2)
    # All classes of a pair share one change of the speckle, so only different pairs are independent.
    weighted = (design * weight[:, None])[:, solution != 0]
    pull = np.stack([((variance - fitted) * weight)[pair == each] @ weighted[pair == each] for each in np.unique(pair)])
    inverse = np.linalg.inv(weighted.T @ weighted)
    small_sample = len(pull) / max(len(pull) - weighted.shape[1], 1)
    error = np.sqrt(np.maximum(np.diag(inverse @ (pull.T @ pull) @ inverse) * small_sample, np.diag(inverse)))
    gain = float(solution[1])
    if gain <= 0 or error[1] > _MAX_ERROR * gain:
        raise CalibrationError(
            f"the variance rises by {gain:.2g} +- {error[1]:.2g} per count, an error of {100 * _MAX_ERROR:.0f} % is allowed; "
            "switch off the camera's image processing, use its largest bit depth, and keep light and fibre still"
        )
    return PhotonTransfer(
        counts_per_e=gain,
        counts_per_e_error=float(error[1]),
        read_variance=float(solution[0]),
        read_variance_error=float(error[0]),
        mean_counts=mean,
        variance=variance,
        fitted=fitted,
        speckle=np.asarray(solution[2:]),
    )


def _points(
    first: NDArray[Any], second: NDArray[Any], group: NDArray[np.int64], full_scale: int, offset_counts: float
) -> list[tuple[int, int, float, float]]:
    """Return class, number of pixels, mean and variance of every class of a pair that is neither dark nor saturated."""
    one, other = first.astype(np.float64), second.astype(np.float64)
    noise = ndimage.correlate(one - other, _LAPLACE)
    mean = ndimage.correlate((one + other) / 2 - offset_counts, _LAPLACE**2)
    clipped = (np.minimum(one, other) <= 0) | (np.maximum(one, other) >= full_scale)
    clipped = ndimage.binary_dilation(clipped, np.ones((3, 3)))
    points = []
    for label in range(len(_CLASSES) - 1):
        inside = group == label
        pixels = int(inside.sum())
        if pixels < _MIN_PIXELS or clipped[inside].mean() > _MAX_CLIPPED:
            continue
        inside &= ~clipped
        variance = float(np.mean(noise[inside] ** 2)) / 2 - _ROUNDING
        points.append((label, pixels, float(mean[inside].mean()), variance))
    return points
