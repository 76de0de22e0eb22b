"""A grey test image, which shows whether a display is the right one, the right way up and exact to the pixel."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def draw_test_card(shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the test card.

    It has

    - a border of one pixel, which shows whether the edges are cut off;
    - letters in the corners (TL, TR, BL, BR) and an arrow up, which show whether the image is rotated or mirrored;
    - a circle, which shows whether the image is stretched;
    - 16 grey steps, which show whether the contrast is distorted;
    - a chequerboard of single pixels in the middle, which becomes plain grey or striped if the image is resampled.

    Parameters
    ----------
    shape : (int, int)
        Height and width in pixels.
    """
    height, width = shape
    side = min(shape)
    card = np.full(shape, 64, np.uint8)
    steps = np.repeat(np.linspace(0, 255, 16), -(-width // 16))[:width].astype(np.uint8)
    card[height * 3 // 4 : height * 7 // 8] = steps
    middle = (width // 2, height // 2)
    stroke = max(1, side // 300)
    cv2.circle(card, middle, side * 3 // 8, 255, stroke)
    cv2.arrowedLine(card, (middle[0], height * 11 // 16), (middle[0], height // 6), 200, stroke, tipLength=0.08)
    size = max(2, side // 16) // 2 * 2
    rows, columns = np.indices((2 * size, 2 * size))
    patch = np.where((rows + columns) % 2, 255, 0).astype(np.uint8)
    top, left = max(0, middle[1] - size), max(0, middle[0] - size)
    area = card[top : top + 2 * size, left : left + 2 * size]
    area[:] = patch[: area.shape[0], : area.shape[1]]
    scale, thick = side / 500, max(1, side // 250)
    for text, right, bottom in (("TL", False, False), ("TR", True, False), ("BL", False, True), ("BR", True, True)):
        (across, up), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
        x = width - across - side // 40 if right else side // 40
        y = height - side // 40 if bottom else up + side // 40
        cv2.putText(card, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thick)
    cv2.rectangle(card, (0, 0), (width - 1, height - 1), 255, 1)
    return card
