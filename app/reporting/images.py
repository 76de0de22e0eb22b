"""Images prepared for reports."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def grey(image: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Return an image as bytes, ``low`` black and ``high`` white."""
    return np.asarray(np.clip((image - low) / (high - low) * 255, 0, 255).round(), np.uint8)
