"""Synthetic tissue: groups of touching cells with nuclei, cells between fibres, debris and an uneven background, with labels.

Sizes, density and contrast are those of phase images of tissue that other groups have displayed on a fibre.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from acquisition.patterns.tissue.cell import CANVAS_PX, Cell, Grey, Labels, chromatin_noise, draw_cells
from acquisition.patterns.tissue.ground import Ground, with_cytoplasm, with_debris
from acquisition.patterns.tissue.random_cells import RADIUS_PX, grown_group, long_cell, random_cell
from drivers.base import frozen_array

#: The smallest scene: nuclei would have fewer than 4 pixels across.
LEAST_PX = 64
#: Less of a cell than this fraction is no cell any more: most of it lies beneath another one, or outside the image.
_LEAST_VISIBLE = 0.35


@dataclass(frozen=True, eq=False)
class LabelledScene:
    """A picture of cells with the truth.

    Parameters
    ----------
    grey : ndarray of float32, shape (n, n)
        Grey from 0 to 1, which is phase over the phase of white.
    labels : ndarray of uint16, shape (n, n)
        0 is background, every other number is one cell. In a sequence a cell keeps its number.
    """

    grey: Grey
    labels: Labels

    def __post_init__(self) -> None:
        object.__setattr__(self, "grey", frozen_array(self.grey))
        object.__setattr__(self, "labels", frozen_array(self.labels))


def tissue_scene(size_px: int, seed: int, index: int) -> LabelledScene:
    """Draw synthetic tissue.

    Parameters
    ----------
    size_px : int
        Side of the image in pixels, at least :data:`LEAST_PX`. The field is the same at every size.
    seed, index : int
        The same two give the same scene.

    Returns
    -------
    LabelledScene
        The picture, and its cells numbered without gaps.

    Raises
    ------
    ValueError
        The image is too small.
    """
    if size_px < LEAST_PX:
        raise ValueError(f"a scene of tissue has at least {LEAST_PX} pixels along each side, got {size_px}")
    rng = np.random.default_rng((seed, 6, index))
    ground = Ground(rng)
    cells = _placed(rng, ground)
    noise = chromatin_noise(rng)
    grey, labels = draw_cells(with_cytoplasm(rng, ground.grey, cells, noise), cells, noise)
    grey = with_debris(rng, grey) * ground.gradient
    return resampled(np.clip(grey, 0, 1), whole_cells(labels, cells), size_px)


def whole_cells(labels: Labels, cells: list[Cell]) -> Labels:
    """Remove cells of which too little is visible, and number the others without gaps."""
    areas = np.bincount(labels.ravel(), minlength=len(cells) + 1)
    keep = areas >= [1, *(_LEAST_VISIBLE * np.pi * cell.radius_px**2 for cell in cells)]
    keep[0] = False
    numbers = (np.cumsum(keep) * keep).astype(np.uint16)
    return np.asarray(numbers[labels], np.uint16)


def resampled(grey: Grey, labels: Labels, size_px: int) -> LabelledScene:
    """Return a scene of another size: grey is averaged, each pixel has the label of its centre."""
    if size_px == len(grey):
        return LabelledScene(grey, labels)
    way = cv2.INTER_AREA if size_px < len(grey) else cv2.INTER_LINEAR
    small = cv2.resize(grey, (size_px, size_px), interpolation=way)
    nearest = cv2.resize(labels, (size_px, size_px), interpolation=cv2.INTER_NEAREST_EXACT)
    return LabelledScene(np.asarray(small, np.float32), np.asarray(nearest, np.uint16))


def _placed(rng: np.random.Generator, ground: Ground) -> list[Cell]:
    """Place groups of round cells in the dark spaces, and long ones between the fibres."""
    cells: list[Cell] = []
    for _ in range(int(rng.integers(5, 8))):
        start = _free_point(rng, ground, cells, fibrous=False)
        if start is not None:
            first = random_cell(rng, *start, direction_rad=ground.direction_rad(*start))
            cells += grown_group(rng, first, int(rng.integers(5, 13)), cells, ground.direction_rad)
    for _ in range(int(rng.integers(12, 20))):
        point = _free_point(rng, ground, cells, fibrous=True)
        if point is not None:
            cells.append(long_cell(rng, *point, ground.direction_rad(*point)))
    return cells


def _free_point(rng: np.random.Generator, ground: Ground, cells: list[Cell], *, fibrous: bool) -> tuple[float, float] | None:
    """Return a point at which no cell lies, in the bands of fibres or outside them; None after many tries."""
    for _ in range(30):
        y_px, x_px = (float(value) for value in rng.uniform(0, CANVAS_PX, 2))
        is_free = all(np.hypot(y_px - cell.y_px, x_px - cell.x_px) > cell.major_px + RADIUS_PX for cell in cells)
        if is_free and ground.is_fibrous(y_px, x_px) is fibrous:
            return y_px, x_px
    return None
