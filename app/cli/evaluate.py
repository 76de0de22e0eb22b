"""The command that scores: one model, or every method on the same data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from app.cli.options import Config, Count, Json, ModelName, Response, settings_of
from app.cli.output import progress_bars, publish, write_json
from drivers.base import SpeckleScopeError

if TYPE_CHECKING:
    from app.comparison.comparison import MethodComparison
    from app.instrument.config import InstrumentConfig

#: Images of one model's scores.
_PAIRS = 48
#: What the terminal shows of the table; the files have all of it.
_PRINTED = ("method", "ssim", "psnr_db", "mae_rad", "correlation", "ms_per_frame", "images")
_SUMMARY = (
    "data", "best_method", "interval_method", "interval90_coverage", "speed_over_descent", "speed_over_specdiffusion",
    "skipped", "seconds",
)  # fmt: skip


def evaluate(
    dataset: Path | None = None,
    *,
    model: ModelName = None,
    source: str = "held-out",
    pairs: Count | None = None,
    engine: str | None = None,
    all_: Annotated[bool, Parameter(name="--all", negative="")] = False,
    steps: Path | None = None,
    models: Path | None = None,
    response: Response = None,
    quick: Annotated[bool, Parameter(negative="")] = False,
    out: Path | None = None,
    config: Config = None,
    json: Json = None,
) -> None:
    """Score a model on pairs it has not seen: error, PSNR, SSIM, correlation, IoU, time a frame.

    Parameters
    ----------
    dataset
        A captured dataset, of which the test part is used. Without it pairs are simulated on the twin.
    source
        Patterns of the simulated pairs.
    pairs
        How many pairs; 48 unless said otherwise, 8 with --quick.
    engine
        auto, openvino, onnxruntime or torch.
    all_
        Every method there is on the same held-out pairs, as a table: a linear baseline, all models for this fibre, reference
        pairs, and gradient retrieval through the calibrated response.
    steps
        A model folder: scores of its sampler against the number of steps.
    models
        With --all: a model folder, or a folder of them, beside the shipped ones.
    quick
        With --all and --steps: in under two minutes, with few images and steps.
    out
        With --all: folder for comparison.md, comparison.csv, comparison.png and ssim.svg.
    """
    if all_ and steps is not None:
        raise SpeckleScopeError("--all and --steps are two different reports; ask for one of them")
    misplaced = {"--models": models, "--out": out}
    if not all_ and (wrong := [name for name, value in misplaced.items() if value is not None]):
        raise SpeckleScopeError(f"{' and '.join(wrong)} belong to 'evaluate --all'; add --all or leave out")
    settings = settings_of(config, model=model, response=response)
    if all_:
        _everything(settings, dataset, models, pairs, quick, out, json)
    elif steps is not None:
        from app.comparison.sampler_steps import score_steps

        with progress_bars() as report:
            numbers = score_steps(settings, report, steps, pairs or (2 if quick else 12), quick)
        publish("scores by steps", numbers, json)
    else:
        publish("scores", _one_model(settings, dataset, source, pairs or _PAIRS, engine), json)


def _one_model(
    settings: InstrumentConfig, dataset: Path | None, source: str, pairs: int, engine: str | None
) -> dict[str, object]:
    from acquisition.archive.writer import Archive
    from app.instrument.opening import fibre_name
    from app.instrument.responses import attach
    from app.training.engine_check_frames import frames_for
    from app.training.train import twin_data
    from reconstruction.data.pairs import from_archive
    from reconstruction.data.simulation import simulated_pool
    from reconstruction.engines.choose import open_engine
    from reconstruction.evaluation.evaluate import evaluate as score_pool
    from reconstruction.models.model import load_model

    loaded = load_model(settings.model)
    fibre = str(Archive.open(dataset).metadata.get("fibre", "")) if dataset else fibre_name(settings.twin.optics)
    loaded.check_fibre(fibre)
    attach(loaded, settings.response, fibre)
    chosen = open_engine(loaded, engine or settings.live.engine, frames_for(loaded, settings))
    with progress_bars() as report:
        if dataset is not None:
            pool = from_archive(dataset, loaded.grid_px, "test")
            loaded.check_frame((pool.reference.shape[0], pool.reference.shape[1]))
            result = score_pool(loaded, chosen, pool, lambda done: report("scoring", done, pool.ready))
        else:
            data = twin_data(settings, source, pairs, 2, loaded.grid_px)
            with simulated_pool(data, 0, lambda done: report("simulating pairs", done, pairs)) as pool:
                result = score_pool(loaded, chosen, pool, lambda done: report("scoring", done, pairs))
    return {"model": loaded.card.name, "model_id": loaded.id, **result.to_dict()}


def _everything(
    settings: InstrumentConfig,
    dataset: Path | None,
    models: Path | None,
    pairs: int | None,
    quick: bool,
    out: Path | None,
    json: Path | None,
) -> None:
    from dataclasses import replace

    from app.comparison.comparison import QUICK, EvaluationBudget, evaluate_all
    from app.comparison.report import write_report

    budget = QUICK if quick else EvaluationBudget()
    with progress_bars() as report:
        budget = replace(budget, images=pairs or budget.images)
        comparison = evaluate_all(settings, report, dataset, models, budget, quick)
    _print(comparison)
    publish("in short", {key: comparison.numbers[key] for key in _SUMMARY}, None)
    files = write_report(comparison, out) if out is not None else []
    if json is not None:
        write_json(json, comparison.numbers | {"files": files})


def _print(comparison: MethodComparison) -> None:
    from app.comparison.report import COLUMNS, cell, rows_of

    printed = Table(title="every method on the same held-out data", title_justify="left")
    shown = [column for column in COLUMNS if column[0] in _PRINTED]
    for _, heading, form in shown:
        printed.add_column(heading, justify="right" if form else "left", min_width=6 if form else 22)
    for row in rows_of(comparison.numbers):
        printed.add_row(*(cell(row[key], form) for key, _, form in shown))
    Console().print(printed)
