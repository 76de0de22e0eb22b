"""The background beneath cells: a smooth surface through the pixels between them.

Notes
-----
The ring around a cell tells how high the background is, but not how it bends beneath the cell. In cells of known mass on an
uneven ground this was the whole error of a mass measured on the true phase. The surface is a sum of cosines with a few
periods in the field, fitted by least squares with a price on what bends, so that it goes on smoothly beneath cells, as a
thin plate does.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Half periods of the finest cosine along a side.
_FINEST: Final = 6
#: Price of the finest cosine, as a part of what the pixels say; it falls with the fourth power of the number of half periods.
_PRICE: Final = 0.05
#: Every so many rows and columns count: the surface is smooth.
_STRIDE: Final = 2
#: Pixels further from the median than this many standard deviations count as if they were so far: debris is not background.
_FAR: Final = 3.0
#: Standard deviation of Gaussian numbers over the median of their absolute values.
DEVIATION: Final = 1.4826


def smooth_background(phase_rad: NDArray[np.float32], free: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Fit a smooth surface to the background.

    Parameters
    ----------
    phase_rad : ndarray of float32, shape (h, w)
        Phase in radians.
    free : ndarray of bool, shape (h, w)
        Pixels of the background, where the phase is finite.

    Returns
    -------
    ndarray of float64, shape (h, w)
        The surface in radians; 0 where there is no background at all.
    """
    rows, columns = np.nonzero(free[::_STRIDE, ::_STRIDE])
    if not rows.size:
        return np.zeros(phase_rad.shape)
    vertical, horizontal = (_cosines(side) for side in phase_rad.shape)
    order_y, order_x = _orders()
    design = vertical[order_y][:, rows * _STRIDE] * horizontal[order_x][:, columns * _STRIDE]
    values = phase_rad[rows * _STRIDE, columns * _STRIDE].astype(np.float64)
    middle = float(np.median(values))
    limit_rad = _FAR * DEVIATION * float(np.median(np.abs(values - middle)))
    price = _PRICE * rows.size * ((order_y**2 + order_x**2) / _FINEST**2) ** 2
    # The mean has a price, too, far too small to matter: with it, a single pixel is enough.
    normal = design @ design.T + np.diag(np.maximum(price, 1e-6))
    solution = np.linalg.solve(normal, design @ np.clip(values - middle, -limit_rad, limit_rad))
    weights = np.zeros((_FINEST + 1, _FINEST + 1))
    weights[order_y, order_x] = solution
    return np.asarray(middle + vertical.T @ weights @ horizontal, np.float64)


@lru_cache(maxsize=8)
def _cosines(side_px: int) -> NDArray[np.float64]:
    """Return the cosines of 0, 1, ... half periods along a side, (orders, side)."""
    return np.cos(np.pi * np.outer(np.arange(_FINEST + 1), (np.arange(side_px) + 0.5) / side_px))


def _orders() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the half periods along both sides of every cosine that counts: no finer than the finest in any direction."""
    order = np.arange(_FINEST + 1)
    y, x = np.nonzero(np.add.outer(order**2, order**2) <= _FINEST**2)
    return y, x
