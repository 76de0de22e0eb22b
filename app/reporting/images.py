"""Images prepared for reports."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def grey(image: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Return an image as bytes: ``low`` becomes black (0), ``high`` becomes white (255)."""
    return np.asarray(np.clip((image - low) / (high - low) * 255, 0, 255).round(), np.uint8)


@dataclass(frozen=True, eq=False)
class Picture:
    """An image of a report, with its caption.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W) or (H, W, 3)
        Grey, or colours in OpenCV's order (blue, green, red).
    caption : str
        Plain text below the image.
    """

    image: NDArray[Any]
    caption: str

    @property
    def source(self) -> str:
        """The image as a ``data:`` URI that contains all its bytes, PNG."""
        png = base64.b64encode(cv2.imencode(".png", self.image)[1].tobytes()).decode("ascii")
        return f"data:image/png;base64,{png}"
