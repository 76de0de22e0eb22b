"""How much a frame still looks like the reference: the correlation of their speckle, from few pixels, for every frame."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.registration.displacement import lit_field
from drivers.base import in_grey

#: About so many pixels of a frame are used, as many as a frame of 512 x 512 pixels has when every sixth is taken in both
#: directions. That is about one per speckle grain.
_PIXELS = 7300
#: Standard deviation of the Gaussian for the local mean: many grains.
_MEAN_PX = 10.0


class ReferenceGauge:
    """Correlates frames with a reference.

    The envelope of the light is the same in all frames of a fibre, even after drift. Only the deviations from the local mean
    show whether the speckle is still the same.

    Parameters
    ----------
    reference : ndarray of float32, shape (H, W) or (C, H, W)
        Mean frame under the flat pattern, in counts; not dark.
    """

    def __init__(self, reference: NDArray[np.float32]) -> None:
        reference = in_grey(reference)
        step = max(1, round((reference.size / _PIXELS) ** 0.5))
        self._sparse = (slice(None, None, step), slice(None, None, step))
        self._mean = cv2.GaussianBlur(reference, (0, 0), _MEAN_PX)[self._sparse] + np.float32(1e-6)
        self._inside = lit_field([reference])[self._sparse]
        self._reference = self._deviations(reference)

    def correlation(self, pixels: NDArray[Any]) -> float:
        """Return the correlation of a frame (H, W) or (C, H, W) in counts with the reference; 1 is identical."""
        return float(self._deviations(in_grey(pixels)) @ self._reference)

    def _deviations(self, counts: NDArray[Any]) -> NDArray[np.float32]:
        values = (counts[self._sparse] / self._mean)[self._inside]
        values = values - values.mean()
        return np.asarray(values / max(float(np.linalg.norm(values)), 1e-9), np.float32)
