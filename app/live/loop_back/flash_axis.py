"""Tells a flash from the still pattern: how far a picture lies on the way from one to the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.base import SpeckleScopeError

Values = NDArray[np.float32]

#: Means of still pictures and of flashes have to lie so many standard deviations apart; the limit lies half way.
MIN_SEPARATION = 8.0
#: A flash reaches at least this part of the change of the speckle that was learned. With noise alone it reaches none.
MIN_SPECKLE_LEVEL = 0.5
#: A reconstruction shows at least this part of the known phase. Models give 0.4 to 1 of it.
MIN_PHASE_LEVEL = 0.2


class FlashError(SpeckleScopeError):
    """A flash cannot be told from the still pattern, so nothing is measured."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FlashAxis:
    """The way from the still picture to that of the flash.

    Parameters
    ----------
    origin : ndarray of float32
        The mean still picture.
    direction : ndarray of float32
        Of the same shape. Its product with the change of a picture is the level of the picture.
    limit : float
        A picture with a higher level shows the flash.
    """

    origin: Values
    direction: Values
    limit: float = 0.0

    def level(self, values: Values) -> float:
        """Return how far a picture lies on the way: 0 is still, 1 is all of the flash; NaN where a value is not a number.

        Raises
        ------
        FlashError
            The picture has another shape.
        """
        if values.shape != self.origin.shape:
            raise FlashError(f"frames have another size now, {values.shape} instead of {self.origin.shape}; measure again")
        return float(np.vdot(values - self.origin, self.direction))

    def shows_flash(self, values: Values) -> bool:
        """Whether a picture shows the flash."""
        return self.level(values) > self.limit


def speckle_axis(still: Sequence[Values], flash: Sequence[Values]) -> FlashAxis:
    """Learn the change of the speckle from camera pictures (h, w) in counts; one half of them tests what the other taught.

    Raises
    ------
    FlashError
        The flash does not change the speckle, or by too little for its noise.
    """
    origin = _mean(still[::2])
    axis = _axis(origin, _mean(flash[::2]) - origin)
    return _with_limit(axis, still[1::2], flash[1::2], (MIN_SPECKLE_LEVEL, "the speckle"))


def phase_axis(still: Sequence[Values], flash: Sequence[Values], change_rad: Values, mask: NDArray[np.bool_]) -> FlashAxis:
    """Look for a known change of the phase in reconstructions (n, n) in radians; its mean inside the mask does not count.

    Raises
    ------
    FlashError
        The reconstruction does not show the change, or it is too noisy.
    """
    origin = _mean(still[::2])
    change = np.where(mask, change_rad - change_rad[mask].mean(), 0).astype(np.float32)
    return _with_limit(_axis(origin, change), still[1::2], flash[1::2], (MIN_PHASE_LEVEL, "the reconstruction"))


def _mean(pictures: Sequence[Values]) -> Values:
    return np.asarray(np.mean(pictures, axis=0, dtype=np.float32))


def _axis(origin: Values, change: Values) -> FlashAxis:
    square = float(np.vdot(change, change))
    return FlashAxis(origin=origin, direction=change / np.float32(square) if square > 0 else np.zeros_like(change))


def _with_limit(axis: FlashAxis, still: Sequence[Values], flash: Sequence[Values], least: tuple[float, str]) -> FlashAxis:
    """Set the limit half way between pictures that the axis was not learned from."""
    least_level, place = least
    dark, lit = (np.array([axis.level(values) for values in values_of]) for values_of in (still, flash))
    step, noise = float(lit.mean() - dark.mean()), float(max(dark.std(ddof=1), lit.std(ddof=1)))
    if not step >= least_level:  # also not a number
        raise FlashError(
            f"{place} does not show the flash: it shows {max(step, 0):.0%} of the change, and at least {least_level:.0%} is "
            "needed; check that the SLM lights the fibre, that the model fits it, and re-tune"
        )
    if noise > 0 and step < MIN_SEPARATION * noise:
        raise FlashError(
            f"{place} is too noisy to find a flash: the flash is {step / noise:.1f} times the noise, and {MIN_SEPARATION:g} "
            "times is needed; use more light or a longer exposure"
        )
    return FlashAxis(origin=axis.origin, direction=axis.direction, limit=float(dark.mean()) + step / 2)
