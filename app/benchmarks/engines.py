"""Engines side by side: every one that is present, every shipped model, on two grids, in turns in one run."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from app.benchmarks.live import bench_live
from app.instrument.config import InstrumentConfig
from app.instrument.opening import fibre_name
from app.instrument.responses import attach
from app.training.engine_check_frames import frames_for
from app.training.train import MOST_EVALUATIONS
from reconstruction.base import ReconstructionError
from reconstruction.engines.base import Engine, EngineError
from reconstruction.engines.check_frames import CheckFrames
from reconstruction.engines.choose import Choice, open_engine, present, times_in_turns, verified
from reconstruction.engines.engine_check import EngineCheck
from reconstruction.models.model import Model, load_model, shipped_models
from reconstruction.models.registry import build

#: ``(stage, done, total)``.
Report = Callable[[str, int, int], None]
SIZES_PX = (128, 256)
#: The U-Net whose ratio to torch is reported by itself.
U_NET = "unet-twin"
_ROUNDS, _QUICK_ROUNDS = 60, 12
#: Samplers of many steps are timed with so few: every step takes the same.
_STEPS = 4
#: For slow models: no more than so long for each engine.
_PATIENCE_S = 8.0
_STEADY_FRAMES, _QUICK_STEADY_FRAMES = 10_000, 500


def bench_engines(config: InstrumentConfig, report: Report, quick: bool = False) -> dict[str, object]:
    """Time every engine on every shipped model, batch 1.

    Models whose weights belong to one grid (maps of the fibre, a calibrated response) are timed on that one alone.
    """
    rows: list[dict[str, object]] = []
    skipped: list[str] = []
    ratios: dict[str, dict[str, float]] = {}
    jobs = [(name, size) for name in shipped_models() for size in SIZES_PX]
    for number, (name, size) in enumerate(jobs):
        report(f"{name}, {size} px", number, len(jobs))
        try:
            model = sized(load_model(name), size)
            if model.network.evaluations > MOST_EVALUATIONS:
                model.network.set_steps(_STEPS)
            attach(model, config.response, fibre_name(config.twin.optics))
        except ReconstructionError as error:
            skipped.append(str(error))
            continue
        timed = _timed(model, size, frames_for(model, config), _QUICK_ROUNDS if quick else _ROUNDS, skipped)
        rows += timed
        eager = next(row for row in timed if row["engine"] == "torch fp32")
        fastest = min(timed, key=_median)
        ratios.setdefault(name, {})[str(size)] = _median(eager) / _median(fastest)
    report("the live loop", len(jobs), len(jobs))
    live = bench_live(config, rounds=4 if quick else 24)
    ratio = live["live_to_engine_ratio"]
    assert isinstance(ratio, float)
    return {
        "rows": rows,
        "chosen_engine": live["engine"],
        "ratio_to_torch_eager": ratios.get(U_NET, {}),
        "ratios_of_all": ratios,
        "live_loop_overhead": 1 / ratio - 1,
        "steady_state": steady_state(config, _QUICK_STEADY_FRAMES if quick else _STEADY_FRAMES),
        "skipped": skipped,
    }


def sized(model: Model, grid_px: int) -> Model:
    """Return the model on another grid, if its weights are the same for every place.

    Raises
    ------
    ReconstructionError
        They are not.
    """
    if grid_px == model.grid_px:
        return model
    only = f"{model.card.name} is for a grid of {model.grid_px} px only"
    if model.card.kind == "calibrated":  # its weights would fit, its start and its response do not
        raise ReconstructionError(only)
    network = build(model.card.kind, replace(model.network.config, grid_px=grid_px))
    try:
        network.load_state_dict(model.network.state_dict())
    except RuntimeError as error:
        raise ReconstructionError(only) from error
    return Model(network, replace(model.card, network=network.config.to_dict()), model.id)


def steady_state(config: InstrumentConfig, count: int) -> dict[str, object]:
    """Run the configured model on its chosen engine; report what Python and the process have kept afterwards."""
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


def resident_mb() -> float:
    """Memory of this process that lies in RAM; NaN where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return float("nan")
    return pages * 4096 / 1e6


def _timed(model: Model, size: int, frames: CheckFrames | None, rounds: int, skipped: list[str]) -> list[dict[str, object]]:
    engine_check = EngineCheck(model, frames or CheckFrames.noise(model))
    engines: list[tuple[Choice, Engine, float, float]] = []
    for choice in present(engine_check.frames):
        before = resident_mb()
        try:
            engine, passed = verified(choice, engine_check)
        except (EngineError, ImportError) as error:
            skipped.append(f"{model.card.name}, {size} px, {' '.join(choice)}: {error}")
            continue
        engines.append((choice, engine, passed.max_abs_diff_rad, resident_mb() - before))
    times = times_in_turns([engine for _, engine, _, _ in engines], engine_check.frames, rounds, _PATIENCE_S * len(engines))
    rows = []
    for ((_, precision), engine, difference, memory), record in zip(engines, times, strict=True):
        p50, p99 = (float(value) for value in np.percentile(record, (50, 99)))
        row: dict[str, Any] = {"engine": engine.name, "model": model.card.name, "size_px": size, "precision": precision}
        row |= {"ms_p50": p50, "ms_p99": p99, "fps": 1e3 / p50, "max_abs_diff_rad": difference, "memory_mb": memory}
        rows.append({**row, "evaluations": model.network.evaluations, "frames": len(record)})
    return rows


def _median(row: dict[str, object]) -> float:
    value = row["ms_p50"]
    assert isinstance(value, float)
    return value
