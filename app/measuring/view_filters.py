"""The filters of one picture on the screen, in their order: background, average, unwrap, tilt."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.measuring.running_mean import RunningMean
from reconstruction.phase_filters import into_turn, remove_tilt, unwrap, wrapped_difference

Picture = NDArray[np.generic]
MAX_AVERAGED_FRAMES = 256
#: A phase image up to this size is unwrapped within some 5 ms.
_FAST_PX = 160 * 160
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
        self._prepared: Picture | None = None
        self._mean = RunningMean(1)

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
            texts.append(f"mean of {len(self._mean)} of {self._settings.averaged_frames} frames")
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
        return self.finish(self.prepare(picture, mask), mask)

    def prepare(self, picture: Picture, mask: NDArray[np.bool_]) -> Picture:
        """Apply the filters that need every frame: background and average. Shapes as for :meth:`apply`."""
        if self._background is not None and self._background.shape != picture.shape:
            self.set_background(None)
        picture = self._without_background(picture)
        self._prepared = picture if self._settings.averaged_frames == 1 else self._mean.add(picture, mask)
        return self._prepared

    def prepared(self, picture: Picture, mask: NDArray[np.bool_]) -> Picture:
        """Return the newest result of :meth:`prepare`, so that no frame is added to the average twice."""
        return self.prepare(picture, mask) if self._prepared is None else self._prepared

    def finish(self, picture: Picture, mask: NDArray[np.bool_]) -> Picture:
        """Apply the filters that need one picture alone: unwrap and tilt. It changes nothing here: any thread may call it."""
        settings = self._settings
        if self._quantity.is_phase and settings.unwrap:
            picture = unwrap(picture.astype(np.float32), mask)
        if self._quantity.is_phase and settings.remove_tilt:
            picture = remove_tilt(picture.astype(np.float32), mask)
        return picture

    def is_slow(self, picture: Picture) -> bool:
        """Return whether :meth:`finish` takes longer than a screen is allowed to stand still."""
        return self._quantity.is_phase and self._settings.unwrap and picture.size > _FAST_PX

    def _without_background(self, picture: Picture) -> Picture:
        low = self._quantity.wrapped_from_rad
        if self._settings.subtract_background and self._background is not None:
            if low is None:
                picture = picture.astype(np.float32) - self._background.astype(np.float32)
            else:
                picture = into_turn(wrapped_difference(picture.astype(np.float64), self._background.astype(np.float64)), low)
        return picture

    def _forget(self) -> None:
        self._prepared = None
        self._mean = RunningMean(self._settings.averaged_frames, self._quantity.wrapped_from_rad)
