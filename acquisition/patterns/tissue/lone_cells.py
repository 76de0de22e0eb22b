"""Cells that stand alone, whose optical volume is known exactly: to test what is measured of a cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acquisition.patterns.tissue.cell import CANVAS_PX, Cell, chromatin_noise, draw_cells
from acquisition.patterns.tissue.ground import dark_ground
from acquisition.patterns.tissue.random_cells import RADIUS_PX, random_cell
from acquisition.patterns.tissue.scene import LEAST_PX, LabelledScene, resampled
from drivers.base import frozen_array

#: Distance of the places for cells, and how far a cell may be from its place, in pixels of the canvas.
_PITCH_PX, _AWAY_PX = 5 * RADIUS_PX, 0.4 * RADIUS_PX


@dataclass(frozen=True, eq=False)
class KnownCells:
    """A picture of cells, and how much light each delays.

    Parameters
    ----------
    scene : LabelledScene
        The picture, and its cells numbered from 1.
    grey_px : ndarray of float64, shape (cells,)
        Grey of every cell above the background, summed over the pixels of ``scene``.
    """

    scene: LabelledScene
    grey_px: NDArray[np.float64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "grey_px", frozen_array(self.grey_px))


def lone_cells(size_px: int, seed: int, index: int) -> KnownCells:
    """Draw cells that stand alone on a nearly even background.

    Parameters
    ----------
    size_px : int
        Side of the image in pixels, at least :data:`LEAST_PX`. The field is the same at every size.
    seed, index : int
        The same two give the same cells.

    Raises
    ------
    ValueError
        The image is too small.
    """
    if size_px < LEAST_PX:
        raise ValueError(f"a picture of cells has at least {LEAST_PX} pixels along each side, got {size_px}")
    rng = np.random.default_rng((seed, 8, index))
    noise = chromatin_noise(rng)
    ground = dark_ground(rng)
    cells = _placed(rng)
    grey, labels = draw_cells(ground, cells, noise)
    # Alone: what a cell adds to the ground also lies in its blurred edge, which has no label.
    alone = [float((draw_cells(ground, [cell], noise)[0] - ground).sum(dtype=np.float64)) for cell in cells]
    scene = resampled(np.clip(grey, 0, 1), labels, size_px)
    return KnownCells(scene, np.array(alone) * (size_px / CANVAS_PX) ** 2)


def _placed(rng: np.random.Generator) -> list[Cell]:
    """Return one cell near every place of a square lattice that lies wholly in the picture."""
    places = np.arange(_PITCH_PX / 2, CANVAS_PX - _PITCH_PX / 2 + 1, _PITCH_PX)
    cells = []
    for y_px, x_px in np.stack(np.meshgrid(places, places, indexing="ij"), -1).reshape(-1, 2):
        away_px = rng.uniform(-_AWAY_PX, _AWAY_PX, 2)
        centre = (float(y_px + away_px[0]), float(x_px + away_px[1]))
        cells.append(random_cell(rng, *centre, direction_rad=float(rng.uniform(0, np.pi))))
    return cells
