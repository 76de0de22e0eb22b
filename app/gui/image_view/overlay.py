"""Outlines of the detected objects as one vector path, and how many objects there are."""

from __future__ import annotations

import cv2
import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtGui import QPainterPath

_TARGET_PX = 512  # outlines are traced on about this grid; a finer grid takes more time and shows no difference
_TOLERANCE = 0.35  # in label pixels


def count_objects(labels: NDArray[np.uint16]) -> int:
    """Return the number of different non-zero labels."""
    return int(np.count_nonzero(np.bincount(labels.ravel())[1:]))


def outline_path(labels: NDArray[np.uint16]) -> QPainterPath:
    """Trace the outline of every object.

    Parameters
    ----------
    labels : ndarray of uint16, shape (h, w)
        0 is the background, 1, 2, ... are objects. Objects may touch.

    Returns
    -------
    QPainterPath
        In label pixels, x to the right and y downwards, with (0, 0) at the outer corner of the first pixel.

    Notes
    -----
    The time depends on the number of pixels and hardly on the number of objects. A failed segmentation with thousands of
    small objects therefore cannot block the window. Where two objects touch, a gap of one pixel is cut between them.
    """
    mask = (labels > 0).astype(np.uint8) * np.uint8(255)
    for here, there, cut in (
        (labels[:, :-1], labels[:, 1:], mask[:, :-1]),
        (labels[:-1, :], labels[1:, :], mask[:-1, :]),
    ):
        cut[(here != there) & (there > 0)] = 0
    factor = max(1, _TARGET_PX // max(labels.shape))
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    fine = cv2.resize(padded, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    _, binary = cv2.threshold(fine, 127, 255, cv2.THRESH_BINARY)
    contours, _ = cv2.findContours(binary, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return QPainterPath()
    # The corners of the pixel grid do not belong to the object, and every corner takes time to paint.
    smooth = [cv2.approxPolyDP(contour, _TOLERANCE * factor, closed=True)[:, 0] for contour in contours]
    closed = [np.concatenate([contour, contour[:1]]) for contour in smooth]
    points = (np.concatenate(closed) + 0.5) / factor - 1.0
    connected = np.ones(len(points), dtype=np.int32)
    connected[np.cumsum([len(contour) for contour in closed]) - 1] = 0
    path: QPainterPath = pg.arrayToQPath(points[:, 0], points[:, 1], connect=connected)
    return path
