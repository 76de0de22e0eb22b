"""What a method says about its own uncertainty on the held-out images: a standard deviation, and samples."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from app.comparison.held_out import HeldOutPairs
from app.comparison.methods import NetworkMethod
from app.training.train import INTERVAL_SCALE
from reconstruction.data.pairs import PairPool
from reconstruction.engines.base import Counts
from reconstruction.evaluation.comparison import Row, on_grid
from reconstruction.evaluation.intervals import Estimate
from reconstruction.evaluation.samples import SAMPLES, SampledImage, widening_factor

Phase = NDArray[np.float32]


@runtime_checkable
class SamplingMethod(Protocol):
    """A method that may draw several pictures of one frame."""

    def samples(self, frame: Counts, reference: Phase, count: int) -> NDArray[np.float32] | None:
        """Return ``count`` pictures (count, grid, grid) in radians; None if the method gives one picture only."""


@dataclass(frozen=True, eq=False)
class Deviations:
    """Phases with their standard deviations, and the factor on these that was fitted on validation images."""

    estimates: tuple[Estimate, ...] = ()
    scale: float = 1.0


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples of the first held-out images, the widening factor that other images gave, and a remark for the reader."""

    images: tuple[SampledImage, ...] = ()
    widening: float | None = None
    note: str = ""


def measure_deviations(row: Row, data: HeldOutPairs, budget_s: float) -> Deviations:
    """Compute the standard deviation of a network; empty for methods that have none, or no time to compute it."""
    method = row.entry.method
    if not isinstance(method, NetworkMethod):
        return Deviations()
    # A sampler draws several images for one deviation.
    if 1e-3 * row.ms_per_frame * getattr(method.model.network.config, "samples", 1) > budget_s:
        return Deviations()
    estimates: list[Estimate] = []
    start_s = time.monotonic()
    for index in range(len(row.per_image)):
        if len(estimates) >= 2 and time.monotonic() - start_s > budget_s:
            break
        both = method.deviation(np.array(data.pool.speckle[index]), data.reference)
        if both is None:
            return Deviations()
        truth = np.asarray(data.pool.phase_rad[index], np.float32)
        estimates.append(Estimate(on_grid(both[0], len(data.mask)), on_grid(both[1], len(data.mask)), truth))
    scale = method.model.card.training.get(INTERVAL_SCALE, 1.0)
    return Deviations(tuple(estimates), float(str(scale)))


def measure_samples(row: Row, data: HeldOutPairs, budget_s: float) -> Samples:
    """Draw 19 samples of held-out images, and of other images for the widening factor.

    Parameters
    ----------
    row : Row
        The scored method.
    data : HeldOutPairs
        The images.
    budget_s : float
        Time in seconds for all samples. A quarter of it is for the other images. There are no samples if those of three images
        would take longer.
    """
    method = row.entry.method
    if not isinstance(method, SamplingMethod):
        return Samples()
    frame = np.array(data.pool.speckle[0])
    if method.samples(frame, data.reference, 1) is None:
        return Samples()
    start_s = time.monotonic()  # the first call also prepares the model
    method.samples(frame, data.reference, 1)
    if 3 * SAMPLES * (time.monotonic() - start_s) > budget_s:
        return Samples(note=f"{SAMPLES} samples of an image would take too long")
    sampling = _Sampling(method, data)
    widening = None
    if data.others is not None:
        fitted = tuple(sampling.images(data.others, data.others.ready, budget_s / 4))
        widening = widening_factor(fitted, data.mask)
    return Samples(tuple(sampling.images(data.pool, len(row.per_image), budget_s)), widening)


class _Sampling:
    """Draws samples of the pairs of a pool."""

    def __init__(self, method: SamplingMethod, data: HeldOutPairs) -> None:
        self._method = method
        self._data = data

    def images(self, pool: PairPool, count: int, budget_s: float) -> Iterator[SampledImage]:
        """Yield samples of the first ``count`` images; after the budget is spent, of no more than one."""
        start_s = time.monotonic()
        for index in range(count):
            if index and time.monotonic() - start_s > budget_s:
                return
            drawn = self._method.samples(np.array(pool.speckle[index]), self._data.reference, SAMPLES)
            assert drawn is not None, "it gave samples before"
            on_mask = np.stack([on_grid(each, len(self._data.mask)) for each in drawn])
            yield SampledImage(on_mask, np.asarray(pool.phase_rad[index], np.float32))
