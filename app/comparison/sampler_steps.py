"""Scores of one model for different numbers of its sampler steps."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from app.instrument.config import InstrumentConfig
from app.instrument.opening import fibre_name
from app.instrument.responses import attach
from app.progress import Report
from app.training.train import twin_data
from reconstruction.base import ReconstructionError
from reconstruction.data.simulation import simulated_pool
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.metrics import mean_scores, score
from reconstruction.models.model import Model, load_model

#: Numbers of steps for models without a largest number; with --quick only the first three.
STEPS = (1, 2, 4, 8, 16, 32, 64, 100)
QUICK_STEPS = (1, 2, 4)


def score_steps(config: InstrumentConfig, report: Report, folder: Path, images: int, *, quick: bool) -> dict[str, object]:
    """Score a model on held-out pairs of the twin for increasing numbers of its steps.

    Parameters
    ----------
    config : InstrumentConfig
        Its twin simulates the pairs.
    report : Report
        Called with the progress.
    folder : Path
        The model.
    images : int
        Number of held-out images.
    quick : bool
        Few steps only.

    Returns
    -------
    dict
        ``steps`` and, in the same order, ``ssim``, ``psnr_db``, ``correlation`` and ``ms_per_frame``.

    Raises
    ------
    ReconstructionError
        The model has no steps, or is for another fibre.
    """
    model, steps = _model_and_steps(config, folder, quick=quick)
    engine = TorchEngine(model)
    curve: dict[str, list[float]] = {"ssim": [], "psnr_db": [], "correlation": [], "ms_per_frame": []}
    with simulated_pool(twin_data(config, "held-out", images, 2, model.grid_px), 0) as pool:
        for number, count in enumerate(steps):
            model.network.set_steps(count)
            scores, times_ms = [], []
            stage = f"{count} steps" if count > 1 else "1 step"
            for index in range(pool.ready):
                report(stage, index, pool.ready, f"{number + 1} of {len(steps)}")
                start = time.perf_counter()
                phase = engine.run(np.array(pool.speckle[index]), pool.reference)
                times_ms.append(1e3 * (time.perf_counter() - start))
                scores.append(score(phase, np.asarray(pool.phase_rad[index]), model.mask, config.phase_range_rad))
            report(stage, pool.ready, pool.ready, "")
            mean = mean_scores(scores)
            for name in ("ssim", "psnr_db", "correlation"):
                curve[name].append(getattr(mean, name))
            curve["ms_per_frame"].append(float(np.median(times_ms)))
    return {"model": model.card.name, "model_id": model.id, "images": images, "steps": steps, **curve}


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
    candidates = QUICK_STEPS if quick else STEPS if most is None else range(1, most + 1)
    return model, [count for count in candidates if most is None or count <= most]
