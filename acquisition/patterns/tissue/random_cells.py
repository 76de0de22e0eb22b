"""Random cells: round and lobed ones, long ones, and groups in which they touch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from acquisition.patterns.tissue.cell import CANVAS_PX, Cell

#: Radius of a round cell, and its relative deviation, in pixels of the canvas.
RADIUS_PX = 17.0
_RADIUS_DEVIATION = 0.16
#: Distance of two centres over the sum of both radii in this direction: cells that touch, and neighbours that do not.
_TOUCHING, _APART = (0.9, 1.0), (1.12, 1.5)
#: Fraction of the cells of a group that touch the cell beside which they are placed.
_TOUCH = 0.55
#: Closer cells, in the same measure, would hide one another.
_LEAST = 0.88


def random_cell(rng: np.random.Generator, y_px: float, x_px: float, *, direction_rad: float) -> Cell:
    """Return a round or lobed cell with a nucleus, of random size and brightness."""
    amplitudes = rng.normal(0, (0.09, 0.06, 0.04)) * (2.2 if rng.random() < 0.25 else 1.0)
    light = rng.uniform(0.8, 1.25)
    return Cell(
        y_px=y_px,
        x_px=x_px,
        radius_px=RADIUS_PX * float(np.clip(rng.normal(1, _RADIUS_DEVIATION), 0.6, 1.5)),
        aspect=float(rng.uniform(1.0, 1.6)),
        angle_rad=direction_rad + float(rng.normal(0, 0.6)),
        lobes=_lobes(rng, amplitudes, 0.2),
        body=0.3 * light,
        nucleus=0.12 * light,
        rim=0.12 * light * float(rng.uniform(0.3, 1.2)),
        nucleus_size=float(rng.uniform(0.78, 0.92)),
        chromatin=float(rng.uniform(0.1, 0.25)),
        grain=_corner(rng),
    )


def long_cell(rng: np.random.Generator, y_px: float, x_px: float, direction_rad: float) -> Cell:
    """Return the nucleus of a cell between fibres: long, thin, brighter, along the fibres."""
    light = rng.uniform(0.9, 1.5)
    return Cell(
        y_px=y_px,
        x_px=x_px,
        radius_px=float(rng.uniform(11, 15)),
        aspect=float(rng.uniform(2.2, 4.0)),
        angle_rad=direction_rad + float(rng.normal(0, 0.1)),
        lobes=_lobes(rng, rng.normal(0, (0.03, 0.03, 0.02)), 0.08),
        body=0.4 * light,
        nucleus=0.06 * light,
        rim=0.05,
        nucleus_size=0.85,
        chromatin=float(rng.uniform(0.05, 0.2)),
        grain=_corner(rng),
    )


def _lobes(rng: np.random.Generator, amplitudes: NDArray[np.float64], most: float) -> tuple[tuple[float, float], ...]:
    limited = np.clip(amplitudes, -most, most)
    return tuple((float(amplitude), float(rng.uniform(0, 2 * np.pi))) for amplitude in limited)


def _corner(rng: np.random.Generator) -> tuple[int, int]:
    row, column = rng.integers(0, CANVAS_PX, 2)
    return int(row), int(column)


def grown_group(
    rng: np.random.Generator,
    start: Cell,
    count: int,
    others: Sequence[Cell],
    direction_rad: Callable[[float, float], float],
) -> list[Cell]:
    """Return a group that grows from one cell, mostly along a direction; it has fewer cells where there is no room.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    start : Cell
        The first cell.
    count : int
        Number of cells.
    others : sequence of Cell
        Cells that are there already, and that the group does not overlap.
    direction_rad : callable
        ``(y_px, x_px) -> direction`` of the group.
    """
    group = [start]
    for _ in range(20 * count):
        if len(group) >= count:
            break
        beside = group[int(rng.integers(max(0, len(group) - 4), len(group)))]
        way_rad = direction_rad(beside.y_px, beside.x_px) + float(rng.normal(0, 0.8)) + np.pi * float(rng.integers(0, 2))
        cell = _beside(rng, beside, way_rad)
        if all(closeness(cell, other) >= _LEAST for other in (*group, *others)):
            group.append(cell)
    return group


def closeness(cell: Cell, other: Cell) -> float:
    """Return the distance of two centres over the sum of their radii in this direction: below 1, the cells overlap."""
    down, right = other.y_px - cell.y_px, other.x_px - cell.x_px
    way_rad = float(np.arctan2(down, right))
    return float(np.hypot(down, right)) / (cell.reach_px(way_rad) + other.reach_px(way_rad + np.pi))


def _beside(rng: np.random.Generator, cell: Cell, way_rad: float) -> Cell:
    """Return a random cell that lies beside another one in a direction."""
    new = random_cell(rng, 0.0, 0.0, direction_rad=way_rad)
    low, high = _TOUCHING if rng.random() < _TOUCH else _APART
    distance_px = float(rng.uniform(low, high)) * (cell.reach_px(way_rad) + new.reach_px(way_rad + np.pi))
    return replace(
        new, y_px=cell.y_px + distance_px * float(np.sin(way_rad)), x_px=cell.x_px + distance_px * float(np.cos(way_rad))
    )
