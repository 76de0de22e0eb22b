"""Pictures of synthetic cells that no segmenter has learned from, seen through twin, camera and model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from acquisition.patterns.sources import tissue_in
from acquisition.patterns.tissue.scene import LabelledScene
from app.benchmarks.segmentation.seen_frames import FrameSource, SeenFrame, labels_in_disc
from app.progress import Report
from reconstruction.field import to_grid
from reconstruction.segmentation.config import SegmentationConfig

Labels = NDArray[np.uint16]

#: Seed of the synthetic cells; no segmenter was trained or adjusted on them.
HELD_OUT_SEED: Final = 10_000_019


@dataclass(frozen=True, eq=False, kw_only=True)
class CellImage:
    """One picture of synthetic cells.

    Parameters
    ----------
    seen : SeenFrame
        What the live view has of it.
    phase_rad : ndarray of float32, shape (grid, grid)
        The true phase in radians.
    labels : ndarray of uint16, shape (grid, grid)
        The true cells inside the disc.
    """

    seen: SeenFrame
    phase_rad: NDArray[np.float32]
    labels: Labels


def held_out_scene(side_px: int, index: int) -> LabelledScene:
    """Return a whole scene, ``side_px`` wide."""
    return tissue_in((side_px, side_px), HELD_OUT_SEED, index)


def cell_images(
    source: FrameSource,
    phase_range_rad: float,
    count: int,
    report: Report,
    scene_of: Callable[[int, int], LabelledScene] = held_out_scene,
) -> list[CellImage]:
    """Expose and reconstruct scenes.

    Parameters
    ----------
    source : FrameSource
        Twin, camera and model.
    phase_range_rad : float
        Phase of white in radians.
    count : int
        Number of scenes.
    report : Report
        Progress.
    scene_of : callable
        ``(side_px, index) -> scene``, as wide as the SLM.
    """
    grid_px = len(source.mask)
    images = []
    for index in range(count):
        scene = scene_of(source.side_px, index)
        pattern = scene.grey * np.float32(phase_range_rad)
        images.append(
            CellImage(
                seen=source.see(pattern),
                phase_rad=np.where(source.mask, to_grid(pattern, grid_px), np.float32(0)),
                labels=_cells_in_disc(scene.labels, source.mask),
            )
        )
        report("synthetic cells", index + 1, count)
    return images


def _cells_in_disc(labels: Labels, mask: NDArray[np.bool_]) -> Labels:
    """Return labels on the grid of the disc, without what is smaller than the smallest object: cells that its edge cuts."""
    inside = labels_in_disc(labels, mask)
    areas = np.bincount(inside.ravel())
    keep = areas >= SegmentationConfig().min_area_px
    keep[0] = False
    numbers = (np.cumsum(keep) * keep).astype(np.uint16)
    return np.asarray(numbers[inside], np.uint16)
