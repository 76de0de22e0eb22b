"""A picture with small views of the first pairs: a person sees at once what is transposed, cut, swapped or scaled wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

#: Longest side of a small view, width of the gaps, and height of the line of text above each, in pixels.
_SIDE_PX, _GAP_PX, _TEXT_PX = 160, 8, 18
_INK = 255


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """Small views of one pair.

    Parameters
    ----------
    title : str
        Number and name.
    speckle, phase : ndarray, shape (h, w)
        Counts, with the channels side by side, and radians.
    """

    title: str
    speckle: NDArray[Any]
    phase: NDArray[Any]


def thumbnail(title: str, speckle: NDArray[Any], phase: NDArray[Any]) -> Thumbnail:
    """Return small views of one pair."""
    return Thumbnail(title=title, speckle=_small(speckle), phase=_small(phase))


def contact_sheet(thumbnails: Sequence[Thumbnail]) -> NDArray[np.uint8]:
    """Draw pairs below each other: the speckle on the left, the phase on the right, each from black to white.

    The speckle is scaled by its own extremes, the phase by those of all the pairs, which are named.
    """
    finite = [view.phase[np.isfinite(view.phase)] for view in thumbnails]
    low_rad = min((float(values.min()) for values in finite if values.size), default=0.0)
    high_rad = max((float(values.max()) for values in finite if values.size), default=0.0)
    rows = []
    for view in thumbnails:
        counts = view.speckle.astype(np.float64)
        speckle = _panel(view.speckle, counts.min(), counts.max(), f"{view.title} {counts.min():g}..{counts.max():g}")
        phase = _panel(view.phase, low_rad, high_rad, f"{low_rad:.3g}..{high_rad:.3g} rad")
        rows.append(np.hstack([speckle, phase]))
    return np.vstack(rows) if rows else np.zeros((_TEXT_PX, _SIDE_PX), np.uint8)


def _small(image: NDArray[Any]) -> NDArray[Any]:
    """Return every n-th pixel of an image, so that its values stay as they are; channels lie side by side."""
    image = np.hstack(list(image)) if image.ndim > 2 else image
    step = -(-max(image.shape) // _SIDE_PX)
    return image[::step, ::step].copy()


def _panel(image: NDArray[Any], low: float, high: float, text: str) -> NDArray[np.uint8]:
    size = _SIDE_PX + 2 * _GAP_PX
    panel = np.zeros((size + _TEXT_PX, size), np.uint8)
    values = np.nan_to_num(image.astype(np.float64), nan=low)
    grey = np.clip((values - low) / ((high - low) or 1.0) * _INK, 0, _INK).astype(np.uint8)
    scale = max(1, _SIDE_PX // max(grey.shape))
    grey = np.kron(grey, np.ones((scale, scale), np.uint8))
    top = _TEXT_PX + _GAP_PX
    panel[top : top + grey.shape[0], _GAP_PX : _GAP_PX + grey.shape[1]] = grey
    readable = text.encode("ascii", "replace").decode("ascii")  # OpenCV's letters
    cv2.putText(panel, readable, (_GAP_PX, _TEXT_PX), cv2.FONT_HERSHEY_PLAIN, 0.8, _INK, 1, cv2.LINE_AA)
    return panel
