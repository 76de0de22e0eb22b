"""Outlines of objects on the pixels of the screen: where a label differs from that of a neighbour."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QRect
from PyQt6.QtGui import QTransform

_TARGET_PX = 512  # coarser labels are refined to about this grid


def smooth_labels(labels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Refine coarse labels, so that their outlines have no steps of whole label pixels.

    Parameters
    ----------
    labels : ndarray of uint16, shape (h, w)
        0 is the background.

    Returns
    -------
    ndarray of uint16
        The labels, larger by a whole factor. The time depends on the number of pixels, not on that of the objects.
    """
    factor = _TARGET_PX // max(labels.shape)
    if factor < 2:
        return np.ascontiguousarray(labels)
    height, width = labels.shape
    size = (width * factor, height * factor)
    objects = cv2.resize((labels > 0).astype(np.uint8) * np.uint8(255), size, interpolation=cv2.INTER_LINEAR)
    fine = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
    # Rounding an inner corner adds pixels to an object. They get its label from within half a label pixel.
    grown = cv2.dilate(fine, np.ones((factor + 1, factor + 1), np.uint8))
    return np.where(objects > 127, np.where(fine > 0, fine, grown), 0).astype(np.uint16)


def outline_indices(
    labels: NDArray[np.uint16], to_labels: QTransform, region: QRect, half_width_px: int, colours: int
) -> NDArray[np.uint8]:
    """Return which pixels of the screen belong to an outline.

    Parameters
    ----------
    labels : ndarray of uint16, shape (h, w)
        0 is the background.
    to_labels : QTransform
        From pixels of the screen to pixels of ``labels``.
    region : QRect
        The part of the screen, in its pixels.
    half_width_px : int
        A pixel belongs to an outline when a pixel at this distance, along a row or a column, has another label.
    colours : int
        The number of colours.

    Returns
    -------
    ndarray of uint8, shape (region.height(), region.width())
        0 where there is no outline, otherwise 1 + the number of its colour.
    """
    border = half_width_px
    size = (region.width() + 2 * border, region.height() + 2 * border)
    # OpenCV counts from the centre of the first pixel, Qt from its corner
    start_x, start_y = region.left() - border + 0.5, region.top() - border + 0.5
    x = to_labels.m11() * start_x + to_labels.m21() * start_y + to_labels.dx() - 0.5
    y = to_labels.m12() * start_x + to_labels.m22() * start_y + to_labels.dy() - 0.5
    matrix = np.array([[to_labels.m11(), to_labels.m21(), x], [to_labels.m12(), to_labels.m22(), y]])
    seen = cv2.warpAffine(labels, matrix, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    cross = np.zeros((2 * border + 1, 2 * border + 1), np.uint8)
    cross[border, [0, border, 2 * border]] = 1
    cross[[0, 2 * border], border] = 1
    inner = (slice(border, -border), slice(border, -border))
    largest = cv2.dilate(seen, cross)[inner]
    edge = largest != cv2.erode(seen, cross)[inner]
    if colours == 1:
        return edge.view(np.uint8)
    return np.where(edge, (largest - 1) % colours + 1, 0).astype(np.uint8)
