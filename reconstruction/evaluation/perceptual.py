"""How much the textures of two sets of images differ: the sliced Wasserstein distance between their patches.

After Karras et al. (ICLR 2018, section 5): patches of 7 x 7 pixels from each step of a Laplacian pyramid (Burt and Adelson,
1983), projected onto random directions (Rabin et al., 2011). For each direction the sorted projections of both sets are
compared. Positions and order of the patches have no effect, so a sample with the right texture has a low distance, although
its pixels are wrong.

There are two differences. The patches of a pyramid step are divided by one standard deviation, of both sets together, and not
each set by its own: a blurred set would get its contrast back. And patches are chosen at the same places in all images, inside
the fibre's disc.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Phase = NDArray[np.float32]
Patches = NDArray[np.float32]

_PATCH_PX = 7
#: The coarsest image of the pyramid has at least this side.
_LEAST_SIDE_PX = 16
#: Patches of one set in one step of the pyramid, at most; and directions of the projections.
_MOST_PATCHES, _DIRECTIONS = 16384, 128
_SEED = 0


def perceptual_distance(first_rad: Sequence[Phase], second_rad: Sequence[Phase], mask: NDArray[np.bool_]) -> float:
    """Return the sliced Wasserstein distance between the patches of two sets of images, the mean over the pyramid's steps.

    It is 0 for equal sets, in any order, symmetric, and the same in every run: directions and places have a fixed seed. The
    mean phase of each image inside the disc is removed.

    Parameters
    ----------
    first_rad, second_rad : sequence of ndarray of float32, shape (n, n)
        The sets, of equal size, in radians.
    mask : ndarray of bool, shape (n, n)
        The fibre's disc; patches lie inside.

    Returns
    -------
    float
        Without unit: 1 is a standard deviation of the patches.

    Raises
    ------
    ValueError
        The sets are empty or of different size, or the disc is smaller than a patch.
    """
    if not first_rad or len(first_rad) != len(second_rad):
        raise ValueError(f"two sets of equal size are needed, got {len(first_rad)} and {len(second_rad)} images")
    random = np.random.default_rng(_SEED)
    both = [[_pyramid(image, mask) for image in images] for images in (first_rad, second_rad)]
    distances = []
    for step, inside in enumerate(_masks(mask, len(both[0][0]))):
        places = _places(inside, max(1, _MOST_PATCHES // len(first_rad)), random)
        directions = random.standard_normal((_PATCH_PX**2, _DIRECTIONS)).astype(np.float32)
        directions /= np.linalg.norm(directions, axis=0)
        if len(places):
            first, second = (np.concatenate([_patches(each[step], places) for each in images]) for images in both)
            distances.append(_sliced(first, second, directions))
    if not distances:
        raise ValueError(f"the disc is smaller than a patch of {_PATCH_PX} x {_PATCH_PX} px")
    return float(np.mean(distances))


def _pyramid(image_rad: Phase, mask: NDArray[np.bool_]) -> list[Phase]:
    """Return the Laplacian pyramid, finest first; the last image is the low-pass rest."""
    image = np.where(mask, image_rad - image_rad[mask].mean(), 0).astype(np.float32)
    steps = []
    while min(image.shape) >= 2 * _LEAST_SIDE_PX:
        half = cv2.pyrDown(image)
        steps.append(image - cv2.pyrUp(half, dstsize=(image.shape[1], image.shape[0])))
        image = np.asarray(half, np.float32)
    return [*steps, image]


def _masks(mask: NDArray[np.bool_], steps: int) -> list[NDArray[np.bool_]]:
    """Return the places of every step's image where a whole patch lies in the disc."""
    inside, result = mask, []
    kernel = np.ones((_PATCH_PX, _PATCH_PX), np.uint8)
    for _ in range(steps):
        eroded = cv2.erode(inside.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
        result.append(eroded.astype(bool))
        shape = ((inside.shape[1] + 1) // 2, (inside.shape[0] + 1) // 2)
        inside = cv2.resize(inside.astype(np.float32), shape, interpolation=cv2.INTER_AREA) > 0.99
    return result


def _places(inside: NDArray[np.bool_], most: int, random: np.random.Generator) -> NDArray[np.intp]:
    """Return at most ``most`` middles of patches, (k, 2)."""
    places = np.argwhere(inside)
    return places[random.permutation(len(places))[:most]]


def _patches(image: Phase, places: NDArray[np.intp]) -> Patches:
    """Return the patches around places, (k, 49)."""
    half = _PATCH_PX // 2
    windows = np.lib.stride_tricks.sliding_window_view(image, (_PATCH_PX, _PATCH_PX))
    return np.asarray(windows[places[:, 0] - half, places[:, 1] - half].reshape(len(places), -1), np.float32)


def _sliced(first: Patches, second: Patches, directions: NDArray[np.float32]) -> float:
    """Return the mean Wasserstein distance of order 1 between the projections of two sets of patches of equal size."""
    scale = np.sqrt((first.var(dtype=np.float64) + second.var(dtype=np.float64)) / 2)
    if scale == 0:
        return 0.0  # both sets are flat
    one, other = (np.sort((patches @ directions).T, axis=1) for patches in (first, second))
    return float(np.abs(one - other).mean(dtype=np.float64) / scale)
