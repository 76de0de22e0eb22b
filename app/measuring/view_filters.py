"""The filters of one picture on the screen, in their order: background, average, unwrap, tilt."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconstruction.phase_filters import into_turn, remove_tilt, unwrap, wrapped_difference

Picture = NDArray[np.generic]
MAX_AVERAGED_FRAMES = 256
_TURN_RAD = 2 * math.pi


@dataclass(frozen=True, kw_only=True)
class FilterSettings:
    """Which filters are on.

    Parameters
    ----------
    averaged_frames : int
        Number of frames in the running average; 1 is no average.
    subtract_background : bool
        Subtract the stored background, once there is one.
    unwrap : bool
        Remove jumps by 2 pi. Only for phases.
    remove_tilt : bool
        Subtract the least-squares plane inside the fibre's disc. Only for phases.
    """

    averaged_frames: int = 1
    subtract_background: bool = False
    unwrap: bool = False
    remove_tilt: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.averaged_frames <= MAX_AVERAGED_FRAMES:
            raise ValueError(f"an average of {self.averaged_frames} frames is outside 1 .. {MAX_AVERAGED_FRAMES}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantity:
    """What the values of a picture are.

    Parameters
    ----------
    is_phase : bool
        Whether the values are phases in radians.
    wrapped_from_rad : float or None
        Lower end of the interval of 2 pi that wrapped phases lie in; None when they are not wrapped.
    """

    is_phase: bool = False
    wrapped_from_rad: float | None = None


class ViewFilters:
    """Applies the filters that are on to one picture after another.

    Parameters
    ----------
    quantity : Quantity
        What the values are. Wrapped phases are averaged and subtracted as angles.
    """

    def __init__(self, quantity: Quantity) -> None:
        self._quantity = quantity
        self._settings = FilterSettings()
        self._background: Picture | None = None
        self._latest: Picture | None = None
        self._recent: deque[NDArray[np.complex128] | NDArray[np.float64]] = deque()
        self._sum: NDArray[np.complex128] | NDArray[np.float64] | None = None

    @property
    def settings(self) -> FilterSettings:
        """Which filters are on."""
        return self._settings

    def set_settings(self, settings: FilterSettings) -> None:
        """Switch filters on or off. A change of the average or of the background starts the average again."""
        before = self._settings
        self._settings = settings
        if (before.averaged_frames, before.subtract_background) != (settings.averaged_frames, settings.subtract_background):
            self._forget()

    @property
    def background(self) -> Picture | None:
        """The stored background."""
        return self._background

    def set_background(self, picture: Picture | None) -> None:
        """Store a picture (h, w) as background, or forget it."""
        self._background = None if picture is None else np.array(picture)
        self._forget()

    @property
    def active(self) -> tuple[str, ...]:
        """What is done to the picture, in words, in the order of the filters; empty when nothing is."""
        texts = []
        if self._settings.subtract_background and self._background is not None:
            texts.append("minus background")
        if self._settings.averaged_frames > 1:
            texts.append(f"mean of {len(self._recent)} of {self._settings.averaged_frames} frames")
        if self._quantity.is_phase and self._settings.unwrap:
            texts.append("unwrapped")
        if self._quantity.is_phase and self._settings.remove_tilt:
            texts.append("tilt removed")
        return tuple(texts)

    def apply(self, picture: Picture, mask: NDArray[np.bool_]) -> Picture:
        """Return the filtered picture.

        Parameters
        ----------
        picture : ndarray, shape (h, w)
            Counts, or phase in radians.
        mask : ndarray of bool, shape (h, w)
            The fibre's disc.

        Returns
        -------
        ndarray, shape (h, w)
            ``picture`` itself when no filter is on; otherwise float32. A frame with values that are not finite does not enter
            the average. A background of another shape is forgotten.
        """
        if self._background is not None and self._background.shape != picture.shape:
            self.set_background(None)
        self._latest = self._averaged(self._without_background(picture))
        return self._finished(self._latest, mask)

    def apply_again(self, picture: Picture, mask: NDArray[np.bool_]) -> Picture:
        """Return the filtered picture after a change of filters; a frame that is already in the average is not added again."""
        return self.apply(picture, mask) if self._latest is None else self._finished(self._latest, mask)

    def _without_background(self, picture: Picture) -> Picture:
        low = self._quantity.wrapped_from_rad
        if self._settings.subtract_background and self._background is not None:
            if low is None:
                picture = picture.astype(np.float32) - self._background.astype(np.float32)
            else:
                picture = into_turn(wrapped_difference(picture.astype(np.float64), self._background.astype(np.float64)), low)
        return picture

    def _finished(self, picture: Picture, mask: NDArray[np.bool_]) -> Picture:
        if self._quantity.is_phase and self._settings.unwrap:
            picture = unwrap(picture.astype(np.float32), mask)
        if self._quantity.is_phase and self._settings.remove_tilt:
            picture = remove_tilt(picture.astype(np.float32), mask)
        return picture

    def _averaged(self, picture: Picture) -> Picture:
        if self._settings.averaged_frames == 1:
            return picture
        low = self._quantity.wrapped_from_rad
        values = picture.astype(np.float64)
        term = values if low is None else np.exp(1j * values)
        if self._sum is None or self._sum.shape != term.shape:
            self._recent.clear()
            self._sum = np.zeros_like(term)
        if np.isfinite(values).all():
            self._recent.append(term)
            self._sum = self._sum + term
        if len(self._recent) > self._settings.averaged_frames:
            self._sum = self._sum - self._recent.popleft()
        if not self._recent:
            return picture
        if low is None:
            return np.asarray(self._sum.real / len(self._recent), np.float32)
        return into_turn(np.angle(self._sum), low)

    def _forget(self) -> None:
        self._latest = None
        self._recent.clear()
        self._sum = None
