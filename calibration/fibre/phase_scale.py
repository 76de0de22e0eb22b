"""How much phase acts when a phase is asked for, from checkerboards of rising depth; and standard errors by jackknife."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from calibration.stored import CalibrationError

_SCALES = (0.4, 1.7)
#: Share of the light's change that the depth has to explain.
_MIN_SHARE = 0.5
#: The field is cut into so many squared parts, of which the jackknife leaves out one at a time.
_PARTS = 5
_MIN_PIXELS = 50


def field_parts(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the number of the part in which each pixel of an (H, W) image lies, from 0."""
    rows, columns = (np.arange(side) * _PARTS // side for side in shape)
    return np.asarray(rows[:, None] * _PARTS + columns[None, :])


def jackknife(estimates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard error (Efron and Stein, Ann. Stat. 9, 586, 1981) from estimates that each leave one part out.

    Parameters
    ----------
    estimates : ndarray, shape (parts, ...)
    """
    n = len(estimates)
    return np.asarray(np.sqrt((n - 1) / n * ((estimates - estimates.mean(0)) ** 2).sum(0)))


def depth_scale(
    flats: NDArray[np.float32], sweep: NDArray[np.float32], phase_ranges_rad: NDArray[np.float64], parts: NDArray[np.int64]
) -> tuple[float, float]:
    """Return K, the factor between the phase asked for and the phase that acts, and its standard error.

    Every pixel goes as ``A + B cos(K d) + C sin(K d)``; K leaves the least residual_fraction in all of them together (variable
    projection; Golub and Pereyra, SIAM J. Numer. Anal. 10, 413, 1973).

    Parameters
    ----------
    flats, sweep : ndarray of float32, shape (F, H, W) and (D, H, W)
        Frames of the flat pattern, and of one binary pattern whose depth rises.
    phase_ranges_rad : ndarray of float64, shape (D,)
        Depths asked for.
    parts : ndarray of int, shape (H, W)
        From :func:`field_parts`, negative outside the fibre.

    Raises
    ------
    CalibrationError
        The depth does not explain how the light changes.
    """
    depths = np.concatenate([np.zeros(len(flats)), phase_ranges_rad])
    # Not normalised shot by shot: cores at the cells' edges lose light with cos(K d) too, and that belongs to B and C.
    counts = np.concatenate([flats, sweep]).astype(np.float64) / float(flats.mean())
    numbers = [number for number in range(_PARTS**2) if np.count_nonzero(parts == number) > _MIN_PIXELS]
    products = np.stack([(pixels := counts[:, parts == number]) @ pixels.T for number in numbers])

    def left(scale: float, product: NDArray[np.float64]) -> float:
        basis, _ = np.linalg.qr(np.column_stack([np.ones_like(depths), np.cos(scale * depths), np.sin(scale * depths)]))
        return float(np.trace(product) - np.trace(basis.T @ product @ basis))

    def best(product: NDArray[np.float64]) -> float:
        scales = np.linspace(*_SCALES, 66)
        near = float(scales[np.argmin([left(scale, product) for scale in scales])])
        return float(
            optimize.minimize_scalar(lambda k: left(k, product), bounds=(near - 0.02, near + 0.02), method="bounded").x
        )

    whole = products.sum(0)
    scale = best(whole)
    change = float(np.trace(whole) - whole.mean() * len(whole))
    share = 1 - left(scale, whole) / change
    if share < _MIN_SHARE or not _SCALES[0] < scale < _SCALES[1]:
        raise CalibrationError(
            f"the checkerboard's depth explains {100 * share:.0f} % of the light's change, with a phase scale of {scale:.2f}; "
            f"{100 * _MIN_SHARE:.0f} % and a scale of {_SCALES[0]} .. {_SCALES[1]} are needed; does the fibre see the SLM?"
        )
    return scale, float(jackknife(np.array([best(whole - part) for part in products])))
