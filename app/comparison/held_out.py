"""The pairs that methods are scored on, and other pairs for the factors that are fitted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.reader import Archive
from app.instrument.config import InstrumentConfig
from app.instrument.opening import fibre_name
from app.progress import Report
from app.training.train import field_radius, twin_data
from reconstruction.base import ReconstructionError
from reconstruction.data.pairs import PairPool, from_archive
from reconstruction.data.simulation import simulated_pool
from reconstruction.field import field_mask

_HELD_OUT_SEED, _OTHER_SEED = 2, 5


@dataclass(frozen=True, eq=False, kw_only=True)
class HeldOutPairs:
    """The pairs that all methods are scored on, and where they come from.

    Parameters
    ----------
    pool : PairPool
        The scored pairs.
    others : PairPool, optional
        Other pairs, on which factors are fitted: validation images, which are never scored. None if there are none.
    mask : ndarray of bool, shape (grid, grid)
        The fibre's disc.
    fibre : str
        Name of the fibre.
    phase_range_rad : float
        Phase of white.
    exposure_s : float
        Exposure of the frames in seconds.
    description : str
        The pairs for people.
    """

    pool: PairPool
    others: PairPool | None
    mask: NDArray[np.bool_]
    fibre: str
    phase_range_rad: float
    exposure_s: float
    description: str

    @property
    def reference(self) -> NDArray[np.float32]:
        """The reference speckle (H, W), in counts."""
        return np.ascontiguousarray(self.pool.reference, np.float32)


@dataclass(frozen=True)
class HeldOutCount:
    """How many pairs are scored at most, and how many others there are for factors."""

    images: int
    others: int


@contextmanager
def held_out_pairs(
    config: InstrumentConfig, dataset: Path | None, count: HeldOutCount, report: Report
) -> Iterator[HeldOutPairs]:
    """Simulate pairs on the configured twin, or read the test and the validation part of a captured dataset.

    Raises
    ------
    SpeckleScopeError
        The dataset cannot be used.
    """
    if dataset is not None:
        yield _captured(config, dataset, count)
        return
    grid_px, total = config.twin.optics.image_px // config.cell_px, count.images + count.others
    data = twin_data(config, "held-out", count.images, _HELD_OUT_SEED, grid_px)
    other_data = twin_data(config, "validation", count.others, _OTHER_SEED, grid_px)
    stage = "simulating held-out pairs"
    with ExitStack() as stack:
        pool = stack.enter_context(simulated_pool(data, 0, lambda done: report(stage, done, total)))
        others = stack.enter_context(simulated_pool(other_data, 0, lambda done: report(stage, count.images + done, total)))
        yield HeldOutPairs(
            pool=pool,
            others=others,
            mask=field_mask(grid_px, field_radius(config)),
            fibre=fibre_name(config.twin.optics),
            phase_range_rad=config.phase_range_rad,
            exposure_s=data.exposure_s,
            description=f"{count.images} simulated pairs of the held-out source, seed {_HELD_OUT_SEED}",
        )


def _captured(config: InstrumentConfig, dataset: Path, count: HeldOutCount) -> HeldOutPairs:
    archive = Archive.open(dataset)
    phase_range_rad = archive.metadata.get("phase_range_rad")
    if not isinstance(phase_range_rad, int | float):
        raise ReconstructionError(f"the metadata of {dataset} has no phase_range_rad, the phase of white; acquire it again")
    grid_px = archive.spec("speckle").shape[-1] // config.cell_px
    pool = from_archive(dataset, grid_px, "test")
    pool.ready = min(pool.ready, count.images)
    try:
        others = from_archive(dataset, grid_px, "validation")
        others.ready = min(others.ready, count.others)
    except ReconstructionError:  # a small dataset may have no validation part
        others = None
    return HeldOutPairs(
        pool=pool,
        others=others,
        mask=field_mask(grid_px, field_radius(config)),
        fibre=str(archive.metadata.get("fibre", "")),
        phase_range_rad=float(phase_range_rad),
        exposure_s=archive.rows()[0].exposure_s,
        description=f"{pool.ready} pairs of the test part of {dataset.name}",
    )
