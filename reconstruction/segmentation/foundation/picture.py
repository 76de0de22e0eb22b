"""The grey picture of a phase image that a network for photographs gets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class ContrastWindow:
    """Which phases are black and white, in radians from the median phase of the disc.

    The window is the same for every image, so that a true and a reconstructed phase get the same contrast. It follows the
    median, because speckle depends only weakly on the mean phase.

    Parameters
    ----------
    low_rad, high_rad : float
        Phase of black and of white.

    Raises
    ------
    ValueError
        White is not above black.
    """

    low_rad: float = -0.5
    high_rad: float = 2.5

    def __post_init__(self) -> None:
        if not -1e3 < self.low_rad < self.high_rad < 1e3:
            raise ValueError(f"a contrast window needs low < high in radians, got {self.low_rad} and {self.high_rad}")


def picture(phase_rad: NDArray[np.float32], mask: NDArray[np.bool_], window: ContrastWindow) -> NDArray[np.uint8]:
    """Return a phase image as a grey picture with three equal channels.

    Parameters
    ----------
    phase_rad : ndarray of float32, shape (h, w)
        Phase in radians, finite in the disc.
    mask : ndarray of bool, shape (h, w)
        The fibre's disc. Outside it the picture has the grey of the median phase, so that the rim is no object.
    window : ContrastWindow
        Phases of black and white.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        The picture.
    """
    above_rad = np.where(mask, phase_rad - np.median(phase_rad[mask]), np.float32(0))
    grey = np.clip((above_rad - window.low_rad) / (window.high_rad - window.low_rad), 0, 1) * 255
    return np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=-1)
