"""Compiling a model for this machine: every engine is built, checked on real frames, timed, and stored for later starts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from app.instrument.config import InstrumentConfig
from app.training.compiled_engines import EngineState, remember_compilation
from app.training.engine_check_frames import frames_for
from reconstruction.base import ReconstructionError
from reconstruction.data.pairs import from_archive
from reconstruction.engines.base import Engine, EngineError, Precision
from reconstruction.engines.check_frames import CheckFrames, remember
from reconstruction.engines.choose import Choice, interleaved_ms, open_and_report, present, rank_engines
from reconstruction.engines.engine_check import EngineCheck, EngineCheckReport
from reconstruction.models.model import Model

#: Called with ``(stage, done, total)``.
Report = Callable[[str, int, int], None]
_RTX = "tensorrt_rtx"
#: Frames on which the engines are timed in turns.
_TIMING_ROUNDS = 11


class EngineSet(Enum):
    """Which engines are compiled."""

    #: All that are present, and a TensorRT RTX plan for GPUs of other machines.
    ALL = auto()
    #: Only those that run on this machine.
    HERE = auto()


@dataclass(frozen=True, kw_only=True)
class CompiledEngine:
    """One engine that was compiled.

    Parameters
    ----------
    engine : str
        Name and precision.
    state : EngineState
        What became of it.
    note : str
        Why it is refused, or what is left to do.
    engine_check : EngineCheckReport, optional
        Result of the comparison with torch.
    ms : float, optional
        Median time for one frame, in milliseconds, measured in turns with the other engines.
    seconds : float
        Time to build or load it.
    """

    engine: str
    state: EngineState
    note: str = ""
    engine_check: EngineCheckReport | None = None
    ms: float | None = None
    seconds: float = 0.0

    def to_dict(self) -> dict[str, object]:
        """Return plain types, for JSON."""
        engine_check = self.engine_check.to_dict() if self.engine_check else {}
        return {
            "engine": self.engine,
            "state": str(self.state),
            "note": self.note,
            "ms": self.ms,
            "seconds": self.seconds,
            **engine_check,
        }


def compile_model(
    model: Model, config: InstrumentConfig, wanted: Choice | EngineSet, dataset: Path | None, report: Report
) -> dict[str, object]:
    """Compile for the requested engine, or for all engines of this machine, and store which is the fastest.

    Parameters
    ----------
    model : Model
        The model, with its fibre attached where it needs the fibre's response.
    config : InstrumentConfig
        The instrument. Its twin gives the real frames when the model belongs to the twin's fibre.
    wanted : (str, Precision) or EngineSet
        Engine and precision, or several engines.
    dataset : Path, optional
        Captured pairs of the model's fibre for the check.
    report : callable
        Called with the progress.

    Returns
    -------
    dict
        Plain types, for JSON: one row for every engine, and the chosen engine.

    Raises
    ------
    ReconstructionError
        The dataset does not fit the model, or the requested engine is refused.
    """
    frames = _check_frames(model, config, dataset)
    engine_check = EngineCheck(model, frames or CheckFrames.noise(model))
    choices = _choices(wanted, engine_check)
    rows: list[CompiledEngine] = []
    engines: dict[Choice, Engine] = {}
    for number, one in enumerate(choices):
        label = " ".join(one)
        report(label, number, len(choices))
        row, engine = _compile_one(engine_check, one, partial(_report_stage, report, label))
        rows.append(row)
        if engine is not None:
            engines[one] = engine
    refused = [row for row in rows if row.state is EngineState.REFUSED]
    if not isinstance(wanted, EngineSet) and refused:
        raise ReconstructionError(refused[0].note)
    report("timing", len(choices), len(choices))
    times_ms = interleaved_ms(list(engines.values()), engine_check.frames, rounds=_TIMING_ROUNDS)
    ms_of = {" ".join(ready): ms for ready, ms in zip(engines, times_ms, strict=True)}
    fastest = ""
    if isinstance(wanted, EngineSet):
        notes = [f"{row.engine} refused: {row.note}" for row in refused]
        ranked, _ = rank_engines(engine_check, engines, times_ms, notes)
        fastest = engines[ranked[0]].name
    numbers: dict[str, object] = {
        "model": model.card.name,
        "model_id": model.id,
        "evaluated_on": "real frames" if frames else "noise: only full precision can be checked; give --frames DATASET",
        "rows": [replace(row, ms=ms_of.get(row.engine)).to_dict() for row in rows],
        "chosen_engine": fastest,
    }
    if isinstance(wanted, EngineSet):
        remember_compilation(model.id, numbers)
    return numbers


def _check_frames(model: Model, config: InstrumentConfig, dataset: Path | None) -> CheckFrames | None:
    if dataset is None:
        return frames_for(model, config)
    pool = from_archive(dataset, model.grid_px, "test")
    model.check_frame(pool.reference.shape)
    frames = CheckFrames.of_pool(pool)
    remember(model, frames)
    return frames


def _choices(wanted: Choice | EngineSet, engine_check: EngineCheck) -> list[Choice]:
    if not isinstance(wanted, EngineSet):
        return [wanted]
    choices = present(engine_check.frames)
    has_rtx = any(name == _RTX for name, _ in choices)
    # TensorRT RTX also builds without a GPU, wherever its library is installed.
    portable = wanted is EngineSet.ALL and not has_rtx and find_spec(_RTX) is not None
    return [(_RTX, Precision.FP16), *choices] if portable else choices


def _report_stage(report: Report, label: str, stage: str, done: int, total: int) -> None:
    report(f"{label}: {stage}", done, total)


def _compile_one(engine_check: EngineCheck, choice: Choice, on_progress: Report) -> tuple[CompiledEngine, Engine | None]:
    label, start_s = " ".join(choice), time.perf_counter()
    engine: Engine | None = None
    try:
        engine, passed = open_and_report(choice, engine_check)
        row = CompiledEngine(engine=label, state=EngineState.READY, engine_check=passed)
    except (EngineError, ImportError) as error:
        row = _build_only(engine_check, choice, on_progress) or CompiledEngine(
            engine=label, state=EngineState.REFUSED, note=str(error)
        )
    return replace(row, seconds=time.perf_counter() - start_s), engine


def _build_only(engine_check: EngineCheck, choice: Choice, on_progress: Report) -> CompiledEngine | None:
    """Build the plans of TensorRT RTX for a GPU of another machine; None where this is not possible or not needed."""
    name, precision = choice
    if name != _RTX:
        return None
    from reconstruction.engines.tensorrt.run import missing, plan_of

    if not missing(_RTX):
        return None
    label, model = " ".join(choice), engine_check.model
    try:
        plans = [plan_of(_RTX, model, precision, on_progress, part) for part in model.network.parts() or [""]]
    except EngineError as error:
        return CompiledEngine(engine=label, state=EngineState.REFUSED, note=str(error))
    files = ", ".join(plan.path.name for plan in plans)
    note = f"{files} in {plans[0].path.parent}; to be verified on a machine with a GPU"
    return CompiledEngine(engine=label, state=EngineState.BUILT, note=note)
