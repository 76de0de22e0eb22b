"""Scores of several samples of one image: the continuous ranked probability score (CRPS), and the coverage of their range.

If truth and samples come from the same distribution, the truth has the same probability to lie in each of the gaps between the
sorted samples. So the range from the 1st to the 19th of 19 samples contains 90 % of the true pixels, and the range from the
5th to the 15th contains 50 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from reconstruction.evaluation.intervals import Estimate

Phase = NDArray[np.float32]

#: Number of samples that a coverage needs.
SAMPLES = 19
#: Ranks of the sorted samples between which 90 % and 50 % of the true values lie, counted from 0.
_RANKS = {0.9: (0, 18), 0.5: (4, 14)}
#: Smallest and largest widening factor that is tried.
_LEAST_WIDENING, _MOST_WIDENING = 0.1, 20.0
#: Pixels that the widening factor is fitted on, at most.
_FITTED_PIXELS = 400_000


@dataclass(frozen=True, eq=False)
class SampledImage:
    """The samples of an image, (k, n, n), and its truth, (n, n), in radians."""

    samples_rad: NDArray[np.float32]
    truth_rad: Phase

    def centred(self, mask: NDArray[np.bool_]) -> SampledImage:
        """Return samples and truth, each without its mean inside the mask."""
        means = self.samples_rad[:, mask].mean(1)
        return SampledImage(self.samples_rad - means[:, None, None], self.truth_rad - self.truth_rad[mask].mean())


@dataclass(frozen=True)
class Coverage:
    """Fractions of true pixels inside the range of the samples that should contain 90 % and 50 % of them."""

    of_90: float
    of_50: float


def crps(samples: NDArray[np.floating], truth: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the CRPS of samples, for every pixel; less is better.

    This is the fair form (Ferro, 2014): mean |x_i - y| - sum |x_i - x_j| / (2 k (k - 1)), over all i and j. Its expected value
    does not depend on the number of samples. A single sample gives the absolute error.

    Parameters
    ----------
    samples : ndarray, shape (k, ...)
        The samples.
    truth : ndarray, shape (...)
        The truth.

    Raises
    ------
    ValueError
        There is no sample, or the shapes differ.
    """
    if len(samples) == 0 or samples.shape[1:] != truth.shape:
        raise ValueError(f"the CRPS needs samples (k, ...) of a truth (...), got {samples.shape} and {truth.shape}")
    count = len(samples)
    ordered = np.sort(samples.astype(np.float64), axis=0)
    error = np.abs(ordered - truth).mean(0)
    if count == 1:
        return np.asarray(error)
    # The sum of |x_i - x_j| over all pairs i < j, from the sorted samples.
    pairs = np.tensordot(2 * np.arange(count) - count + 1, ordered, axes=1)
    return np.asarray(error - pairs / (count * (count - 1)))


def gaussian_crps(estimate: Estimate, scale: float = 1.0) -> NDArray[np.float64]:
    """Return the CRPS of a normal distribution for every pixel (Gneiting and Raftery, 2007, equation 21).

    Parameters
    ----------
    estimate : Estimate
        Mean, standard deviation and truth.
    scale : float
        Factor on the standard deviation.
    """
    std = np.maximum(np.asarray(estimate.std_rad, np.float64) * scale, 1e-9)
    z = (estimate.truth_rad - estimate.phase_rad.astype(np.float64)) / std
    return np.asarray(std * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi)))


def coverage(images: Sequence[SampledImage], mask: NDArray[np.bool_], widening: float = 1.0) -> Coverage:
    """Measure which fraction of the true pixels lies in the range of 19 samples.

    Parameters
    ----------
    images : sequence of SampledImage
        Images with 19 samples each.
    mask : ndarray of bool, shape (n, n)
        The fibre's disc.
    widening : float
        Factor on the distance of the samples from their mean, from :func:`widening_factor`.

    Raises
    ------
    ValueError
        There is no image, or an image has not 19 samples.
    """
    return _covered(_offsets(images, mask), widening)


def widening_factor(images: Sequence[SampledImage], mask: NDArray[np.bool_]) -> float:
    """Return the one factor on the samples' distance from their mean for which both coverages are nearest to 90 % and 50 %.

    Nearest means: the sum of both squared differences is smallest. Use other images than those of the report. With the images
    of the report, the coverage would be right by construction.

    Raises
    ------
    ValueError
        There is no image, or an image has not 19 samples.
    """
    offsets = _offsets(images, mask)
    step = max(1, len(offsets.truth) // _FITTED_PIXELS)
    offsets = _Offsets(offsets.truth[::step], {target: ends[:, ::step] for target, ends in offsets.ends.items()})

    def miss(log_factor: float) -> float:
        reached = _covered(offsets, float(np.exp(log_factor)))
        return (reached.of_90 - 0.9) ** 2 + (reached.of_50 - 0.5) ** 2

    # The coarse search is for a range with one minimum: far from it, both coverages are 0 or 1 and nothing changes.
    grid = np.linspace(np.log(_LEAST_WIDENING), np.log(_MOST_WIDENING), 41)
    nearest = int(np.argmin([miss(value) for value in grid]))
    bounds = (grid[max(0, nearest - 1)], grid[min(len(grid) - 1, nearest + 1)])
    return float(np.exp(minimize_scalar(miss, bounds=bounds, method="bounded", options={"xatol": 1e-4}).x))


@dataclass(frozen=True, eq=False)
class _Offsets:
    """Truth (pixels,), and by the target the ends of the samples' range (2, pixels), all minus the mean of the samples."""

    truth: NDArray[np.float32]
    ends: dict[float, NDArray[np.float32]]


def _offsets(images: Sequence[SampledImage], mask: NDArray[np.bool_]) -> _Offsets:
    if not images:
        raise ValueError("there is no image to measure a coverage with")
    truths: list[NDArray[np.float32]] = []
    ends: dict[float, list[NDArray[np.float32]]] = {target: [] for target in _RANKS}
    for image in images:
        if len(image.samples_rad) != SAMPLES:
            raise ValueError(f"a coverage needs {SAMPLES} samples, got {len(image.samples_rad)}")
        ordered = np.sort(image.samples_rad[:, mask], axis=0)
        mean = ordered.mean(0)
        truths.append(image.truth_rad[mask] - mean)
        for target, ranks in _RANKS.items():
            ends[target].append(ordered[list(ranks)] - mean)
    return _Offsets(np.concatenate(truths), {target: np.concatenate(each, axis=1) for target, each in ends.items()})


def _covered(offsets: _Offsets, widening: float) -> Coverage:
    reached = {
        target: float(np.mean((widening * low <= offsets.truth) & (offsets.truth <= widening * high)))
        for target, (low, high) in offsets.ends.items()
    }
    return Coverage(of_90=reached[0.9], of_50=reached[0.5])
