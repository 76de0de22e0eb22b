"""Scores of a reconstructed phase against the displayed phase, as the papers define them, inside the fibre's disc.

The scores that depend on the piston exist twice: as they are, and with the mean phase of each image removed (``*_centred``),
because speckle depends on the variation of phase and hardly on its absolute level. Scores are computed per image and then
averaged; nothing is pooled over a batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

Phase = NDArray[np.float32]

#: Number of scales of MS-SSIM, and the least side of its coarsest image in pixels.
_MS_SCALES, _LEAST_PX = 5, 8
#: Wang's constant for the contrast, in units of the phase range.
_K2 = 0.03


@dataclass(frozen=True)
class Scores:
    """Scores of one image, or their means over several images.

    Parameters
    ----------
    mae_rad, mae_rad_centred : float
        Mean absolute error.
    psnr_db, psnr_db_centred : float
        10 log10(R^2 / MSE) with the full phase range R.
    ssim, ssim_centred : float
        Structural similarity (Wang et al., IEEE TIP 13, 600, 2004) with the range R and a Gaussian window of 11 px and sigma
        1.5.
    correlation : float
        Pearson's correlation.
    prstd_rad, prstd_rad_centred : float
        Standard deviation of the absolute error, so that MSE = mae^2 + prstd^2 for one image.
    nrmse : float
        Square root of the MSE divided by the range of the truth itself.
    ms_ssim : float
        Multi-scale structural similarity, see :func:`ms_ssim`.
    """

    mae_rad: float
    psnr_db: float
    ssim: float
    correlation: float
    prstd_rad: float
    mae_rad_centred: float
    psnr_db_centred: float
    ssim_centred: float
    prstd_rad_centred: float
    nrmse: float
    ms_ssim: float


def score(phase_rad: Phase, truth_rad: Phase, mask: NDArray[np.bool_], phase_range_rad: float) -> Scores:
    """Score one image.

    Parameters
    ----------
    phase_rad, truth_rad : ndarray of float32, shape (h, w)
        Reconstructed and displayed phase in radians.
    mask : ndarray of bool, shape (h, w)
        The fibre's disc; no score depends on pixels outside.
    phase_range_rad : float
        The range R of PSNR and SSIM, which is the phase of white.

    Raises
    ------
    ValueError
        The shapes differ, or the mask is empty.
    """
    if phase_rad.shape != truth_rad.shape or mask.shape != truth_rad.shape:
        raise ValueError(f"shapes differ: phase {phase_rad.shape}, truth {truth_rad.shape}, mask {mask.shape}")
    if not mask.any():
        raise ValueError("the mask is empty, there is no pixel to score")
    mae_rad, psnr_db, ssim, prstd_rad = _errors(phase_rad, truth_rad, mask, phase_range_rad)
    centred = _errors(phase_rad - phase_rad[mask].mean(), truth_rad - truth_rad[mask].mean(), mask, phase_range_rad)
    rmse, peak_to_valley_rad = float(np.hypot(mae_rad, prstd_rad)), float(np.ptp(truth_rad[mask].astype(np.float64)))
    return Scores(
        mae_rad=mae_rad,
        psnr_db=psnr_db,
        ssim=ssim,
        correlation=pearson(phase_rad[mask], truth_rad[mask]),
        prstd_rad=prstd_rad,
        mae_rad_centred=centred[0],
        psnr_db_centred=centred[1],
        ssim_centred=centred[2],
        prstd_rad_centred=centred[3],
        nrmse=rmse / peak_to_valley_rad if peak_to_valley_rad > 0 else float("inf") if rmse > 0 else 0.0,
        ms_ssim=ms_ssim(phase_rad, truth_rad, mask, phase_range_rad),
    )


def mean_scores(scores: list[Scores]) -> Scores:
    """Return the mean of every score over images.

    Raises
    ------
    ValueError
        There is no image.
    """
    if not scores:
        raise ValueError("no image was scored")
    names = Scores.__dataclass_fields__
    return Scores(**{name: float(np.mean([getattr(s, name) for s in scores])) for name in names})


def pearson(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Return Pearson's correlation of two arrays; 0 if either is constant."""
    a, b = a.ravel() - a.mean(), b.ravel() - b.mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > 0 else 0.0


def ssim_map(phase_rad: torch.Tensor, truth_rad: torch.Tensor, phase_range_rad: float) -> torch.Tensor:
    """Return the local SSIM of phase images (b, 1, h, w), in the same shape; differentiable."""
    # Imported when the first image is scored: it loads matplotlib, and half of the program's start would be spent on it.
    from reconstruction.torchmetrics_functions import structural_similarity_index_measure

    _, full = structural_similarity_index_measure(
        phase_rad,
        truth_rad,
        gaussian_kernel=True,
        sigma=1.5,
        kernel_size=11,
        data_range=phase_range_rad,
        return_full_image=True,
    )
    return full


def ms_ssim(phase_rad: Phase, truth_rad: Phase, mask: NDArray[np.bool_], phase_range_rad: float) -> float:
    """Return the multi-scale SSIM (Wang et al., Asilomar 2003, equation 7) as in PI-DDPM: five scales, all exponents 1.

    It is the product of the mean contrast and structure on the four finer scales and of the mean SSIM on the coarsest scale.
    Negative means count as 0. The window is that of ``ssim`` on every scale, images are halved by averaging, and means are
    weighted by the fraction of a pixel that lies in the mask. Five scales need 128 px; a smaller grid is halved as long as 8 px
    remain.

    Parameters
    ----------
    phase_rad, truth_rad, mask, phase_range_rad
        As for :func:`score`.
    """
    a, b = (torch.from_numpy(np.where(mask, image, 0))[None, None].float() for image in (phase_rad, truth_rad))
    weight = torch.from_numpy(mask)[None, None].float()
    product = 1.0
    for scale in range(_MS_SCALES):
        coarsest = scale == _MS_SCALES - 1 or min(a.shape[2:]) < 2 * _LEAST_PX
        local = ssim_map(a, b, phase_range_rad) if coarsest else contrast_structure(a, b, phase_range_rad)
        product *= max(0.0, float((local * weight).sum() / weight.sum()))
        if coarsest:
            break
        a, b, weight = (F.avg_pool2d(image, 2) for image in (a, b, weight))
    return product


def contrast_structure(phase_rad: torch.Tensor, truth_rad: torch.Tensor, phase_range_rad: float) -> torch.Tensor:
    """Return the local SSIM of phase images (b, 1, h, w) without its luminance term, in the same shape."""
    axis = torch.arange(-5, 6, dtype=torch.float32, device=phase_rad.device)
    line = torch.exp(-0.5 * (axis / 1.5).square())
    window = torch.outer(line, line)[None, None] / line.sum().square()
    a, b = (F.pad(image.float(), (5, 5, 5, 5), mode="reflect") for image in (phase_rad, truth_rad))
    mean_a, mean_b, aa, bb, ab = (F.conv2d(image, window) for image in (a, b, a * a, b * b, a * b))
    variances = (aa - mean_a.square()).clamp(min=0) + (bb - mean_b.square()).clamp(min=0)
    c2 = (_K2 * phase_range_rad) ** 2
    return (2 * (ab - mean_a * mean_b) + c2) / (variances + c2)


def _errors(phase: Phase, truth: Phase, mask: NDArray[np.bool_], phase_range_rad: float) -> tuple[float, float, float, float]:
    """Return mean absolute error, PSNR, SSIM, and the standard deviation of the absolute error."""
    error = np.abs(phase[mask].astype(np.float64) - truth[mask])
    mse = float(np.mean(error**2))
    psnr = 10 * np.log10(phase_range_rad**2 / mse) if mse > 0 else float("inf")
    # Both images are set to the same value outside the disc, because SSIM windows at the rim extend beyond it.
    a, b = (torch.from_numpy(np.where(mask, t, 0))[None, None].float() for t in (phase, truth))
    local = ssim_map(a, b, phase_range_rad)
    ssim = float(local[0, 0][torch.from_numpy(mask)].mean())
    return float(error.mean()), float(psnr), ssim, float(error.std())
