"""Zernike modes on the unit disc, in the order and normalisation of Noll, J. Opt. Soc. Am. 66, 207 (1976)."""

from __future__ import annotations

from math import factorial

import numpy as np
from numpy.typing import NDArray


def noll_to_nm(index: int) -> tuple[int, int]:
    """Return the radial degree n and the azimuthal frequency m of Noll index 1, 2, ...; m is negative for sine modes.

    Raises
    ------
    ValueError
        The index is below 1.
    """
    if index < 1:
        raise ValueError(f"Noll indices begin with 1, got {index}")
    n, rest = 0, index - 1
    while rest > n:
        n += 1
        rest -= n
    m = (n % 2) + 2 * ((rest + (n + 1) % 2) // 2)
    return n, m if index % 2 == 0 else -m


def zernike(index: int, radius: NDArray[np.float64], angle_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return mode ``index`` (Noll, eqs. 1 and 2), normalised to unit variance over the disc.

    Parameters
    ----------
    index : int
        Noll index; 1 is piston.
    radius, angle_rad : ndarray
        Polar coordinates. The edge of the disc is at radius 1; outside, the values of the polynomial are returned.
    """
    n, signed = noll_to_nm(index)
    m = abs(signed)
    radial = np.zeros_like(radius)
    for k in range((n - m) // 2 + 1):
        weight = (-1) ** k * factorial(n - k) / (factorial(k) * factorial((n + m) // 2 - k) * factorial((n - m) // 2 - k))
        radial = radial + weight * radius ** (n - 2 * k)
    if m == 0:
        return np.sqrt(n + 1) * radial
    around = np.cos(m * angle_rad) if signed > 0 else np.sin(m * angle_rad)
    return np.sqrt(2 * (n + 1)) * radial * around
