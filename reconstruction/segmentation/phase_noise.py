"""The noise of a phase image, measured in the image itself: what is left of its background when cells are removed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Bins of the histogram whose peak is the background.
_BINS = 64
#: Half-width of the window that smooths the histogram, in bins.
_SMOOTH = 3


def background_and_noise(values: NDArray[np.float32]) -> tuple[float, float]:
    """Return the most frequent phase, and the standard deviation of the phases below it, in radians.

    Cells are brighter than what lies around them. So the phases below the most frequent one are background, and noise has a
    symmetric distribution: their root mean square distance from it is the noise, whatever its grain is.

    Parameters
    ----------
    values : ndarray of float32, shape (n,)
        Phases inside the disc, in radians; at least one.
    """
    low, high = (float(value) for value in np.percentile(values[::4], (0.5, 99.5)))
    if high - low < 1e-6:
        return low, 0.0
    counts, edges = np.histogram(values, _BINS, (low, high))
    window = np.hanning(2 * _SMOOTH + 3)[1:-1]
    peak = int(np.convolve(counts, window, "same").argmax())
    background = float(edges[peak] + edges[peak + 1]) / 2
    below = values[values < background]
    return background, float(np.sqrt(np.square(below - background).mean())) if below.size else 0.0
