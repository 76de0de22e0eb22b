"""All scores of a method that its errors at single pixels do not show, from one call: what a row of the comparison adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconstruction.evaluation.intervals import Estimate
from reconstruction.evaluation.lpips import lpips, missing_for_lpips
from reconstruction.evaluation.perceptual import perceptual_distance
from reconstruction.evaluation.samples import Coverage, SampledImage, coverage, crps, gaussian_crps
from reconstruction.evaluation.spectrum import RadialSpectrum

Phase = NDArray[np.float32]


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoredImages:
    """What a method gave for the images that it is scored on.

    Parameters
    ----------
    phases_rad, truths_rad : sequence of ndarray of float32, shape (n, n)
        Its reconstructions and the truths, in radians.
    samples : sequence of SampledImage
        19 samples of each of the first images; empty for a method that gives none.
    estimates : sequence of Estimate
        Phase and standard deviation for each of the first images; empty for a method without a standard deviation.
    std_scale : float
        Factor on the standard deviations, fitted on other images.
    widening : float, optional
        Factor on the samples' distance from their mean, fitted on other images.
    """

    phases_rad: Sequence[Phase]
    truths_rad: Sequence[Phase]
    samples: Sequence[SampledImage] = ()
    estimates: Sequence[Estimate] = ()
    std_scale: float = 1.0
    widening: float | None = None


def texture_scores(images: ScoredImages, mask: NDArray[np.bool_], phase_range_rad: float) -> dict[str, object]:
    """Return the scores under their names in the JSON file; None where a method gives nothing to score.

    Parameters
    ----------
    images : ScoredImages
        What the method gave.
    mask : ndarray of bool, shape (n, n)
        The fibre's disc.
    phase_range_rad : float
        Phase of white, for LPIPS.

    Returns
    -------
    dict
        ``spectrum_error``, ``perceptual``, ``lpips``; ``crps`` in radians, and ``crps_of``, the distribution that it is of:
        "samples", "normal distribution", or "one image"; ``coverage_90`` and ``coverage_50`` of the samples as they are, and
        ``..._widened`` after the one factor ``widening``; both also as ``..._centred`` and ``..._centred_widened``, where truth
        and samples have no mean; ``sampled_images``, the number of images with samples.

    Raises
    ------
    ValueError
        There is no image, or the numbers of images do not fit.
    """
    spectrum = RadialSpectrum(mask)
    pairs = list(zip(images.phases_rad, images.truths_rad, strict=True))
    score, distribution = _crps(images, mask)
    return {
        "spectrum_error": float(np.mean([spectrum.error(phase, truth) for phase, truth in pairs])),
        "perceptual": perceptual_distance(images.phases_rad, images.truths_rad, mask),
        "lpips": None if missing_for_lpips() else lpips(images.phases_rad, images.truths_rad, mask, phase_range_rad),
        "crps": score,
        "crps_of": distribution,
        "widening": images.widening if images.samples else None,
        **_coverages(images.samples, mask, images.widening, ""),
        **_coverages([each.centred(mask) for each in images.samples], mask, images.widening, "_centred"),
        "sampled_images": len(images.samples),
    }


def _crps(images: ScoredImages, mask: NDArray[np.bool_]) -> tuple[float, str]:
    """Return the mean CRPS of the best description that the method gives of its uncertainty, and the name of that."""
    if images.samples:
        values = [crps(each.samples_rad[:, mask], each.truth_rad[mask]) for each in images.samples]
        return float(np.mean(values)), "samples"
    if images.estimates:
        values = [gaussian_crps(each, images.std_scale)[mask] for each in images.estimates]
        return float(np.mean(values)), "normal distribution"
    pairs = zip(images.phases_rad, images.truths_rad, strict=True)
    return float(np.mean([np.abs(phase[mask] - truth[mask]) for phase, truth in pairs])), "one image"


def _coverages(
    samples: Sequence[SampledImage], mask: NDArray[np.bool_], widening: float | None, suffix: str
) -> dict[str, float | None]:
    raw = coverage(samples, mask) if samples else None
    widened = coverage(samples, mask, widening) if samples and widening is not None else None
    return {**_named(raw, suffix), **_named(widened, f"{suffix}_widened")}


def _named(measured: Coverage | None, suffix: str) -> dict[str, float | None]:
    return {
        f"coverage_90{suffix}": measured.of_90 if measured else None,
        f"coverage_50{suffix}": measured.of_50 if measured else None,
    }
