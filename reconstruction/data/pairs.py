"""Pairs of speckle and phase for training, simulated on the twin or read from a captured dataset.

A pool holds raw counts (uint8 or uint16) and the phase on the reconstruction grid. The network normalises the counts itself, so
that live frames and training frames are treated alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from acquisition.archive.writer import Archive
from acquisition.patterns.sources import BLANK, PatternSource
from drivers.twin.optics import FibreOptics
from drivers.twin.parallel import parallel_map
from drivers.twin.sensor import SensorConfig, expose
from reconstruction.base import ReconstructionError
from reconstruction.data.batch import Batch
from reconstruction.field import to_grid

#: The three parts of a dataset. All frames of one pattern are in the same part.
Part = Literal["training", "validation", "test"]

#: Frames that are averaged into a reference, which removes most of its shot noise.
REFERENCE_SHOTS = 8


@dataclass(kw_only=True)
class PairPool:
    """Pairs in memory or in a memory map, filled up to ``ready``.

    Parameters
    ----------
    speckle : ndarray of uint8 or uint16, shape (n, H, W) or (n, C, H, W)
        Raw camera counts.
    phase_rad : ndarray of float32, shape (n, grid, grid)
        Displayed phase averaged over the reconstruction grid.
    reference : ndarray of float32, shape (H, W) or (C, H, W)
        Mean frame under the flat pattern, in counts.
    ready : int
        Number of pairs filled so far.
    """

    speckle: NDArray[np.uint8] | NDArray[np.uint16]
    phase_rad: NDArray[np.float32]
    reference: NDArray[np.float32]
    ready: int = 0

    @classmethod
    def empty(cls, count: int, frame_px: int, grid_px: int, reference: NDArray[np.float32]) -> PairPool:
        """Return an empty pool for ``count`` 8-bit pairs."""
        speckle = np.zeros((count, frame_px, frame_px), np.uint8)
        return cls(speckle=speckle, phase_rad=np.zeros((count, grid_px, grid_px), np.float32), reference=reference)

    def pictures_rad(self) -> NDArray[np.float32]:
        """Return the displayed phase of all pairs, shape (n, g, g)."""
        return self.phase_rad[: self.ready]

    def on_grid(self, grid_px: int) -> PairPool:
        """Return the same pairs with their phase averaged over the cells of a coarser grid."""
        if grid_px == self.phase_rad.shape[-1]:
            return self
        phase_rad = np.stack([to_grid(phase, grid_px) for phase in self.phase_rad[: self.ready]])
        return PairPool(speckle=self.speckle, phase_rad=phase_rad, reference=self.reference, ready=self.ready)

    def batch(self, indices: NDArray[np.int64], seed: int = 0) -> Batch:
        """Return these pairs; nothing is random here, so ``seed`` has no effect."""
        frames, reference = (
            torch.from_numpy(each.astype(np.float32)) for each in (self.speckle[indices], self.reference[None])
        )
        if frames.ndim == 3:
            frames, reference = frames[:, None], reference[:, None]
        return Batch(frames, reference, torch.from_numpy(self.phase_rad[indices])[:, None])


class TwinExposure:
    """Camera counts of patterns on a twin, without simulated devices and their clock: for many training pairs."""

    def __init__(self, optics: FibreOptics, sensor: SensorConfig, exposure_s: float, seed: int) -> None:
        self.optics = optics
        self._sensor = sensor
        self._exposure_s = exposure_s
        self._generator = torch.Generator(device=optics.device).manual_seed(seed)

    def reseed(self, seed: int) -> None:
        """Restart the noise from ``seed``."""
        self._generator.manual_seed(seed)

    def __call__(self, phase_rad: NDArray[np.float32]) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """Return the counts (b, n, n) of a batch of phase images (b, n, n) in radians."""
        with torch.no_grad():
            phase = torch.tensor(phase_rad, device=self.optics.device)
            noise = self.optics.shot_noise_rad(len(phase), self._generator)
            # Every frame has its own seed, so frames may be computed in any order.
            seeds = torch.randint(2**62, (len(phase),), generator=self._generator, device=self.optics.device).tolist()
            step = 1 if self.optics.device.type == "cpu" else len(phase)
            shots = zip(phase.split(step), noise.split(step), seeds[::step], strict=True)
            return np.concatenate(parallel_map(lambda shot: self._expose(*shot), list(shots)))

    def _expose(self, phase: torch.Tensor, noise: torch.Tensor, seed: int) -> NDArray[Any]:
        generator = torch.Generator(device=phase.device).manual_seed(seed)
        intensity = self.optics.intensity(phase, noise) + self.optics.config.background
        return expose(intensity, self._exposure_s, 8, self._sensor, generator)

    def reference(self, shots: int = REFERENCE_SHOTS) -> NDArray[np.float32]:
        """Return the mean of ``shots`` exposures of the flat pattern, in counts."""
        n = self.optics.config.image_px
        return np.asarray(self(np.zeros((shots, n, n), np.float32)).astype(np.float32).mean(0))


def fill_from_twin(pool: PairPool, exposure: TwinExposure, patterns: PatternSource, first: int = 0, batch: int = 8) -> None:
    """Fill ``pool`` with the simulated pairs of ``patterns[first:]``, in order; ``pool.ready`` grows with every batch."""
    grid = pool.phase_rad.shape[-1]
    while pool.ready < len(pool.speckle):
        indices = range(pool.ready, min(pool.ready + batch, len(pool.speckle)))
        phases = np.stack([patterns[first + i].phase_rad for i in indices])
        pool.speckle[indices.start : indices.stop] = exposure(phases)
        for i, phase in zip(indices, phases, strict=True):
            pool.phase_rad[i] = to_grid(phase, grid)
        pool.ready = indices.stop


def part_of(pattern_id: str) -> Part:
    """Return the part of a dataset that a pattern belongs to. It follows from the hash of the pattern's content."""
    digit = int(hashlib.sha256(pattern_id.encode()).hexdigest()[:8], 16) % 10
    return "test" if digit == 0 else "validation" if digit == 1 else "training"


def from_archive(path: Path, grid_px: int, part: Part | None = None) -> PairPool:
    """Read a captured dataset, or one part of it. The frames of the blank pattern become the reference.

    Raises
    ------
    ReconstructionError
        There is no blank pattern or no other pattern, or the frame is not a whole multiple of the grid.
    """
    archive = Archive.open(path)
    rows = archive.rows()
    blank = [row.index for row in rows if row.pattern_name == BLANK]
    object_rows = [row.index for row in rows if row.pattern_name != BLANK and (part is None or part_of(row.pattern_id) == part)]
    if not blank or not object_rows:
        raise ReconstructionError(
            f"{path} holds {len(blank)} reference and {len(object_rows)} {part or 'object'} pairs; "
            "both are needed, so acquire more, with references on"
        )
    reference = np.mean([archive.read("speckle", i).astype(np.float32) for i in blank], axis=0)
    if reference.shape[-1] % grid_px or reference.shape[-2] != reference.shape[-1]:
        raise ReconstructionError(
            f"frames of {reference.shape} px are no multiple of the {grid_px} px grid; set another ROI of the camera"
        )
    speckle = np.stack([archive.read("speckle", i) for i in object_rows])
    phase = np.stack([to_grid(archive.read("phase", i), grid_px) for i in object_rows])
    reference = np.asarray(reference, np.float32)
    return PairPool(speckle=speckle, phase_rad=phase, reference=reference, ready=len(object_rows))


def shuffled_batches(ready: int, batch: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield the indices of one epoch over ``ready`` pairs, in random order, in complete batches only."""
    order = rng.permutation(ready)
    for start in range(0, ready - batch + 1, batch):
        yield order[start : start + batch]
