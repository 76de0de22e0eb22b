"""The first patterns of a plan as small grey pictures, as the SLM will show them."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from acquisition.capture.plan import CapturePlan
from acquisition.patterns.source_name import PatternError

#: Patterns that a preview shows, and the longest side of each picture in pixels.
SHOWN, SIDE_PX = 12, 160
_TURN_RAD = 2 * math.pi


@dataclass(frozen=True, eq=False, kw_only=True)
class PatternPicture:
    """One pattern.

    Parameters
    ----------
    shot : int
        Its number in the plan.
    name : str
        Its name: that of the picture file, or of the source with a number.
    grey : ndarray of uint8, shape (h, w)
        Black is phase 0, and white the phase range. Above one turn (2 pi) the phase starts at black again.
    """

    shot: int
    name: str
    grey: NDArray[np.uint8]


def preview(plan: CapturePlan, shape: tuple[int, int], stop: threading.Event | None = None) -> tuple[PatternPicture, ...]:
    """Draw the first different patterns of a plan, without the flat ones.

    Parameters
    ----------
    plan : CapturePlan
        The plan.
    shape : (int, int)
        Height and width of the SLM's patterns in pixels.
    stop : threading.Event, optional
        Ends the drawing when it is set; what was drawn until then is returned.

    Raises
    ------
    PatternError
        The source does not exist, or none of its pictures can be shown; those that cannot are left out.
    """
    make = plan.maker(shape)
    pictures: list[PatternPicture] = []
    problem: PatternError | None = None
    for number in range(min(SHOWN, plan.patterns_needed)):
        if stop is not None and stop.is_set():
            break
        pair = number * plan.repeats
        try:
            shot = make(pair + 1 + pair // plan.reference_every)  # a reference comes first, and after so many pairs
        except PatternError as error:
            problem = problem or error
            continue
        grey = _grey(shot.pattern.phase_rad, float(plan.phase_range_rad))
        pictures.append(PatternPicture(shot=shot.number, name=shot.pattern.name, grey=grey))
    if problem is not None and not pictures:
        raise problem
    return tuple(pictures)


def _grey(phase_rad: NDArray[np.float32], phase_range_rad: float) -> NDArray[np.uint8]:
    height, width = phase_rad.shape
    factor = min(1.0, SIDE_PX / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    if phase_range_rad > _TURN_RAD:  # the mean over a jump from white to black would be grey
        small = cv2.resize(np.mod(phase_rad, np.float32(_TURN_RAD)), size, interpolation=cv2.INTER_NEAREST)
        return np.clip(small * (255 / _TURN_RAD), 0, 255).astype(np.uint8)
    small = cv2.resize(phase_rad, size, interpolation=cv2.INTER_AREA)
    return np.clip(small * (255 / phase_range_rad), 0, 255).round().astype(np.uint8)
