"""All methods on the same held-out pairs: scores, resolution, speed, and uncertainty where a method gives one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from app.comparison import methods
from app.comparison.held_out import HeldOutCount, HeldOutPairs, held_out_pairs
from app.comparison.methods import Requirements
from app.comparison.noise_row import with_noise
from app.comparison.row_scores import RowScores, ScoredRow
from app.comparison.speed import TimedFrames, speed_over_descent, speed_over_specdiffusion
from app.instrument.config import InstrumentConfig
from app.instrument.responses import find_response
from app.progress import Report
from drivers.base import SpeckleScopeError
from reconstruction.evaluation.comparison import Entry, HeldOut, Row, compare
from reconstruction.evaluation.intervals import Reliability
from reconstruction.evaluation.lpips import missing_for_lpips

#: A method with at most this many evaluations is a few-step method.
FEW_EVALUATIONS = 4
#: Number of pairs that the figure shows.
_SHOWN = 4


@dataclass(frozen=True, kw_only=True)
class EvaluationBudget:
    """How much is evaluated.

    Parameters
    ----------
    images : int
        Number of held-out images.
    baseline_pairs : int
        Number of pairs that the baseline is trained on.
    charts : int
        Number of whole resolution charts.
    budget_s : float
        Time in seconds that one method may take. A slower method sees fewer images, and its uncertainty is skipped.
    descents : int
        Number of images on which the calibrated models are timed against gradient descent; 0 skips this.
    sampler_steps : int
        Models with more steps are cut to so many; 0 cuts none.
    others : int
        Number of other images, on which widening factors and the missing spectrum are fitted.
    least_images : int
        Number of images that even the slowest method is scored on.
    """

    images: int = 48
    baseline_pairs: int = 1000
    charts: int = 2
    budget_s: float = 120.0
    descents: int = 6
    sampler_steps: int = 0
    others: int = 8
    least_images: int = 2


QUICK = EvaluationBudget(
    images=8, baseline_pairs=100, charts=1, budget_s=5.0, descents=0, sampler_steps=4, others=4, least_images=1
)


@dataclass(frozen=True, eq=False, kw_only=True)
class MethodComparison:
    """The comparison of all methods.

    Parameters
    ----------
    numbers : dict
        Plain types: ``rows``, one for each method, and what holds for all of them.
    rows : list of Row
        The same methods with their reconstructions.
    frames, truths_rad : ndarray, shape (n, H, W) and (n, grid, grid)
        The first pairs, for the figure.
    mask : ndarray of bool, shape (grid, grid)
        The fibre's disc.
    phase_range_rad : float
        Phase of white.
    """

    numbers: dict[str, object]
    rows: list[Row]
    frames: NDArray[Any]
    truths_rad: NDArray[np.float32]
    mask: NDArray[np.bool_]
    phase_range_rad: float


def evaluate_all(
    config: InstrumentConfig,
    report: Report,
    dataset: Path | None = None,
    models: Path | None = None,
    budget: EvaluationBudget | None = None,
) -> MethodComparison:
    """Score every method that is available for a fibre.

    Parameters
    ----------
    config : InstrumentConfig
        Its twin simulates the pairs if there is no dataset.
    report : Report
        Called with the progress.
    dataset : Path, optional
        A captured dataset. Its test part is scored; its training part trains the baseline and provides reference pairs.
    models : Path, optional
        A model folder, or a folder of model folders, in addition to the shipped ones.
    budget : EvaluationBudget, optional
        How much is evaluated.

    Raises
    ------
    SpeckleScopeError
        The dataset, the models or the response cannot be used.
    """
    started_s = time.monotonic()
    budget = budget or EvaluationBudget()
    with held_out_pairs(config, dataset, HeldOutCount(budget.images, budget.others), report) as data:
        evaluation = _Evaluation(config=config, report=report, dataset=dataset, models=models, budget=budget, data=data)
        return evaluation.run(started_s)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Evaluation:
    config: InstrumentConfig
    report: Report
    dataset: Path | None
    models: Path | None
    budget: EvaluationBudget
    data: HeldOutPairs

    def run(self, started_s: float) -> MethodComparison:
        data, pool = self.data, self.data.pool
        entries, skipped = self._entries()
        rows, refused = self._scored(entries)
        scored = self._scored_rows(rows)
        speed = self._speed_over_descent(rows)
        sampler = self._speed_over_specdiffusion(rows)
        numbers_of_rows = _with_common_images(rows, scored)
        numbers: dict[str, object] = {
            "data": data.description,
            "fibre": data.fibre,
            "images": pool.ready,
            "images_common": _common_images(rows),
            "phase_range_rad": data.phase_range_rad,
            "grid_px": len(data.mask),
            "threads": torch.get_num_threads(),
            **_numbers_of_the_best(numbers_of_rows, [each.reliability for each in scored]),
            "speed_over_descent": speed,
            "speed_over_specdiffusion": sampler,
            "lpips_missing": missing_for_lpips(),
            "skipped": skipped + refused,
            "seconds": round(time.monotonic() - started_s, 1),
            "rows": numbers_of_rows,
        }
        return MethodComparison(
            numbers=numbers,
            rows=rows,
            frames=np.array(pool.speckle[:_SHOWN]),
            truths_rad=np.array(pool.phase_rad[:_SHOWN]),
            mask=data.mask,
            phase_range_rad=data.phase_range_rad,
        )

    def _entries(self) -> tuple[list[Entry], list[str]]:
        """Prepare all methods; return them, and a line for each that was skipped."""
        config, data = self.config, self.data
        frame_px, grid_px = data.pool.reference.shape[0], data.pool.phase_rad.shape[-1]
        stages = ("the baseline", "models", "reference pairs", "")

        def begin(stage: int) -> None:
            self.report("preparing methods", stage, len(stages), stages[stage])

        begin(0)
        entries = [methods.baseline(config, self.dataset, grid_px, self.budget.baseline_pairs)]
        begin(1)
        folders = methods.model_folders(self.models)
        usable, skipped = methods.models(folders, config, Requirements(data.fibre, frame_px), self.budget.sampler_steps)
        entries += usable
        entries += with_noise(usable, data)
        begin(2)
        try:
            entries += methods.few_pair(config, self.dataset, grid_px)
        except SpeckleScopeError as error:
            skipped.append(f"reference pairs: {error}")
        begin(3)
        try:
            entries.append(methods.retrieval(find_response(config.response, data.fibre), data.exposure_s))
        except SpeckleScopeError as error:
            skipped.append(f"gradient retrieval: {error}")
        self.report("preparing methods", len(stages), len(stages), "")
        return entries, skipped

    def _scored(self, entries: Sequence[Entry]) -> tuple[list[Row], list[str]]:
        data = self.data
        return compare(
            entries,
            HeldOut(data.pool, data.mask, data.phase_range_rad),
            self.budget.budget_s,
            lambda done, name: self.report("scoring", done, data.pool.ready, name),
            self.budget.least_images,
        )

    def _scored_rows(self, rows: Sequence[Row]) -> list[ScoredRow]:
        """Measure resolution, uncertainty and textures of every method."""
        stage, scored = "resolution, samples and textures", []
        scores = RowScores(self.config, self.data, self.budget.charts, self.budget.budget_s)
        for number, row in enumerate(rows):
            self.report(stage, number, len(rows), row.entry.method.name)
            scored.append(scores.of(row))
        self.report(stage, len(rows), len(rows), "")
        return scored

    def _speed_over_descent(self, rows: Sequence[Row]) -> dict[str, object] | None:
        """Time the models that work through the calibrated fibre against gradient descent through it."""
        networks = methods.network_methods([row.entry for row in rows])
        through = [method for method in networks if method.through_fibre]
        if not (through and self.budget.descents):
            return None
        self.report("against descent", 0, 1)
        data, pool = self.data, self.data.pool
        count = min(self.budget.descents, pool.ready)
        frames = TimedFrames(
            pairs=[(np.array(pool.speckle[index]), np.array(pool.phase_rad[index])) for index in range(count)],
            reference=data.reference,
            exposure_s=data.exposure_s,
            mask=data.mask,
            phase_range_rad=data.phase_range_rad,
        )
        speed = speed_over_descent(through, find_response(self.config.response, data.fibre), frames)
        self.report("against descent", 1, 1)
        return speed

    def _speed_over_specdiffusion(self, rows: Sequence[Row]) -> dict[str, object] | None:
        """Time the few-step models against SpecDiffusion at its published size."""
        networks = methods.network_methods([row.entry for row in rows])
        few_step = [method for method in networks if method.evaluations <= FEW_EVALUATIONS]
        if not few_step:
            return None
        self.report("against SpecDiffusion", 0, 1)
        frame, config = np.array(self.data.pool.speckle[0]), few_step[0].model.network.config
        rounds = 3 if self.budget.descents else 1
        speed = speed_over_specdiffusion(few_step, config, frame, self.data.reference, rounds)
        self.report("against SpecDiffusion", 1, 1)
        return speed


def _common_images(rows: Sequence[Row]) -> int:
    """Return how many images all methods have seen. Slow methods see only the first ones."""
    return min((len(row.per_image) for row in rows), default=0)


def _with_common_images(rows: Sequence[Row], scored: Sequence[ScoredRow]) -> list[dict[str, object]]:
    """Return the numbers of the rows, each with its SSIM over the images that all methods have seen."""
    common = _common_images(rows)
    return [
        each.numbers | {"ssim_common": float(np.mean([image.ssim for image in row.per_image[:common]]))}
        for row, each in zip(rows, scored, strict=True)
    ]


def _numbers_of_the_best(rows: Sequence[Mapping[str, object]], intervals: Sequence[Reliability | None]) -> dict[str, object]:
    """Return the resolution of the method with the highest SSIM, and the intervals of the best of those that have intervals."""

    def best(numbers: Sequence[int]) -> int | None:
        return max(numbers, key=lambda number: float(str(rows[number]["ssim"])), default=None)

    first, with_interval = best(range(len(rows))), best([k for k, each in enumerate(intervals) if each is not None])
    reliable = intervals[with_interval] if with_interval is not None else None
    return {
        "best_method": rows[first]["method"] if first is not None else None,
        "usaf_um": rows[first]["usaf_um"] if first is not None else None,
        "usaf_weak_um": rows[first]["usaf_weak_um"] if first is not None else None,
        "interval_method": rows[with_interval]["method"] if with_interval is not None else None,
        "interval90_coverage": reliable.coverage if reliable else None,
        "reliability": {"nominal": list(reliable.nominal), "observed": list(reliable.observed)} if reliable else None,
    }
