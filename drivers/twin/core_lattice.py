"""Positions of a fibre's cores: hexagonal crystal grains of random orientation, with jitter."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import spatial

if TYPE_CHECKING:
    from drivers.twin.optics_config import OpticsConfig


def core_lattice(config: OpticsConfig, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the core centres of a fibre: hexagonal grains of random orientation, with jitter.

    Returns
    -------
    ndarray, shape (cores, 2)
        ``(y, x)`` in camera pixels from the optical axis.
    """
    pitch = config.core_pitch_um / config.pixel_um
    reach = (config.field_radius_um + 3 * config.edge_um) / config.pixel_um
    seeds = rng.uniform(-reach, reach, (config.lattice_grains, 2))
    count = int(reach / pitch) + 3
    index = np.arange(-2 * count, 2 * count)
    i, j = np.meshgrid(index, index)
    lattice = np.stack((j.ravel() * np.sqrt(3) / 2, i.ravel() + j.ravel() / 2), 1) * pitch
    kept = []
    for grain in range(config.lattice_grains):
        angle = rng.uniform(0, np.pi / 3)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        points = lattice @ turn.T + rng.uniform(0, pitch, 2)
        points = points[np.hypot(*points.T) < reach + pitch]
        nearest = np.argmin(((points[:, None] - seeds[None]) ** 2).sum(-1), axis=1)
        kept.append(points[nearest == grain])
    positions = np.concatenate(kept)
    positions += rng.normal(scale=config.core_jitter * pitch, size=positions.shape)
    positions = positions[np.hypot(*positions.T) < reach]
    return _thin(positions, 0.55 * pitch)


def _thin(positions: NDArray[np.float64], closest_px: float) -> NDArray[np.float64]:
    """Remove one of every two cores that lie closer than ``closest_px``, at grain boundaries or because of the jitter."""
    pairs = spatial.cKDTree(positions).query_pairs(closest_px, output_type="ndarray")
    keep = np.ones(len(positions), bool)
    for first, second in pairs:
        if keep[first] and keep[second]:
            keep[second] = False
    return positions[keep]
