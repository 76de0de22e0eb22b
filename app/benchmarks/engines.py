"""Times every available engine on every shipped model, on two grids; all engines take turns in the same run."""

from __future__ import annotations

import gc
import tracemalloc
from dataclasses import dataclass, field, replace

import numpy as np

from app.benchmarks.live.live_loop import bench_live
from app.benchmarks.process_usage import resident_mb
from app.instrument.config import InstrumentConfig
from app.instrument.opening import fibre_name
from app.instrument.responses import attach
from app.progress import Report
from app.training.engine_check_frames import frames_for
from app.training.train import MAX_EVALUATIONS
from reconstruction.base import ReconstructionError
from reconstruction.calibrated.few_step import CalibratedFewStep
from reconstruction.engines.base import Engine, EngineError
from reconstruction.engines.check_frames import CheckFrames
from reconstruction.engines.choose import Choice, open_and_report, open_engine, present, times_in_turns
from reconstruction.engines.engine_check import EngineCheck
from reconstruction.models.model import Model, load_model, shipped_models
from reconstruction.models.registry import build

SIZES_PX = (128, 256)
#: The model whose ratio to torch is reported separately.
U_NET = "unet-twin"
#: The name of the engine that the others are compared with.
_EAGER = "torch fp32"
_ROUNDS, _QUICK_ROUNDS = 60, 12
#: Samplers of many steps are timed with this number of steps, because every step takes the same time.
_STEPS = 4
#: Longest time for each engine, in seconds, for slow models.
_BUDGET_S = 8.0
_STEADY_FRAMES, _QUICK_STEADY_FRAMES = 10_000, 500


@dataclass
class _Results:
    """Rows of the table, the ratio to torch by model and grid, and what was skipped with the reason."""

    rows: list[dict[str, object]] = field(default_factory=list)
    ratios: dict[str, dict[str, float]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)


def bench_engines(config: InstrumentConfig, report: Report, *, quick: bool = False) -> dict[str, object]:
    """Time every engine on every shipped model, with batch size 1.

    Models whose weights belong to one grid (maps of the fibre, a calibrated response) are timed on that grid alone.

    Parameters
    ----------
    config : InstrumentConfig
        The instrument whose model and engine run in the live loop.
    report : Report
        Called with the model and the grid, and with the progress.
    quick : bool
        Fewer rounds and a shorter steady state.
    """
    results = _Results()
    jobs = [(name, size) for name in shipped_models() for size in SIZES_PX]
    for number, (name, size) in enumerate(jobs):
        report(f"{name}, {size} px", number, len(jobs))
        _time_model(results, config, name, size, _QUICK_ROUNDS if quick else _ROUNDS)
    report("the live loop", len(jobs), len(jobs))
    live = bench_live(config, rounds=4 if quick else 24)
    ratio = live["live_to_engine_ratio"]
    assert isinstance(ratio, float)
    return {
        "rows": results.rows,
        "chosen_engine": live["engine"],
        "ratio_to_torch_eager": results.ratios.get(U_NET, {}),
        "ratios_of_all": results.ratios,
        "live_loop_overhead": 1 / ratio - 1,
        "steady_state": steady_state(config, _QUICK_STEADY_FRAMES if quick else _STEADY_FRAMES),
        "skipped": results.skipped,
    }


def _time_model(results: _Results, config: InstrumentConfig, name: str, size: int, rounds: int) -> None:
    """Time every engine on one model and grid."""
    try:
        model = sized(load_model(name), size)
        if model.network.evaluations > MAX_EVALUATIONS:
            model.network.set_steps(_STEPS)
        attach(model, config.response, fibre_name(config.twin.optics))
    except ReconstructionError as error:
        results.skipped.append(str(error))
        return
    rows = _timed(model, size, frames_for(model, config), rounds, results.skipped)
    results.rows += rows
    eager = next(row for row in rows if row["engine"] == _EAGER)
    fastest = min(rows, key=_median)
    results.ratios.setdefault(name, {})[str(size)] = _median(eager) / _median(fastest)


def sized(model: Model, grid_px: int) -> Model:
    """Return the model on another grid, if its weights do not belong to one grid.

    Raises
    ------
    ReconstructionError
        The weights belong to the grid of the model.
    """
    if grid_px == model.grid_px:
        return model
    only = f"{model.card.name} is for a grid of {model.grid_px} px only"
    if isinstance(model.network, CalibratedFewStep):  # the weights would fit, but not the calibrated response
        raise ReconstructionError(only)
    network = build(model.card.kind, replace(model.network.config, grid_px=grid_px))
    try:
        network.load_state_dict(model.network.state_dict())
    except RuntimeError as error:
        raise ReconstructionError(only) from error
    return Model(network, replace(model.card, network=network.config.to_dict()), model.id)


def steady_state(config: InstrumentConfig, count: int) -> dict[str, object]:
    """Run the configured model on its engine; return how much memory Python and the process have kept afterwards."""
    model = load_model(config.model)
    attach(model, config.response, fibre_name(config.twin.optics))
    frames = frames_for(model, config) or CheckFrames.noise(model)
    engine = open_engine(model, config.live.engine, frames)
    for number in range(50):
        engine.run(frames.frames[number % len(frames.frames)], frames.reference)
    gc.collect()
    tracemalloc.start()
    before, resident = tracemalloc.get_traced_memory()[0], resident_mb()
    for number in range(count):
        engine.run(frames.frames[number % len(frames.frames)], frames.reference)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return {"frames": count, "engine": engine.name, "python_bytes_grown": grown, "resident_mb_grown": resident_mb() - resident}


def _timed(model: Model, size: int, frames: CheckFrames | None, rounds: int, skipped: list[str]) -> list[dict[str, object]]:
    engine_check = EngineCheck(model, frames or CheckFrames.noise(model))
    engines: list[tuple[Choice, Engine, float, float]] = []
    for choice in present(engine_check.frames):
        before = resident_mb()
        try:
            engine, passed = open_and_report(choice, engine_check)
        except (EngineError, ImportError) as error:
            skipped.append(f"{model.card.name}, {size} px, {' '.join(choice)}: {error}")
            continue
        engines.append((choice, engine, passed.max_abs_diff_rad, resident_mb() - before))
    times = times_in_turns([engine for _, engine, _, _ in engines], engine_check.frames, rounds, _BUDGET_S * len(engines))
    rows = []
    for ((_, precision), engine, difference, memory), milliseconds in zip(engines, times, strict=True):
        p50, p99 = (float(value) for value in np.percentile(milliseconds, (50, 99)))
        rows.append(
            {
                "engine": engine.name,
                "model": model.card.name,
                "size_px": size,
                "precision": precision,
                "ms_p50": p50,
                "ms_p99": p99,
                "fps": 1e3 / p50,
                "max_abs_diff_rad": difference,
                "memory_mb": memory,
                "evaluations": model.network.evaluations,
                "frames": len(milliseconds),
            }
        )
    return rows


def _median(row: dict[str, object]) -> float:
    value = row["ms_p50"]
    assert isinstance(value, float)
    return value
