"""Filters that make a phase image easier to read: unwrapping, removal of tilt, averages and differences of wrapped phases.

They are for the eye. Recordings and scores use the phase as it was reconstructed.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from skimage.restoration import unwrap_phase

Phase = NDArray[np.float32]
Mask = NDArray[np.bool_]

_TURN_RAD = 2 * math.pi


def _usable(phase_rad: Phase, mask: Mask) -> Mask:
    return np.asarray(mask & np.isfinite(phase_rad))


def unwrap(phase_rad: Phase, mask: Mask) -> Phase:
    """Remove the jumps by 2 pi between neighbouring pixels.

    Parameters
    ----------
    phase_rad : ndarray of float32, shape (h, w)
        Wrapped phase in radians; it may lie in any interval of 2 pi.
    mask : ndarray of bool, shape (h, w)
        The fibre's disc. Pixels outside it, and pixels that are not finite, stay as they are.

    Returns
    -------
    ndarray of float32, shape (h, w)
        It differs from ``phase_rad`` by multiples of 2 pi. The median of these multiples is zero, so that the level of a live
        picture does not jump from frame to frame.

    Notes
    -----
    By :func:`skimage.restoration.unwrap_phase`: M. A. Herraez et al., Applied Optics 41, 7437 (2002).
    """
    usable = _usable(phase_rad, mask)
    if not usable.any():
        return phase_rad
    # The function expects -pi .. pi.
    wrapped = np.remainder(np.where(usable, phase_rad, 0.0) + math.pi, _TURN_RAD) - math.pi
    unwrapped = np.ma.getdata(unwrap_phase(np.ma.array(wrapped, mask=~usable), rng=0))
    turns = np.round((unwrapped - np.where(usable, phase_rad, 0.0)) / _TURN_RAD)
    turns -= np.median(turns[usable])
    return np.where(usable, phase_rad + np.round(turns) * _TURN_RAD, phase_rad).astype(np.float32)


def tilt(phase_rad: Phase, mask: Mask) -> tuple[float, float]:
    """Return the slopes of the least-squares plane inside the mask, in radians per pixel along x and along y.

    Parameters
    ----------
    phase_rad : ndarray of float32, shape (h, w)
        Phase in radians, without jumps.
    mask : ndarray of bool, shape (h, w)
        The fibre's disc. Pixels that are not finite are skipped.
    """
    usable = _usable(phase_rad, mask)
    y, x = np.nonzero(usable)
    if len(x) < 3:
        return 0.0, 0.0
    plane = np.column_stack([x - x.mean(), y - y.mean(), np.ones(len(x))])
    slopes, *_ = np.linalg.lstsq(plane, phase_rad[usable].astype(np.float64), rcond=None)
    return float(slopes[0]), float(slopes[1])


def remove_tilt(phase_rad: Phase, mask: Mask) -> Phase:
    """Subtract the tilt of :func:`tilt`; the mean inside the mask and all pixels outside it stay."""
    slope_x, slope_y = tilt(phase_rad, mask)
    usable = _usable(phase_rad, mask)
    if not usable.any():
        return phase_rad
    rows, columns = phase_rad.shape
    y, x = np.mgrid[:rows, :columns]
    plane = slope_x * (x - x[usable].mean()) + slope_y * (y - y[usable].mean())
    return np.where(usable, phase_rad - plane, phase_rad).astype(np.float32)


def into_turn(phase_rad: NDArray[np.floating], low_rad: float) -> Phase:
    """Return the phase modulo 2 pi in the interval from ``low_rad`` (included) to ``low_rad`` + 2 pi."""
    return np.asarray(low_rad + np.remainder(phase_rad - low_rad, _TURN_RAD), np.float32)


def circular_mean(phases_rad: NDArray[np.floating], low_rad: float) -> Phase:
    """Return the mean direction of wrapped phases.

    Parameters
    ----------
    phases_rad : ndarray, shape (n, h, w)
        Wrapped phases in radians.
    low_rad : float
        Lower end of the interval of the result.

    Returns
    -------
    ndarray of float32, shape (h, w)
        In the interval from ``low_rad`` to ``low_rad`` + 2 pi. Phases just below and just above a jump have their mean at the
        jump, and not half a turn away from it.
    """
    return into_turn(np.angle(np.exp(1j * phases_rad.astype(np.float64)).mean(axis=0)), low_rad)


def wrapped_difference(phase_rad: NDArray[np.floating], other_rad: NDArray[np.floating]) -> Phase:
    """Return the shortest angle from ``other_rad`` to ``phase_rad``, in -pi .. pi."""
    return into_turn(np.asarray(phase_rad, np.float64) - other_rad, -math.pi)
