"""Table 1: every method on the same held-out pairs, with its resolution and, where it gives one, its uncertainty."""

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

from acquisition.archive.writer import Archive
from app.comparison import methods
from app.comparison.methods import NetworkMethod
from app.comparison.speed import speed_over_descent, speed_over_specdiffusion
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
from reconstruction.evaluation.comparison import Entry, Row, compare, on_grid
from reconstruction.evaluation.intervals import Estimate, Reliability, reliability
from reconstruction.evaluation.usaf import Resolved, charts, resolution
from reconstruction.few_pair.likelihood import CELL_PX
from reconstruction.field import field_mask

_CHART_SEED = 7
#: Depth of the second set of charts, as of a thin object: bars of nearly pi rad are harder than any object is.
WEAK_RAD = 1.0


#: A few-step method has no more.
FEW_EVALUATIONS = 4


@dataclass(frozen=True)
class EvaluationBudget:
    """How much is done.

    Images, the baseline's training pairs, charts, seconds that one method may take, and images on which the calibrated model is
    timed against descent.
    """

    images: int = 48
    baseline_pairs: int = 1000
    charts: int = 2
    budget_s: float = 120.0
    descents: int = 6


QUICK = EvaluationBudget(images=8, baseline_pairs=200, charts=1, budget_s=8.0, descents=0)


@dataclass(frozen=True, eq=False)
class MethodComparison:
    """The table, and what its figure shows.

    Parameters
    ----------
    numbers : dict
        Plain types: ``rows`` and what holds for all of them.
    rows : list of Row
        With the reconstructions.
    frames, truths_rad : ndarray, shape (n, H, W) and (n, grid, grid)
        The first pairs.
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


@dataclass(frozen=True)
class _Data:
    pool: PairPool
    fibre: str
    phase_range_rad: float
    exposure_s: float
    description: str


def evaluate_all(
    config: InstrumentConfig,
    report: Report,
    dataset: Path | None = None,
    models: Path | None = None,
    budget: EvaluationBudget | None = None,
    quick: bool = False,
) -> MethodComparison:
    """Score every method that there is for a fibre.

    Parameters
    ----------
    config : InstrumentConfig
        Its twin makes the pairs, unless a dataset does.
    report : Report
        Progress.
    dataset : Path, optional
        A captured dataset: its test part is scored, its training part teaches the baseline and lends reference pairs.
    models : Path, optional
        A model folder, or a folder of them, beside the shipped ones.
    effort : EvaluationBudget, optional
        How much; what ``quick`` says unless given.
    quick : bool
        Few images, and samplers cut to few steps.

    Raises
    ------
    SpeckleScopeError
        The dataset, the models or the response cannot be used.
    """
    began = time.monotonic()
    budget = budget or (QUICK if quick else EvaluationBudget())
    skipped: list[str] = []
    with _data(config, dataset, budget.images, report) as data:
        pool = data.pool
        mask = field_mask(pool.phase_rad.shape[-1], field_radius(config))
        entries = list(_entries(config, dataset, data, (models, config.response), budget, quick, skipped, report))
        rows, refused = compare(
            entries,
            pool,
            mask,
            data.phase_range_rad,
            budget.budget_s,
            lambda done, name: report("scoring", done, pool.ready, name),
        )
        skipped += refused
        resolved: dict[str, list[Resolved | str]] = {}
        if data.fibre == fibre_name(config.twin.optics):
            depths = {"usaf_um": data.phase_range_rad, "usaf_weak_um": WEAK_RAD}
            resolved = {key: _resolutions(config, rows, pool.reference, depth, budget, report) for key, depth in depths.items()}
        intervals = [_intervals(row, pool, mask, budget.budget_s) for row in rows]
        speed = _speed(config, rows, data, mask, budget, report)
        sampler = _over_specdiffusion(rows, data, budget, report)
        shown = 4
        frames, truths = np.array(pool.speckle[:shown]), np.array(pool.phase_rad[:shown])
    pixel_um = config.twin.optics.pixel_um
    dicts = [
        _row_numbers(row, {key: found[number] for key, found in resolved.items()}, intervals[number], pixel_um)
        for number, row in enumerate(rows)
    ]
    # Slow methods saw only the first images: on those alone all rows can be compared.
    common = min((len(row.per_image) for row in rows), default=0)
    for numbers_of, row in zip(dicts, rows, strict=True):
        numbers_of["ssim_common"] = float(np.mean([each.ssim for each in row.per_image[:common]]))
    numbers: dict[str, object] = {
        "data": data.description,
        "fibre": data.fibre,
        "images": pool.ready,
        "images_common": common,
        "phase_range_rad": data.phase_range_rad,
        "grid_px": len(mask),
        "threads": torch.get_num_threads(),
        **_of_the_best(dicts, intervals),
        "speed_over_descent": speed,
        "speed_over_specdiffusion": sampler,
        "skipped": skipped,
        "seconds": round(time.monotonic() - began, 1),
        "rows": dicts,
    }
    return MethodComparison(numbers, rows, frames, truths, mask, data.phase_range_rad)


@contextmanager
def _data(config: InstrumentConfig, dataset: Path | None, images: int, report: Report) -> Iterator[_Data]:
    if dataset is None:
        grid_px = config.twin.optics.image_px // CELL_PX
        wanted = twin_data(config, "held-out", images, 2, grid_px)
        with simulated_pool(wanted, 0, lambda done: report("simulating held-out pairs", done, images)) as pool:
            text = f"{images} simulated pairs of the held-out source, seed 2"
            yield _Data(pool, fibre_name(config.twin.optics), config.phase_range_rad, wanted.exposure_s, text)
        return
    archive = Archive.open(dataset)
    phase_range_rad = archive.metadata.get("phase_range_rad")
    if not isinstance(phase_range_rad, int | float):
        raise ReconstructionError(f"the metadata of {dataset} names no phase_range_rad, the phase of white; acquire it again")
    side = archive.spec("speckle").shape[-1]
    pool = from_archive(dataset, side // CELL_PX, "test")
    pool.ready = min(pool.ready, images)
    text = f"{pool.ready} pairs of the test part of {dataset.name}"
    yield _Data(pool, str(archive.metadata.get("fibre", "")), float(phase_range_rad), archive.rows()[0].exposure_s, text)


def _entries(
    config: InstrumentConfig,
    dataset: Path | None,
    data: _Data,
    folders: tuple[Path | None, Path | None],
    budget: EvaluationBudget,
    quick: bool,
    skipped: list[str],
    report: Report,
) -> Iterator[Entry]:
    models, calibrated = folders
    frame_px, grid_px = data.pool.reference.shape[0], data.pool.phase_rad.shape[-1]
    stages = ("the baseline", "models", "reference pairs", "")
    report("preparing methods", 0, len(stages), stages[0])
    yield methods.baseline(config, dataset, grid_px, budget.baseline_pairs)
    report("preparing methods", 1, len(stages), stages[1])
    known = methods.model_folders(models)
    yield from methods.models(known, data.fibre, frame_px, calibrated, quick, skipped, config)
    report("preparing methods", 2, len(stages), stages[2])
    try:
        yield from methods.few_pair(config, dataset, grid_px)
    except SpeckleScopeError as error:
        skipped.append(f"reference pairs: {error}")
    report("preparing methods", 3, len(stages), stages[3])
    try:
        yield methods.retrieval(find_response(calibrated, data.fibre), data.exposure_s)
    except SpeckleScopeError as error:
        skipped.append(f"gradient retrieval: {error}")
    report("preparing methods", len(stages), len(stages), "")


def _networks(rows: Sequence[Row]) -> list[NetworkMethod]:
    return [row.entry.method for row in rows if isinstance(row.entry.method, NetworkMethod)]


def _speed(
    config: InstrumentConfig,
    rows: Sequence[Row],
    data: _Data,
    mask: NDArray[np.bool_],
    budget: EvaluationBudget,
    report: Report,
) -> dict[str, object] | None:
    """Time the models that work through the calibrated fibre against descent through it."""
    through = [method for method in _networks(rows) if method.through_fibre]
    if not (through and budget.descents):
        return None
    report("against descent", 0, 1)
    response = find_response(config.response, data.fibre)
    pool = data.pool
    pairs = [(np.array(pool.speckle[i]), np.array(pool.phase_rad[i])) for i in range(min(budget.descents, pool.ready))]
    reference = np.ascontiguousarray(pool.reference, np.float32)
    speed = speed_over_descent(through, response, data.exposure_s, pairs, reference, mask, data.phase_range_rad)
    report("against descent", 1, 1)
    return speed


def _over_specdiffusion(rows: Sequence[Row], data: _Data, budget: EvaluationBudget, report: Report) -> dict[str, object] | None:
    """Time the models of few evaluations against SpecDiffusion at its published size."""
    few = [method for method in _networks(rows) if method.evaluations <= FEW_EVALUATIONS]
    if not few:
        return None
    report("against SpecDiffusion", 0, 1)
    frame, reference = np.array(data.pool.speckle[0]), np.ascontiguousarray(data.pool.reference, np.float32)
    config = few[0].model.network.config
    timed = speed_over_specdiffusion(few, config, frame, reference, 3 if budget.descents else 1)
    report("against SpecDiffusion", 1, 1)
    return timed


def _resolutions(
    config: InstrumentConfig,
    rows: Sequence[Row],
    reference: NDArray[np.float32],
    phase_range_rad: float,
    budget: EvaluationBudget,
    report: Report,
) -> list[Resolved | str]:
    """Show charts on the twin; words for methods that would take too long, or refuse them."""
    camera, optics = config.twin.camera, config.twin.optics
    shown = charts(optics.image_px, field_radius(config), phase_range_rad, budget.charts)
    exposure = TwinExposure(FibreOptics(optics), camera.sensor, camera.exposure_s, _CHART_SEED)
    frames = [exposure(chart.phase_rad[None])[0] for chart in shown]
    found: list[Resolved | str] = []
    stage = f"charts of {phase_range_rad:.3g} rad"
    for number, row in enumerate(rows):
        report(stage, number, len(rows), row.entry.method.name)
        if 1e-3 * row.ms_per_frame * len(frames) > budget.budget_s:
            found.append("would take too long")
            continue
        try:
            phases = [on_grid(row.entry.method.run(frame, reference), optics.image_px // CELL_PX) for frame in frames]
            found.append(resolution(phases, shown, phase_range_rad))
        except ReconstructionError as error:
            found.append(str(error))
    report(stage, len(rows), len(rows), "")
    return found


def _intervals(row: Row, pool: PairPool, mask: NDArray[np.bool_], budget_s: float) -> Reliability | None:
    """Judge a network's standard deviation; None for methods that have none, or have no time to give it."""
    method = row.entry.method
    if not isinstance(method, methods.NetworkMethod):
        return None
    # Samplers draw several images for one deviation.
    if 1e-3 * row.ms_per_frame * getattr(method.model.network.config, "samples", 1) > budget_s:
        return None
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


def _row_numbers(
    row: Row, resolved: Mapping[str, Resolved | str], interval: Reliability | None, pixel_um: float
) -> dict[str, object]:
    numbers, notes = row.to_dict(), [row.entry.note]
    for key, words in (("usaf_um", "full depth"), ("usaf_weak_um", f"{WEAK_RAD:g} rad")):
        found = resolved.get(key, "the twin is another fibre")
        numbers[key] = found.bar_px * pixel_um if isinstance(found, Resolved) and found.bar_px is not None else None
        if isinstance(found, str):
            notes.append(f"resolution at {words} not measured: {found}")
        elif found.bar_px is None:
            notes.append(f"resolves no bars of {max(found.dips, default=0) * pixel_um:.1f} um, the widest, at {words}")
    numbers["interval90_coverage"] = interval.coverage if interval is not None else None
    numbers["interval90_width_rad"] = interval.width_rad if interval is not None else None
    return numbers | {"note": "; ".join(note for note in notes if note)}


def _of_the_best(rows: Sequence[dict[str, object]], intervals: Sequence[Reliability | None]) -> dict[str, object]:
    """Resolution of the row of highest SSIM, and intervals of the highest among those that have them."""

    def best(numbers: Sequence[int]) -> int | None:
        return max(numbers, key=lambda number: float(str(rows[number]["ssim"])), default=None)

    first, certain = best(range(len(rows))), best([k for k, each in enumerate(intervals) if each is not None])
    reliable = intervals[certain] if certain is not None else None
    return {
        "best_method": rows[first]["method"] if first is not None else None,
        "usaf_um": rows[first]["usaf_um"] if first is not None else None,
        "usaf_weak_um": rows[first]["usaf_weak_um"] if first is not None else None,
        "interval_method": rows[certain]["method"] if certain is not None else None,
        "interval90_coverage": reliable.coverage if reliable else None,
        "reliability": {"nominal": list(reliable.nominal), "observed": list(reliable.observed)} if reliable else None,
    }
