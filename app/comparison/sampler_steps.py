"""Scores of one model for different numbers of its sampler steps, beside those of a model that gives the mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.comparison import methods
from app.comparison.held_out import HeldOutCount, HeldOutPairs, held_out_pairs
from app.comparison.methods import NetworkMethod, Requirements
from app.comparison.noise_row import with_noise
from app.comparison.row_scores import RowScores
from app.instrument.config import InstrumentConfig
from app.instrument.opening import fibre_name
from app.instrument.responses import attach
from app.progress import Report
from reconstruction.base import ReconstructionError
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.evaluation.comparison import Entry, HeldOut, compare
from reconstruction.evaluation.lpips import missing_for_lpips
from reconstruction.models.model import DEFAULT_MODEL, SHIPPED, Model, load_model

#: Numbers of steps for models without a largest number; with --quick only the first three.
STEPS = (1, 2, 4, 8, 16, 32, 64, 100)
QUICK_STEPS = (1, 2, 4)
#: Scores that the result also holds as lists over the steps.
_LISTED = ("ssim", "psnr_db", "correlation", "ms_per_frame")


@dataclass(frozen=True, kw_only=True)
class StepsBudget:
    """How much is evaluated for each number of steps.

    Parameters
    ----------
    images, others : int
        Number of held-out images, and of other images for factors.
    charts : int
        Number of whole resolution charts.
    budget_s : float
        Time in seconds that each of the parts may take: images, charts, deviations, samples.
    """

    images: int = 12
    others: int = 8
    charts: int = 2
    budget_s: float = 60.0


QUICK = StepsBudget(images=2, others=2, charts=1, budget_s=8.0)


def score_steps(
    config: InstrumentConfig, report: Report, folder: Path, budget: StepsBudget, *, quick: bool
) -> dict[str, object]:
    """Score a model on held-out pairs of the twin for increasing numbers of its steps.

    Parameters
    ----------
    config : InstrumentConfig
        Its twin simulates the pairs.
    report : Report
        Called with the progress.
    folder : Path
        The model.
    budget : StepsBudget
        How much is evaluated.
    quick : bool
        Few steps only.

    Returns
    -------
    dict
        ``rows``, one for each number of ``steps``, with all scores of the comparison of methods. ``steps``, ``ssim``,
        ``psnr_db``, ``correlation`` and ``ms_per_frame`` as lists in the same order. ``beside``: the rows of the default model
        and of its noise of the missing spectrum, if it fits the fibre.

    Raises
    ------
    ReconstructionError
        The model has no steps, or is for another fibre.
    """
    model, steps = _model_and_steps(config, folder, quick=quick)
    name, rows = model.card.name, []
    with held_out_pairs(config, None, HeldOutCount(budget.images, budget.others), report) as data:
        scoring = _Scoring(config, data, budget, report)
        for number, count in enumerate(steps):
            part = f"{number + 1} of {len(steps)}"
            method = NetworkMethod(model, f"{name}, {count} step{'s' * (count > 1)}", count, engine=TorchEngine(model))
            minutes = model.card.seconds / 60 if model.card.seconds else None
            entry = Entry(method, sum(each.numel() for each in model.network.parameters()), model.id, minutes=minutes)
            rows.append({"steps": count} | scoring.numbers(entry, part))
        beside = _beside(config, data)
        compared = [scoring.numbers(entry, "the mean") for entry in [*beside, *with_noise(beside, data)]]
    lists = {key: [row[key] for row in rows] for key in _LISTED}
    head = {"model": name, "model_id": model.id, "images": budget.images, "lpips_missing": missing_for_lpips()}
    return {**head, "steps": steps, **lists, "rows": rows, "beside": compared}


class _Scoring:
    """Gives all numbers of one entry."""

    def __init__(self, config: InstrumentConfig, data: HeldOutPairs, budget: StepsBudget, report: Report) -> None:
        self._held_out = HeldOut(data.pool, data.mask, data.phase_range_rad)
        self._budget_s = budget.budget_s
        self._scores = RowScores(config, data, budget.charts, budget.budget_s)
        self._report = report

    def numbers(self, entry: Entry, part: str) -> dict[str, object]:
        """Score an entry; ``part`` is a remark beside the progress."""
        total = self._held_out.pool.ready
        rows, refused = compare(
            [entry], self._held_out, self._budget_s, lambda done, _: self._report(entry.method.name, done, total, part)
        )
        if refused:
            raise ReconstructionError(refused[0])
        return self._scores.of(rows[0]).numbers


def _beside(config: InstrumentConfig, data: HeldOutPairs) -> list[Entry]:
    """Return the default model if it is for this fibre."""
    needed = Requirements(data.fibre, config.twin.optics.image_px)
    return methods.models([SHIPPED / DEFAULT_MODEL], config, needed)[0]


def _model_and_steps(config: InstrumentConfig, folder: Path, *, quick: bool) -> tuple[Model, list[int]]:
    """Load a model for the twin's fibre, and choose the numbers of steps."""
    model = load_model(folder)
    most = model.network.most_steps
    if most == 0:
        raise ReconstructionError(
            f"model {model.card.name!r} of kind '{model.card.kind}' has no sampler steps; choose a model that has some"
        )
    fibre = fibre_name(config.twin.optics)
    model.check_fibre(fibre)
    model.check_frame((config.twin.optics.image_px,) * 2)
    attach(model, config.response, fibre)
    candidates = QUICK_STEPS if quick else STEPS if most is None else model.network.step_choices or range(1, most + 1)
    return model, [count for count in candidates if most is None or count <= most]
