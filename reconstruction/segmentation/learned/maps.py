"""Labels as maps that a network can learn, and maps as labels.

Three maps for each pixel: whether it belongs to a cell, whether two cells meet there, and how deep inside its cell it lies.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

Maps = NDArray[np.float32]

FOREGROUND, BOUNDARY, DEPTH = range(3)
#: Number of maps.
MAPS: Final = 3
#: A pixel is the core of a cell where its depth, less a part of its boundary, is larger than this.
_CORE: Final = 0.45
_BOUNDARY_SHARE: Final = 0.5
#: Neighbours of a pixel, itself included.
_NEAR: Final = np.ones((3, 3), np.uint8)


def maps_of(labels: NDArray[np.uint16]) -> Maps:
    """Return the maps of labels.

    Parameters
    ----------
    labels : ndarray of uint16, shape (h, w)
        0 is background, every other number is one cell.

    Returns
    -------
    ndarray of float32, shape (3, h, w)
        Foreground (0 or 1), boundary between two cells (0 or 1), and depth: distance to the border of the cell over the largest
        distance in this cell, 0 outside cells.
    """
    inside = labels > 0
    numbers = labels.astype(np.float32)
    largest = cv2.dilate(numbers, _NEAR)
    smallest = -cv2.dilate(np.where(inside, -numbers, np.float32(-np.inf)), _NEAR)
    meets = np.isfinite(smallest) & (largest > 0) & (largest != smallest)
    alone = (inside & ~meets).astype(np.uint8)
    distance = cv2.distanceTransform(alone, cv2.DIST_L2, 5)
    most = np.ones(int(labels.max()) + 1, np.float32)
    if len(most) > 1:
        most[1:] = np.maximum(ndimage.maximum(distance, labels, np.arange(1, len(most))), 1)
    return np.stack([inside, meets, distance / most[labels]]).astype(np.float32)


def labels_of(maps: Maps, threshold: float, min_area_px: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the cells of maps, by watershed from the cores of the cells, and the score of each.

    Parameters
    ----------
    maps : ndarray of float32, shape (3, h, w)
        Probabilities of foreground and boundary, and depth, as :func:`maps_of` has them.
    threshold : float
        Least probability of a pixel that belongs to a cell.
    min_area_px : int
        Cells with fewer pixels are removed.

    Returns
    -------
    (ndarray of int32, ndarray of float32)
        Labels (h, w), 0 is background, and for each number the mean probability of its pixels. A removed cell has no pixel.
    """
    foreground = maps[FOREGROUND] >= threshold
    core = foreground & (maps[DEPTH] - _BOUNDARY_SHARE * maps[BOUNDARY] > _CORE)
    markers, count = ndimage.label(core)
    # A cell that is too flat for a core is one cell nevertheless.
    parts, _ = ndimage.label(foreground, np.ones((3, 3)))
    without = ~np.isin(parts, np.unique(parts[core])) & foreground
    lonely, more = ndimage.label(without, np.ones((3, 3)))
    markers = np.where(lonely > 0, lonely + count, markers)
    count += more
    labels = watershed(-maps[DEPTH], markers, mask=foreground)
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    labels = np.where(areas[labels] >= min_area_px, labels, 0)
    total = np.bincount(labels.ravel(), maps[FOREGROUND].ravel(), count + 1)
    return labels.astype(np.int32), (total[1:] / np.maximum(areas[1:], 1)).clip(0, 1).astype(np.float32)
