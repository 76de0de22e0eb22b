"""``specklescope evaluate``: score one model, or every method on the same data."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from app.cli.options import Count, Flag, ScoredModelOptions
from app.cli.output import progress_bars, publish, write_json
from drivers.base import SpeckleScopeError

if TYPE_CHECKING:
    from app.comparison.comparison import MethodComparison
    from app.instrument.config import InstrumentConfig
    from reconstruction.models.model import Model

#: Number of images that one model is scored on.
_PAIRS = 48
#: Columns that the terminal shows; the files have all of them.
_PRINTED = ("method", "ssim", "psnr_db", "mae_rad", "correlation", "ms_per_frame", "images")
_PRINTED_BY_STEPS = ("spectrum_error", "perceptual", "crps", "coverage_90", "coverage_50")
_SUMMARY = ("data", "best_method", "interval_method", "interval90_coverage", "skipped", "seconds")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """What is scored.

    Parameters
    ----------
    source
        Patterns of the simulated pairs.
    pairs
        Number of pairs. [default: 48, or 8 with --quick]
    engine
        Engine for one model: auto, openvino, onnxruntime, torch, ...
    all_
        Score every method on the same held-out pairs and print a table: a linear baseline, all models for this fibre, few-pair
        reconstruction, and gradient retrieval through the calibrated response.
    steps
        A model folder: score its sampler for different numbers of steps, beside the default model.
    models
        With --all: a model folder, or a folder of model folders, in addition to the shipped ones.
    quick
        With --all and --steps: finish in less than three minutes, with few images and steps.
    out
        With --all: folder for comparison.md, comparison.csv, comparison.png, ssim.svg and perception.svg (texture against
        error). With --steps: folder for perception.svg.
    """

    source: str = "held-out"
    pairs: Count | None = None
    engine: str | None = None
    all_: Annotated[Flag, Parameter(name="--all")] = False
    steps: Path | None = None
    models: Path | None = None
    quick: Flag = False
    out: Path | None = None


_OPTIONS, _INSTRUMENT = EvaluationOptions(), ScoredModelOptions()


def evaluate(
    dataset: Path | None = None,
    *,
    options: EvaluationOptions = _OPTIONS,
    instrument: ScoredModelOptions = _INSTRUMENT,
) -> None:
    """Score a model on pairs that it was not trained on: error, PSNR, SSIM, correlation, IoU, time per frame.

    Parameters
    ----------
    dataset
        A captured dataset, of which the test part is used. Without it, pairs are simulated on the twin.
    """
    if options.all_ and options.steps is not None:
        raise SpeckleScopeError("--all and --steps are two different reports; ask for one of them")
    if options.models is not None and not options.all_:
        raise SpeckleScopeError("--models needs --all; add it, or leave --models out")
    if options.out is not None and not options.all_ and options.steps is None:
        raise SpeckleScopeError("--out needs --all or --steps; add one of them, or leave --out out")
    settings = instrument.settings()
    if options.all_:
        _every_method(settings, dataset, options, instrument.json)
    elif options.steps is not None:
        _by_steps(settings, options, instrument.json)
    else:
        scores = _one_model(settings, dataset, options)
        publish("scores", scores, instrument.json)
        _refuse_nothing_scored(scores["ssim"], f"model '{settings.model}'")


def _by_steps(settings: InstrumentConfig, options: EvaluationOptions, json: Path | None) -> None:
    from app.comparison.report import rows_of, write_steps_report
    from app.comparison.sampler_steps import QUICK, StepsBudget, score_steps

    assert options.steps is not None
    budget = QUICK if options.quick else StepsBudget()
    budget = replace(budget, images=options.pairs or budget.images)
    with progress_bars() as report:
        numbers = score_steps(settings, report, options.steps, budget, quick=options.quick)
    files = write_steps_report(numbers, options.out) if options.out is not None else []
    if json is not None:
        write_json(json, numbers | {"files": files})
    head = {key: value for key, value in numbers.items() if key not in ("rows", "beside")}
    scores = {key: [row[key] for row in rows_of(numbers)] for key in _PRINTED_BY_STEPS}
    publish("scores by steps", head | scores, None)


def _one_model(settings: InstrumentConfig, dataset: Path | None, options: EvaluationOptions) -> dict[str, object]:
    from acquisition.archive.reader import Archive
    from app.instrument.opening import fibre_name
    from app.instrument.responses import attach
    from reconstruction.models.model import load_model

    model = load_model(settings.model)
    fibre = str(Archive.open(dataset).metadata.get("fibre", "")) if dataset else fibre_name(settings.twin.optics)
    model.check_fibre(fibre)
    attach(model, settings.response, fibre)
    scores = _on_simulated(model, settings, options) if dataset is None else _on_captured(model, settings, dataset, options)
    return {"model": model.card.name, "model_id": model.id, **scores}


def _on_captured(model: Model, settings: InstrumentConfig, dataset: Path, options: EvaluationOptions) -> dict[str, object]:
    """Score on the test part of a captured dataset."""
    from app.training.engine_check_frames import frames_for
    from reconstruction.data.pairs import from_archive
    from reconstruction.engines.choose import open_engine
    from reconstruction.evaluation.evaluate import evaluate as score

    engine = open_engine(model, options.engine or settings.live.engine, frames_for(model, settings))
    pool = from_archive(dataset, model.grid_px, "test")
    model.check_frame(pool.reference.shape)
    with progress_bars() as report:
        return score(model, engine, pool, lambda done: report("scoring", done, pool.ready)).to_dict()


def _on_simulated(model: Model, settings: InstrumentConfig, options: EvaluationOptions) -> dict[str, object]:
    """Score on pairs simulated on the twin."""
    from app.training.engine_check_frames import frames_for
    from app.training.train import twin_data
    from reconstruction.data.simulation import simulated_pool
    from reconstruction.engines.choose import open_engine
    from reconstruction.evaluation.evaluate import evaluate as score

    engine = open_engine(model, options.engine or settings.live.engine, frames_for(model, settings))
    pairs = options.pairs or _PAIRS
    data = twin_data(settings, options.source, pairs, 2, model.grid_px)
    with (
        progress_bars() as report,
        simulated_pool(data, 0, lambda done: report("simulating pairs", done, pairs)) as pool,
    ):
        return score(model, engine, pool, lambda done: report("scoring", done, pairs)).to_dict()


def _every_method(settings: InstrumentConfig, dataset: Path | None, options: EvaluationOptions, json: Path | None) -> None:
    from app.comparison.comparison import QUICK, EvaluationBudget, evaluate_all
    from app.comparison.report import speed_lines, write_report

    budget = QUICK if options.quick else EvaluationBudget()
    budget = replace(budget, images=options.pairs or budget.images)
    with progress_bars() as report:
        comparison = evaluate_all(settings, report, dataset, options.models, budget)
    _print(comparison)
    summary = {key: comparison.numbers[key] for key in _SUMMARY}
    if speed := speed_lines(comparison.numbers):
        summary["speed"] = speed
    publish("summary", summary, None)
    files = write_report(comparison, options.out) if options.out is not None else []
    if json is not None:
        write_json(json, comparison.numbers | {"files": files})
    rows = comparison.numbers["rows"]
    assert isinstance(rows, list)
    scored = [row["ssim"] for row in rows if isinstance(row["ssim"], float) and math.isfinite(row["ssim"])]
    best = max(scored, default=math.nan)
    _refuse_nothing_scored(best, "any method")


def _refuse_nothing_scored(ssim: object, what: str) -> None:
    """Raise SpeckleScopeError if there is no score: the exit code has to say so too."""
    if not isinstance(ssim, float) or not math.isfinite(ssim):
        raise SpeckleScopeError(f"no image was scored with {what}: the SSIM is {ssim}; check the model and the pairs")


def _print(comparison: MethodComparison) -> None:
    from app.comparison.report import COLUMNS, cell, rows_of

    table = Table(title="every method on the same held-out data", title_justify="left")
    columns = [column for column in COLUMNS if column[0] in _PRINTED]
    for _, heading, form in columns:
        # Two lines each, so that all columns fit into 80 characters. Names of methods wrap, numbers never do.
        two_lines = heading.replace(", ", ",\n").replace(" per ", "\nper ")
        table.add_column(two_lines, justify="right" if form else "left", no_wrap=bool(form))
    for row in rows_of(comparison.numbers):
        table.add_row(*(cell(row[key], form) for key, _, form in columns))
    Console().print(table)
