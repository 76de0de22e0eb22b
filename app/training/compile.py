"""Compiling a model for this machine: every engine asked for is built, judged on real frames, timed, and kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from app.instrument.config import InstrumentConfig
from app.training.engine_check_frames import frames_for
from reconstruction.base import ReconstructionError
from reconstruction.data.pairs import from_archive
from reconstruction.engines.base import Engine, EngineError, Precision
from reconstruction.engines.check_frames import CheckFrames, remember
from reconstruction.engines.choose import Choice, interleaved_ms, open_and_report, present, rank_engines
from reconstruction.engines.engine_check import EngineCheck, EngineCheckReport
from reconstruction.models.model import Model

#: ``(stage, done, total)``.
Report = Callable[[str, int, int], None]
_RTX = "tensorrt_rtx"


@dataclass(frozen=True)
class Compiled:
    """What became of one engine.

    Parameters
    ----------
    engine : str
        With its precision.
    state : str
        ``ready``; ``built``, which has to be verified on a card yet; or ``refused``.
    note : str
        Why it is refused, or what is left to do.
    gate : EngineCheckReport, optional
        What the comparison with torch gave.
    ms : float, optional
        Median milliseconds a frame, measured in turns with the others.
    seconds : float
        To build or load it.
    """

    engine: str
    state: str
    note: str = ""
    engine_check: EngineCheckReport | None = None
    ms: float | None = None
    seconds: float = 0.0

    def to_dict(self) -> dict[str, object]:
        """Plain types, for JSON."""
        engine_check = self.engine_check.to_dict() if self.engine_check else {}
        return {
            "engine": self.engine,
            "state": self.state,
            "note": self.note,
            "ms": self.ms,
            "seconds": self.seconds,
            **engine_check,
        }


def compile_model(
    model: Model, config: InstrumentConfig, choice: Choice | None, dataset: Path | None, report: Report
) -> dict[str, object]:
    """Compile for the engine asked for, or for all there are, and remember which is the fastest.

    Parameters
    ----------
    model : Model
        With its fibre attached, where it works through one.
    config : InstrumentConfig
        Whose twin shows real frames where the model is for it.
    choice : (str, str), optional
        Engine and precision; without it all that are present, and a plan for cards that are elsewhere.
    dataset : Path, optional
        Captured pairs of the model's fibre to judge on.
    report : callable
        Told what is going on.

    Raises
    ------
    ReconstructionError
        The dataset does not fit the model, or the only engine asked for is refused.
    """
    frames = _frames(model, config, dataset)
    engine_check = EngineCheck(model, frames or CheckFrames.noise(model))
    choices = [choice] if choice else _everything(engine_check)
    rows: list[Compiled] = []
    engines: dict[Choice, Engine] = {}
    for number, (name, precision) in enumerate(choices):
        words = f"{name} {precision}"
        report(words, number, len(choices))
        row, engine = _one(engine_check, (name, precision), partial(_stage, report, words))
        rows.append(row)
        if engine is not None:
            engines[name, precision] = engine
    report("timing", len(choices), len(choices))
    times = interleaved_ms(list(engines.values()), engine_check.frames, rounds=11)
    known = {" ".join(ready): ms for ready, ms in zip(engines, times, strict=True)}
    rows = [replace(row, ms=known.get(row.engine)) for row in rows]
    if choice and rows[0].state == "refused":
        raise ReconstructionError(rows[0].note)
    fastest = ""
    if not choice:
        refused = [f"{row.engine} refused: {row.note}" for row in rows if row.state == "refused"]
        fastest = engines[rank_engines(engine_check, engines, times, refused)[0][0]].name
    return {
        "model": model.card.name,
        "model_id": model.id,
        "evaluated_on": "real frames" if frames else "noise: only full precision can be judged; give --frames DATASET",
        "rows": [row.to_dict() for row in rows],
        "chosen_engine": fastest,
    }


def _frames(model: Model, config: InstrumentConfig, dataset: Path | None) -> CheckFrames | None:
    if dataset is None:
        return frames_for(model, config)
    pool = from_archive(dataset, model.grid_px, "test")
    model.check_frame((pool.reference.shape[0], pool.reference.shape[1]))
    frames = CheckFrames.of_pool(pool)
    remember(model, frames)
    return frames


def _everything(engine_check: EngineCheck) -> list[Choice]:
    choices = present(engine_check.frames)
    built = any(name == _RTX for name, _ in choices)
    return choices if built or not find_spec(_RTX) else [(_RTX, Precision.FP16), *choices]


def _stage(report: Report, words: str, stage: str, done: int, total: int) -> None:
    report(f"{words}: {stage}", done, total)


def _one(engine_check: EngineCheck, choice: Choice, on_progress: Report) -> tuple[Compiled, Engine | None]:
    words, start = " ".join(choice), time.perf_counter()
    try:
        engine, passed = open_and_report(choice, engine_check)
    except (EngineError, ImportError) as error:
        note = str(error)
    else:
        return Compiled(words, "ready", engine_check=passed, seconds=time.perf_counter() - start), engine
    if choice[0] == _RTX:  # it builds without a card, for one elsewhere
        from reconstruction.engines.tensorrt.run import missing, plan_of

        if missing(_RTX):
            try:
                plans = [
                    plan_of(_RTX, engine_check.model, choice[1], on_progress, part)
                    for part in engine_check.model.network.parts() or [""]
                ]
            except EngineError as error:
                note = str(error)
            else:
                note = f"{', '.join(plan.path.name for plan in plans)} in {plans[0].path.parent}; to be verified on a card"
                return Compiled(words, "built", note, seconds=time.perf_counter() - start), None
    return Compiled(words, "refused", note, seconds=time.perf_counter() - start), None
