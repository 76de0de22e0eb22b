"""The phase scale, which is actual phase divided by requested phase, from checkerboards of increasing phase range.

Also the jackknife, which gives standard errors of everything that is fitted over the field.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from calibration.stored import CalibrationError

#: Range in which the phase scale is searched.
_SCALES = (0.4, 1.7)
#: Fraction of the light's change that the checkerboard's phase range must explain.
_MIN_SHARE = 0.5
#: The image is divided into this many parts along each axis. The jackknife leaves out one part at a time.
_PARTS = 5
_MIN_PIXELS = 50


def field_parts(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return, for each pixel of an (H, W) image, the number of the part in which it lies, from 0."""
    rows, columns = (np.arange(side) * _PARTS // side for side in shape)
    return np.asarray(rows[:, None] * _PARTS + columns[None, :])


def jackknife(estimates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the jackknife standard error (Efron and Stein, Ann. Stat. 9, 586, 1981).

    Parameters
    ----------
    estimates : ndarray of float64, shape (parts, ...)
        Each estimate leaves out one part of the data.

    Returns
    -------
    ndarray of float64, shape (...)
    """
    n = len(estimates)
    return np.asarray(np.sqrt((n - 1) / n * ((estimates - estimates.mean(0)) ** 2).sum(0)))


def fit_phase_scale(
    flats: NDArray[np.float32], sweep: NDArray[np.float32], phase_ranges_rad: NDArray[np.float64], parts: NDArray[np.int64]
) -> tuple[float, float]:
    """Return K, which is actual phase divided by requested phase, and its standard error.

    The counts of every pixel follow ``A + B cos(K d) + C sin(K d)`` for a phase range d. K minimises the residual of all pixels
    together (variable projection; Golub and Pereyra, SIAM J. Numer. Anal. 10, 413, 1973).

    Parameters
    ----------
    flats, sweep : ndarray of float32, shape (F, H, W) and (D, H, W)
        Frames of the flat pattern, and of one binary pattern with increasing phase range.
    phase_ranges_rad : ndarray of float64, shape (D,)
        Requested phase ranges of the binary pattern.
    parts : ndarray of int, shape (H, W)
        Part of the field of each pixel, from :func:`field_parts`; negative outside the fibre.

    Raises
    ------
    CalibrationError
        The phase range of the pattern does not explain how the light changes.
    """
    requested_rad = np.concatenate([np.zeros(len(flats)), phase_ranges_rad])
    # The shots are not normalised one by one: cores at the edges of cells lose light with cos(K d), which belongs to B and C.
    counts = np.concatenate([flats, sweep]).astype(np.float64) / float(flats.mean())
    numbers = [number for number in range(_PARTS**2) if np.count_nonzero(parts == number) > _MIN_PIXELS]
    products = np.stack([(pixels := counts[:, parts == number]) @ pixels.T for number in numbers])

    def residual(scale: float, product: NDArray[np.float64]) -> float:
        columns = [np.ones_like(requested_rad), np.cos(scale * requested_rad), np.sin(scale * requested_rad)]
        basis, _ = np.linalg.qr(np.column_stack(columns))
        return float(np.trace(product) - np.trace(basis.T @ product @ basis))

    def best(product: NDArray[np.float64]) -> float:
        scales = np.linspace(*_SCALES, 66)
        near = float(scales[np.argmin([residual(scale, product) for scale in scales])])
        bounds = (near - 0.02, near + 0.02)
        return float(optimize.minimize_scalar(lambda scale: residual(scale, product), bounds=bounds, method="bounded").x)

    whole = products.sum(0)
    scale = best(whole)
    change = float(np.trace(whole) - whole.mean() * len(whole))
    share = 1 - residual(scale, whole) / change
    if share < _MIN_SHARE or not _SCALES[0] < scale < _SCALES[1]:
        raise CalibrationError(
            f"the checkerboard's phase explains {100 * share:.0f} % of the light's change, with a phase scale of {scale:.2f}; "
            f"{100 * _MIN_SHARE:.0f} % and a phase scale of {_SCALES[0]} .. {_SCALES[1]} are needed; check that the SLM's "
            "light reaches the fibre"
        )
    return scale, float(jackknife(np.array([best(whole - part) for part in products])))
