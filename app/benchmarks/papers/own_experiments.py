"""The experiments of two papers with data of their own: ResUNet on handwriting, SpecDiffusion's fine-tuning on few pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from app.benchmarks.papers.plan import CELLS, FEW_PAIRS, PairsPlan, PaperModel, Shelf
from app.benchmarks.papers.trainings import PapersFolder, papers_pool
from app.comparison.sampled_mean import MEAN_OF
from app.instrument.config import InstrumentConfig
from app.progress import Report
from app.training.train import twin_data
from reconstruction.data.pairs import PairPool
from reconstruction.data.simulation import stored_pool
from reconstruction.evaluation.comparison import on_grid
from reconstruction.field import field_mask
from reconstruction.metrics import mean_scores, pearson, score
from reconstruction.models.model import Model, load_model

Phase = NDArray[np.float32]
Numbers = dict[str, object]
#: From a frame and the reference to the phase.
Run = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

#: Number of held-out digits that are scored.
_DIGITS = 200
#: Held-out cells: no training has their seed.
_HELD_OUT_CELLS = PairsPlan(source=CELLS.source, pairs=48, seed=90_001)


def score_handwriting(config: InstrumentConfig, folder: PapersFolder, model: PaperModel, report: Report) -> Numbers:
    """Score the ResUNet of the handwriting on held-out digits, by both measures that its paper may mean by fidelity.

    Returns
    -------
    dict
        ``handwriting_pearson``: Pearson's correlation; ``handwriting_fidelity``: the absolute mean of
        ``exp(i (phase - truth))``. Both inside the disc, means over ``handwriting_images`` digits, on the grid of scores.
    """
    side = config.twin.optics.image_px
    data = twin_data(config, str(folder.digits / "test"), _DIGITS, 3, side // config.cell_px)
    pool = stored_pool(data, folder.path / "pairs" / "handwriting-test", 0, lambda done: report("digits", done, _DIGITS))
    trained = load_model(folder.trained(model))
    mask = field_mask(side // config.cell_px, trained.card.field_radius)
    correlations, fidelities = [], []
    for phase, truth in _reconstructed(_once(trained), pool, len(mask)):
        correlations.append(pearson(phase[mask], truth[mask]))
        fidelities.append(float(np.abs(np.exp(1j * (phase - truth)[mask]).mean())))
    return {
        "handwriting_model": model.name,
        "handwriting_images": pool.ready,
        "handwriting_pearson": float(np.mean(correlations)),
        "handwriting_fidelity": float(np.mean(fidelities)),
    }


def score_transfer(config: InstrumentConfig, folder: PapersFolder, models: Sequence[PaperModel], report: Report) -> Numbers:
    """Score the models that were fine-tuned on few cells on other cells.

    Returns
    -------
    dict
        ``transfer``: for every kind of model ``pairs`` and, in the same order, ``correlation``, ``ssim`` and ``ssim_centred``.
        A sampler is scored by the mean of its samples, and its single samples by ``one_sample_correlation``.
    """
    side = config.twin.optics.image_px // config.cell_px
    pool = papers_pool(config, folder, _HELD_OUT_CELLS, report).on_grid(side)
    transfer: dict[str, dict[str, list[float]]] = {}
    shelf = [model for model in models if model.shelf is Shelf.TRANSFER]
    for number, model in enumerate(shelf):
        report("transfer", number, len(shelf), model.name)
        trained = load_model(folder.trained(model))
        mask = field_mask(side, trained.card.field_radius)
        curve = transfer.setdefault(model.kind, {})
        runs = {"": _mean(trained)} if trained.network.gives_samples else {"": _once(trained)}
        if trained.network.gives_samples:
            runs["one_sample_"] = _once(trained)
        curve.setdefault("pairs", []).append(model.few)
        for prefix, run in runs.items():
            pairs = _reconstructed(run, pool, side)
            scores = mean_scores([score(phase, truth, mask, config.phase_range_rad) for phase, truth in pairs])
            for name in ("correlation", "ssim", "ssim_centred"):
                curve.setdefault(f"{prefix}{name}", []).append(getattr(scores, name))
    report("transfer", len(shelf), len(shelf))
    return {
        "transfer_pairs": [0, *FEW_PAIRS],
        "transfer_data": "simulated cells; the models had learned from leaves, without cells",
        "transfer": transfer,
    }


def _reconstructed(run: Run, pool: PairPool, grid_px: int) -> list[tuple[Phase, Phase]]:
    """Return reconstruction and truth of every pair, on the grid of scores."""
    pairs: list[tuple[Phase, Phase]] = []
    with torch.inference_mode():
        for index in range(pool.ready):
            pair = pool.batch(np.array([index]))
            phase: NDArray[Any] = run(pair.frames, pair.reference).float().numpy()
            pairs.append((on_grid(phase, grid_px), np.array(pool.phase_rad[index], np.float32)))
    return pairs


def _once(model: Model) -> Run:
    return lambda frame, reference: model.network(frame, reference)[0, 0]


def _mean(model: Model) -> Run:
    return lambda frame, reference: model.network.sample(frame, reference, range(MEAN_OF)).flatten(0, -3).mean(0)
