"""A simple default segmentation of a phase image: Otsu's threshold, then watershed to separate touching objects.

Otsu's threshold divides any picture into two classes, also one that shows nothing but noise. So the two classes have to be
further apart than the phase noise explains; else the picture has no objects.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from skimage.segmentation import watershed

#: Phase noise of a reconstruction in radians, where its model does not tell it.
PHASE_NOISE_RAD = 0.05
#: In units of the noise: closer classes are noise (two halves of Gaussian noise are 1.6 apart, at any grain); those that are
#: this far apart are objects.
_NOISE, _OBJECTS = 4.0, 12.0
#: Between the two, the classes' distance over the deviation in them decides: 2.4 to 3.5 for Gaussian noise with a grain of 0 to
#: 12 px in a disc of 124 px, 4.5 and more for synthetic cells.
_SEPARATION = 3.5


def segment(
    phase_rad: NDArray[np.float32],
    mask: NDArray[np.bool_],
    min_area_px: int = 12,
    *,
    noise_rad: float = PHASE_NOISE_RAD,
) -> NDArray[np.uint16]:
    """Label the objects whose phase is larger than that of the background.

    Parameters
    ----------
    phase_rad : ndarray of float32, shape (h, w)
        Phase in radians.
    mask : ndarray of bool, shape (h, w)
        The fibre's disc.
    min_area_px : int
        Objects with fewer pixels are removed as noise.
    noise_rad : float
        Standard deviation of the phase in radians where there is no object.

    Returns
    -------
    ndarray of uint16, shape (h, w)
        0 is background; 1, 2, ... are the objects, numbered without gaps. An empty or uniform picture has none, nor has one
        with values that are not finite.
    """
    inside = phase_rad[mask]
    if not np.isfinite(inside).all():
        return np.zeros(phase_rad.shape, np.uint16)
    low, high = (float(v) for v in np.percentile(inside[::8], (0.5, 99.5)))
    if high - low < 1e-3:
        return np.zeros(phase_rad.shape, np.uint16)
    grey = np.where(mask, np.clip((phase_rad - low) * (255 / (high - low)), 0, 255), 0).astype(np.uint8)
    grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), 1.0), np.uint8)
    threshold, _ = cv2.threshold(grey[mask][None], 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    if _is_noise(grey[mask], threshold, noise_rad * 255 / (high - low)):
        return np.zeros(phase_rad.shape, np.uint16)
    foreground = ((grey > threshold) & mask).astype(np.uint8)
    foreground = np.asarray(cv2.morphologyEx(foreground, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)
    distance = cv2.GaussianBlur(cv2.distanceTransform(foreground, cv2.DIST_L2, 5), (0, 0), 1.0)
    # Every peak of the distance to the border is one object. Peaks are at least the radius of a small cell apart.
    peaks = (distance >= cv2.dilate(distance, np.ones((9, 9), np.uint8))) & (distance > 1.0)
    _, markers = cv2.connectedComponents(peaks.astype(np.uint8))
    # The watershed of scikit-image floods by height. That of OpenCV floods by colour steps and lets the background in.
    # It runs on every other pixel, because it is the largest cost of the live view. The difference shows only where touching
    # objects are separated.
    coarse = watershed(-distance[::2, ::2], _coarse(markers.astype(np.uint16)), mask=_coarse(foreground) > 0)
    labels = np.repeat(np.repeat(coarse, 2, 0), 2, 1)[: foreground.shape[0], : foreground.shape[1]]
    return _renumber(np.where(foreground > 0, labels, 0).astype(np.int32), min_area_px)


def _is_noise(grey: NDArray[np.uint8], threshold: float, noise: float) -> bool:
    """Whether the two classes of a picture are no further apart than its noise, in grey levels, explains."""
    values = grey.astype(np.float32)
    dark, bright = values[values <= threshold], values[values > threshold]
    if not (dark.size and bright.size):
        return True
    distance = float(bright.mean() - dark.mean())
    if distance < _NOISE * noise or distance >= _OBJECTS * noise:
        return distance < _NOISE * noise
    deviation = float(np.sqrt((dark.var() * dark.size + bright.var() * bright.size) / values.size))
    return distance < _SEPARATION * deviation


def _coarse(image: NDArray[Any]) -> NDArray[Any]:
    """Return the largest value in every square of 2 x 2 pixels."""
    return np.asarray(cv2.dilate(image, np.ones((2, 2), np.uint8), anchor=(0, 0))[::2, ::2])


def _renumber(labels: NDArray[np.int32], min_area_px: int) -> NDArray[np.uint16]:
    """Remove small objects and number the others without gaps."""
    areas = np.bincount(labels.ravel())
    keep = areas >= min_area_px
    keep[0] = False
    numbers = (np.cumsum(keep) * keep).astype(np.uint16)
    return np.asarray(numbers[labels], np.uint16)


def iou_foreground(labels: NDArray[np.uint16], truth: NDArray[np.uint16]) -> float:
    """Return the intersection over union of the two foregrounds: 1 if both are empty, 0 if one of them is."""
    a, b = labels > 0, truth > 0
    union = np.count_nonzero(a | b)
    return float(np.count_nonzero(a & b)) / union if union else 1.0


def iou_matched(labels: NDArray[np.uint16], truth: NDArray[np.uint16]) -> float:
    """Return the mean intersection over union of the objects, matched one to one for the largest sum (Hungarian method).

    Objects without a partner count as 0: the mean is over the larger of the two numbers of objects. 1 if both images are empty.
    """
    count, true_count = int(labels.max()), int(truth.max())
    if not max(count, true_count):
        return 1.0
    joint = np.zeros((count + 1, true_count + 1))
    np.add.at(joint, (labels.ravel(), truth.ravel()), 1)
    overlap = joint[1:, 1:]
    union = joint[1:].sum(1)[:, None] + joint[:, 1:].sum(0) - overlap
    rows, columns = linear_sum_assignment(-overlap / np.maximum(union, 1))
    return float((overlap / np.maximum(union, 1))[rows, columns].sum() / max(count, true_count))
