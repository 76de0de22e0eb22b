"""All methods on the same held-out pairs: scores, resolution, speed, and uncertainty where a method gives one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from acquisition.archive.reader import Archive
from app.comparison import methods
from app.comparison.methods import NetworkMethod, Requirements
from app.comparison.speed import TimedFrames, speed_over_descent, speed_over_specdiffusion
from app.instrument.config import InstrumentConfig
from app.instrument.opening import fibre_name
from app.instrument.responses import find_response
from app.progress import Report
from app.training.train import INTERVAL_SCALE, field_radius, twin_data
from drivers.base import SpeckleScopeError
from drivers.twin.optics import FibreOptics
from reconstruction.base import ReconstructionError
from reconstruction.data.pairs import PairPool, TwinExposure, from_archive
from reconstruction.data.simulation import simulated_pool
from reconstruction.evaluation.comparison import Entry, HeldOut, Row, compare, on_grid
from reconstruction.evaluation.intervals import Estimate, Reliability, reliability
from reconstruction.evaluation.usaf import Resolution, charts, resolution
from reconstruction.few_pair.likelihood import CELL_PX
from reconstruction.field import field_mask

_HELD_OUT_SEED, _CHART_SEED = 2, 7
#: Phase of the second set of charts, in radians: a thin object. Its bars are harder to resolve than those of full range.
WEAK_RAD = 1.0
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
    """

    images: int = 48
    baseline_pairs: int = 1000
    charts: int = 2
    budget_s: float = 120.0
    descents: int = 6
    sampler_steps: int = 0


QUICK = EvaluationBudget(images=8, baseline_pairs=200, charts=1, budget_s=8.0, descents=0, sampler_steps=4)


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
    with _held_out_pairs(config, dataset, budget.images, report) as data:
        evaluation = _Evaluation(config=config, report=report, dataset=dataset, models=models, budget=budget, data=data)
        return evaluation.run(started_s)


@dataclass(frozen=True, eq=False, kw_only=True)
class _HeldOutPairs:
    """The pairs that all methods are scored on, and where they come from."""

    pool: PairPool
    mask: NDArray[np.bool_]
    fibre: str
    phase_range_rad: float
    exposure_s: float
    description: str

    @property
    def reference(self) -> NDArray[np.float32]:
        return np.ascontiguousarray(self.pool.reference, np.float32)


@contextmanager
def _held_out_pairs(config: InstrumentConfig, dataset: Path | None, images: int, report: Report) -> Iterator[_HeldOutPairs]:
    if dataset is None:
        grid_px = config.twin.optics.image_px // CELL_PX
        data = twin_data(config, "held-out", images, _HELD_OUT_SEED, grid_px)
        with simulated_pool(data, 0, lambda done: report("simulating held-out pairs", done, images)) as pool:
            yield _HeldOutPairs(
                pool=pool,
                mask=field_mask(grid_px, field_radius(config)),
                fibre=fibre_name(config.twin.optics),
                phase_range_rad=config.phase_range_rad,
                exposure_s=data.exposure_s,
                description=f"{images} simulated pairs of the held-out source, seed {_HELD_OUT_SEED}",
            )
        return
    archive = Archive.open(dataset)
    phase_range_rad = archive.metadata.get("phase_range_rad")
    if not isinstance(phase_range_rad, int | float):
        raise ReconstructionError(f"the metadata of {dataset} has no phase_range_rad, the phase of white; acquire it again")
    grid_px = archive.spec("speckle").shape[-1] // CELL_PX
    pool = from_archive(dataset, grid_px, "test")
    pool.ready = min(pool.ready, images)
    yield _HeldOutPairs(
        pool=pool,
        mask=field_mask(grid_px, field_radius(config)),
        fibre=str(archive.metadata.get("fibre", "")),
        phase_range_rad=float(phase_range_rad),
        exposure_s=archive.rows()[0].exposure_s,
        description=f"{pool.ready} pairs of the test part of {dataset.name}",
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class _Evaluation:
    config: InstrumentConfig
    report: Report
    dataset: Path | None
    models: Path | None
    budget: EvaluationBudget
    data: _HeldOutPairs

    def run(self, started_s: float) -> MethodComparison:
        data, pool = self.data, self.data.pool
        entries, skipped = self._entries()
        rows, refused = self._scored(entries)
        resolved = self._resolutions(rows)
        intervals = [self._intervals(row) for row in rows]
        speed = self._speed_over_descent(rows)
        sampler = self._speed_over_specdiffusion(rows)
        numbers_of_rows = self._row_numbers(rows, resolved, intervals)
        numbers: dict[str, object] = {
            "data": data.description,
            "fibre": data.fibre,
            "images": pool.ready,
            "images_common": _common_images(rows),
            "phase_range_rad": data.phase_range_rad,
            "grid_px": len(data.mask),
            "threads": torch.get_num_threads(),
            **_numbers_of_the_best(numbers_of_rows, intervals),
            "speed_over_descent": speed,
            "speed_over_specdiffusion": sampler,
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
        )

    def _resolutions(self, rows: Sequence[Row]) -> dict[str, list[Resolution | str]]:
        """Measure the resolution for two phases of the bars; empty if the pairs come from another fibre than the twin's."""
        if self.data.fibre != fibre_name(self.config.twin.optics):
            return {}
        phases = {"usaf_um": self.data.phase_range_rad, "usaf_weak_um": WEAK_RAD}
        return {key: self._resolution(rows, phase_rad) for key, phase_rad in phases.items()}

    def _resolution(self, rows: Sequence[Row], bars_rad: float) -> list[Resolution | str]:
        """Show charts on the twin; return a text for methods that would take too long, or that refuse the frames."""
        camera, optics = self.config.twin.camera, self.config.twin.optics
        shown = charts(optics.image_px, field_radius(self.config), bars_rad, self.budget.charts)
        exposure = TwinExposure(FibreOptics(optics), camera.sensor, camera.exposure_s, _CHART_SEED)
        frames = [exposure(chart.phase_rad[None])[0] for chart in shown]
        results: list[Resolution | str] = []
        stage = f"charts of {bars_rad:.3g} rad"
        for number, row in enumerate(rows):
            self.report(stage, number, len(rows), row.entry.method.name)
            if 1e-3 * row.ms_per_frame * len(frames) > self.budget.budget_s:
                results.append("it would take too long")
                continue
            try:
                reconstructed = [row.entry.method.run(frame, self.data.pool.reference) for frame in frames]
                phases = [on_grid(phase, optics.image_px // CELL_PX) for phase in reconstructed]
                results.append(resolution(phases, shown, bars_rad))
            except ReconstructionError as error:
                results.append(str(error))
        self.report(stage, len(rows), len(rows), "")
        return results

    def _intervals(self, row: Row) -> Reliability | None:
        """Evaluate the standard deviation of a network; None for methods that have none, or no time to compute it."""
        method, budget_s = row.entry.method, self.budget.budget_s
        if not isinstance(method, NetworkMethod):
            return None
        # A sampler draws several images for one deviation.
        if 1e-3 * row.ms_per_frame * getattr(method.model.network.config, "samples", 1) > budget_s:
            return None
        pool, mask = self.data.pool, self.data.mask
        estimates: list[Estimate] = []
        start = time.monotonic()
        for index in range(len(row.per_image)):
            if len(estimates) >= 2 and time.monotonic() - start > budget_s:
                break
            both = method.deviation(np.array(pool.speckle[index]), pool.reference)
            if both is None:
                return None
            truth = np.asarray(pool.phase_rad[index], np.float32)
            estimates.append(Estimate(on_grid(both[0], len(mask)), on_grid(both[1], len(mask)), truth))
        scale = method.model.card.training.get(INTERVAL_SCALE, 1.0)
        return reliability(estimates, mask, float(str(scale)))

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

    def _row_numbers(
        self, rows: Sequence[Row], resolved: Mapping[str, list[Resolution | str]], intervals: Sequence[Reliability | None]
    ) -> list[dict[str, object]]:
        pixel_um, common = self.config.twin.optics.pixel_um, _common_images(rows)
        numbers = []
        for index, (row, interval) in enumerate(zip(rows, intervals, strict=True)):
            of_row = {key: results[index] for key, results in resolved.items()}
            numbers.append(
                _numbers_of(row, of_row, interval, pixel_um)
                | {"ssim_common": float(np.mean([each.ssim for each in row.per_image[:common]]))}
            )
        return numbers


def _common_images(rows: Sequence[Row]) -> int:
    """Return how many images all methods have seen. Slow methods see only the first ones."""
    return min((len(row.per_image) for row in rows), default=0)


def _numbers_of(
    row: Row, resolved: Mapping[str, Resolution | str], interval: Reliability | None, pixel_um: float
) -> dict[str, object]:
    numbers, notes = row.to_dict(), [row.entry.note]
    for key, phase in (("usaf_um", "the full phase range"), ("usaf_weak_um", f"{WEAK_RAD:g} rad")):
        result = resolved.get(key, "the twin is another fibre")
        numbers[key] = result.bar_px * pixel_um if isinstance(result, Resolution) and result.bar_px is not None else None
        if isinstance(result, str):
            notes.append(f"resolution at {phase} not measured: {result}")
        elif result.bar_px is None:
            widest_um = max(result.dips, default=0) * pixel_um
            notes.append(f"does not resolve the widest bars, {widest_um:.1f} um, at {phase}")
    numbers["interval90_coverage"] = interval.coverage if interval is not None else None
    numbers["interval90_width_rad"] = interval.width_rad if interval is not None else None
    return numbers | {"note": "; ".join(note for note in notes if note)}


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
