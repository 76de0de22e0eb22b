"""Times all models of a fibre in turns, each on its fastest engine: how many times as long as the default model each takes."""

from __future__ import annotations

import numpy as np

from app.instrument.config import InstrumentConfig
from app.instrument.opening import fibre_name
from app.instrument.responses import attach
from app.progress import Report
from app.training.engine_check_frames import frames_for
from app.training.train import MAX_EVALUATIONS
from reconstruction.base import ReconstructionError
from reconstruction.engines.base import Engine
from reconstruction.engines.check_frames import CheckFrames
from reconstruction.engines.choose import open_engine, times_in_turns
from reconstruction.models.model import Model, load_model, shipped_models

_ROUNDS, _QUICK_ROUNDS = 40, 12
#: Samplers of many steps are timed with this number of steps, because every step takes the same time.
_STEPS = 4
#: Longest time for each model, in seconds.
_BUDGET_S = 12.0


def models_in_turns(config: InstrumentConfig, report: Report, *, quick: bool = False) -> dict[str, object]:
    """Time the configured model and every shipped model of its fibre, frame by frame in turns.

    Each model runs on the engine that is the fastest here, with its standard deviation where it gives one, as in the live view.

    Parameters
    ----------
    config : InstrumentConfig
        Its model is the one that the others are compared with.
    report : Report
        Called with the model that is opened.
    quick : bool
        Fewer rounds.

    Returns
    -------
    dict
        ``rows``: for each model ``ms_p50``, ``ms_p99`` and ``ratio``, the median divided by that of the configured model.
        ``skipped``: why the other models were not timed.
    """
    first = load_model(config.model)
    timed: list[tuple[Model, Engine]] = [(first, _opened(first, config))]
    frames = frames_for(first, config) or CheckFrames.noise(first)
    skipped: list[str] = []
    names = shipped_models()
    for number, name in enumerate(names):
        report(f"opening {name}", number, len(names))
        model = load_model(name)
        try:
            model.check_frame(first.frame_shape)
            model.check_fibre(first.card.fibre)
            if model.id != first.id:
                timed.append((model, _opened(model, config)))
        except ReconstructionError as error:
            skipped.append(str(error))
    report("taking turns", len(names), len(names))
    engines = [engine for _, engine in timed]
    times_in_turns(engines, frames, 1, _BUDGET_S)  # warms up caches and threads
    times = times_in_turns(engines, frames, _QUICK_ROUNDS if quick else _ROUNDS, _BUDGET_S * len(engines))
    medians = [float(np.median(milliseconds)) for milliseconds in times]
    rows = [
        {
            "model": model.card.name,
            "engine": engine.name,
            "ms_p50": median,
            "ms_p99": float(np.percentile(milliseconds, 99)),
            "ratio": median / medians[0],
            "evaluations": model.network.evaluations,
            "frames": len(milliseconds),
        }
        for (model, engine), milliseconds, median in zip(timed, times, medians, strict=True)
    ]
    return {"rows": rows, "skipped": skipped}


def _opened(model: Model, config: InstrumentConfig) -> Engine:
    """Open the fastest engine for a model.

    Raises
    ------
    ReconstructionError
        The response of the fibre is missing, and the model needs it.
    """
    if model.network.evaluations > MAX_EVALUATIONS:
        model.network.set_steps(_STEPS)
    attach(model, config.response, fibre_name(config.twin.optics))
    return open_engine(model, frames=frames_for(model, config))
