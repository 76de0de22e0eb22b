"""Cells that move, touch, enter and leave: a sequence of scenes with true identities, for tests of tracking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from acquisition.patterns.tissue.cell import CANVAS_PX, Cell, chromatin_noise, draw_cells
from acquisition.patterns.tissue.ground import dark_ground
from acquisition.patterns.tissue.random_cells import random_cell
from acquisition.patterns.tissue.scene import LEAST_PX, LabelledScene, resampled

#: Fewest and most cells of a sequence.
LEAST_CELLS, MOST_CELLS = 20, 60
#: Cells turn by this much from frame to frame, as a standard deviation in radians.
_TURN_RAD = 0.35
#: Cells push each other apart until their distance is this times the sum of their radii; round ones would touch at 1.
_PUSHED = 0.93
_PUSHES = 6
#: Cells move in a square that is larger than the image by this many pixels at each side: there they are not seen.
_MARGIN_PX = 40.0


class MovingCells(Sequence[LabelledScene]):
    """A sequence of scenes; each is drawn when it is used.

    A cell has the same label in every scene in which it is visible, so labels have gaps. No cell moves farther than
    ``step_diameters`` times its own diameter from one scene to the next.

    Parameters
    ----------
    size_px : int
        Side of the images in pixels, at least 64. The field is the same at every size.
    seed : int
        The same seed gives the same sequence.
    frames : int
        Number of scenes.
    cells : int
        How many cells are visible at once, about: 20 to 60.
    step_diameters : float
        Longest way of a cell between two scenes, over its diameter.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    def __init__(self, size_px: int, seed: int, frames: int, *, cells: int = 40, step_diameters: float = 0.5) -> None:
        if size_px < LEAST_PX or frames < 1 or not LEAST_CELLS <= cells <= MOST_CELLS or not 0 <= step_diameters <= 1:
            raise ValueError(
                f"moving cells need at least {LEAST_PX} px, 1 frame, {LEAST_CELLS} to {MOST_CELLS} cells and steps of 0 to 1 "
                f"diameters, got {size_px} px, {frames} frames, {cells} cells and {step_diameters:g} diameters"
            )
        rng = np.random.default_rng((seed, 7))
        self._size_px = size_px
        self._noise = chromatin_noise(rng)
        self._ground = dark_ground(rng)
        self._frames = _Motion(rng, cells, step_diameters).frames(frames)

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> LabelledScene:  # type: ignore[override]  # slices are not offered
        numbered = self._frames[index]
        grey, order = draw_cells(self._ground, [cell for _, cell in numbered], self._noise)
        numbers = np.array([0, *(number for number, _ in numbered)], np.uint16)
        return resampled(np.clip(grey, 0, 1), numbers[order], self._size_px)


class _Motion:
    """Moves cells, pushes them apart where they overlap, and replaces one that has left by a new one at an edge."""

    def __init__(self, rng: np.random.Generator, cells: int, step_diameters: float) -> None:
        self._rng = rng
        self._step_diameters = step_diameters
        side_px = CANVAS_PX + 2 * _MARGIN_PX
        count = round(cells * (side_px / CANVAS_PX) ** 2)
        self._cells = [self._new(*rng.uniform(-_MARGIN_PX, CANVAS_PX + _MARGIN_PX, 2)) for _ in range(count)]
        self._numbers = list(range(1, count + 1))
        self._last = count
        self._ways_rad = rng.uniform(0, 2 * np.pi, count)
        for _ in range(10 * _PUSHES):
            self._push(np.full(count, np.inf), self._centres())

    def frames(self, count: int) -> list[list[tuple[int, Cell]]]:
        """Return the cells of every frame with their numbers."""
        frames = []
        for _ in range(count):
            frames.append(list(zip(self._numbers, self._cells, strict=True)))
            self._step()
        return frames

    def _step(self) -> None:
        before = self._centres()
        most_px = np.array([2 * cell.minor_px for cell in self._cells]) * self._step_diameters
        self._ways_rad += self._rng.normal(0, _TURN_RAD, len(self._cells))
        steps_px = most_px * self._rng.uniform(0.2, 1.0, len(self._cells))
        after = before + steps_px[:, None] * np.stack([np.sin(self._ways_rad), np.cos(self._ways_rad)], axis=1)
        self._move(after)
        for _ in range(_PUSHES):
            self._push(most_px, before)
        low, high = -_MARGIN_PX, CANVAS_PX + _MARGIN_PX
        for place, cell in enumerate(self._cells):
            if not (low <= cell.y_px <= high and low <= cell.x_px <= high):
                self._replace(place)

    def _push(self, most_px: NDArray[np.float64], before: NDArray[np.float64]) -> None:
        """Push overlapping cells apart, each by half; none ends farther than ``most_px`` from where it was before."""
        centres = self._centres()
        radii_px = np.array([cell.radius_px for cell in self._cells])
        between = centres[:, None] - centres[None]
        distance_px = np.hypot(between[..., 0], between[..., 1])
        np.fill_diagonal(distance_px, np.inf)
        overlap_px = np.clip(_PUSHED * (radii_px[:, None] + radii_px) - distance_px, 0, None)
        push = between * (0.5 * overlap_px / np.maximum(distance_px, 1e-3))[..., None]
        way = centres + push.sum(1) - before
        length_px = np.maximum(np.hypot(way[:, 0], way[:, 1]), 1e-9)
        self._move(before + way * np.minimum(1, most_px / length_px)[:, None])

    def _centres(self) -> NDArray[np.float64]:
        return np.array([(cell.y_px, cell.x_px) for cell in self._cells])

    def _move(self, centres: NDArray[np.float64]) -> None:
        self._cells = [
            replace(cell, y_px=float(y_px), x_px=float(x_px)) for cell, (y_px, x_px) in zip(self._cells, centres, strict=True)
        ]

    def _replace(self, place: int) -> None:
        """Put a new cell with a new number at a random edge, on its way into the image."""
        along_px = self._rng.uniform(0, CANVAS_PX)
        edge, into_rad = [(0, np.pi / 2), (1, 0.0), (2, -np.pi / 2), (3, np.pi)][self._rng.integers(4)]
        outside = {0: (-_MARGIN_PX, along_px), 1: (along_px, -_MARGIN_PX)}
        outside |= {2: (CANVAS_PX + _MARGIN_PX, along_px), 3: (along_px, CANVAS_PX + _MARGIN_PX)}
        self._cells[place] = self._new(*outside[edge])
        self._last += 1
        self._numbers[place] = self._last
        self._ways_rad[place] = into_rad + self._rng.normal(0, 0.4)

    def _new(self, y_px: float, x_px: float) -> Cell:
        return random_cell(self._rng, float(y_px), float(x_px), direction_rad=float(self._rng.uniform(0, np.pi)))
