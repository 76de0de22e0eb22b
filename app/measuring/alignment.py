"""Numbers that help to align the instrument: mean, saturated fraction, contrast and focus of the camera's picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.uint8] | NDArray[np.uint16]

_BRENNER_STEP_PX = 2

#: How the numbers are calculated, for tool tips and CSV files.
FORMULAS = {
    "mean": "mean of all pixels",
    "saturated_fraction": "pixels at full scale divided by all pixels",
    "contrast": "standard deviation divided by mean (Goodman, Speckle Phenomena in Optics, 2007)",
    "focus": "mean of (I(x+2) - I(x))^2 along x and y, divided by the squared mean (Brenner et al., 1976)",
}


@dataclass(frozen=True, kw_only=True)
class AlignmentNumbers:
    """Numbers of one frame.

    Parameters
    ----------
    frame_index : int
        The camera's counter of the frame.
    mean : float
        Mean of all pixels, in counts.
    saturated_fraction : float
        Fraction of the pixels at full scale.
    contrast : float
        Standard deviation divided by mean; NaN for a black picture. 1 for fully developed speckle (J. W. Goodman, Speckle
        Phenomena in Optics, Roberts, 2007).
    focus : float
        Brenner's gradient along x and y, divided by the squared mean so that the light's power does not change it; NaN for a
        black picture. Larger is sharper (J. F. Brenner et al., J. Histochem. Cytochem. 24, 100, 1976).
    """

    frame_index: int
    mean: float
    saturated_fraction: float
    contrast: float
    focus: float


def alignment_numbers(pixels: Counts, full_scale: int, frame_index: int) -> AlignmentNumbers:
    """Return the numbers of a picture (h, w) of counts."""
    means, deviations = cv2.meanStdDev(pixels)
    mean, std = float(means[0, 0]), float(deviations[0, 0])
    dark = mean <= 0
    return AlignmentNumbers(
        frame_index=frame_index,
        mean=mean,
        saturated_fraction=float(np.count_nonzero(pixels >= full_scale)) / pixels.size,
        contrast=math.nan if dark else std / mean,
        focus=math.nan if dark else _brenner(pixels) / mean**2,
    )


def _brenner(pixels: Counts) -> float:
    step = _BRENNER_STEP_PX
    total = number = 0.0
    for there, here in ((pixels[:, step:], pixels[:, :-step]), (pixels[step:], pixels[:-step])):
        if here.size:
            total += cv2.norm(there, here, cv2.NORM_L2SQR)
            number += here.size
    return total / number if number else math.nan
