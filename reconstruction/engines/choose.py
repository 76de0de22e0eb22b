"""The choice of the engine that runs a model: the requested one, or the fastest available one that passes the engine check.

The automatic choice is measured once for each model, machine and set of library versions, and then stored.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import time
from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from importlib import metadata
from pathlib import Path

import numpy as np

from drivers.safe_text import parse_json
from reconstruction.engines.artifacts import Artifact, cache_folder
from reconstruction.engines.base import (
    FAILURES,
    Engine,
    EngineError,
    Precision,
    draws_from_noise,
    first_line,
    run_with_sigma,
)
from reconstruction.engines.check_frames import CheckFrames, recall
from reconstruction.engines.engine_check import EngineCheck, EngineCheckReport
from reconstruction.engines.engine_kinds import AUTO, ENGINES, parse, preference_of
from reconstruction.engines.fallback import FallbackEngine
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.models.model import Model

log = logging.getLogger(__name__)

#: Name of an engine kind, and a precision.
Choice = tuple[str, Precision]
_LIBRARIES = ("torch", "openvino", "onnxruntime", "tensorrt", "tensorrt_rtx")
#: Increase it when engines change so much that stored times are out of date.
_CHOICE_VERSION = 2
#: No further round of time measurements starts after this time, so slow models are timed fewer times.
_TIMING_LIMIT_S = 5.0
#: Why an engine was opened that was requested.
_REQUESTED = "chosen by the operator"
#: Why an engine was opened again, before the reason of the one before.
_KEPT = "as before the number of steps was changed; "


def open_engine(
    model: Model,
    preference: str = AUTO,
    frames: CheckFrames | None = None,
    on_replaced: Callable[[str], None] = lambda message: None,
    *,
    remembered: bool = True,
) -> FallbackEngine:
    """Open, check and warm up an engine.

    Parameters
    ----------
    model : Model
        What to run.
    preference : str
        ``auto``, or an engine kind with or without a precision, such as ``openvino bf16``. An engine that fails the engine
        check is replaced by torch, and the reason says so.
    frames : CheckFrames, optional
        Real frames for the engine check. By default those stored for this model. Without any, the check runs on noise, which
        only engines in full precision can pass.
    on_replaced : callable
        Called with a message when the engine fails later and another one takes over.
    remembered : bool
        Use the choice that was stored on this machine; False measures again.

    Raises
    ------
    EngineError
        The preference is unknown.
    """
    engine_check = EngineCheck(model, frames or recall(model) or CheckFrames.noise(model))
    if preference != AUTO:
        engine, reason = _open_requested(preference, engine_check)
        return FallbackEngine(engine, model, reason, on_replaced=on_replaced)
    stored = _open_stored(engine_check) if remembered else None
    engine, ranked, reason = stored or _open_fastest(engine_check)
    others = [partial(open_checked, choice, engine_check) for choice in ranked[1:]]
    return FallbackEngine(engine, model, reason, others, on_replaced)


def reopen_engine(
    model: Model,
    before: FallbackEngine,
    frames: CheckFrames | None = None,
    on_replaced: Callable[[str], None] = lambda message: None,
) -> FallbackEngine:
    """Open the engine of a model again after its number of steps was changed: the same kind, with the graph of these steps.

    Nothing is measured, so that the live view goes on soon. Arguments are those of :func:`open_engine`; ``before`` is the
    engine that ran until now.
    """
    preference = preference_of(before.name)
    try:
        parse(preference)
    except EngineError:  # it has no name that could be asked for
        return open_engine(model, AUTO, frames, on_replaced)
    engine_check = EngineCheck(model, frames or recall(model) or CheckFrames.noise(model))
    engine, reason = _open_requested(preference, engine_check)
    kept = f"{_KEPT}{before.reason.removeprefix(_KEPT)}" if reason == _REQUESTED else reason
    return FallbackEngine(engine, model, kept, on_replaced=on_replaced)


def rank_engines(
    engine_check: EngineCheck, engines: Mapping[Choice, Engine], times_ms: list[float], refused: list[str]
) -> tuple[list[Choice], str]:
    """Rank engines by their times, and store the result for the next start on this machine.

    Parameters
    ----------
    engine_check : EngineCheck
        The check that they passed.
    engines : mapping of Choice to Engine
        Engines by engine kind and precision.
    times_ms : list of float
        Time of each, in the same order.
    refused : list of str
        A note for every engine that was refused.

    Returns
    -------
    ranked : list of Choice
        The fastest first.
    reason : str
        Times and notes, as text.
    """
    order = sorted(zip(engines.items(), times_ms, strict=True), key=lambda timed: timed[1])
    ranked = [choice for (choice, _), _ in order]
    measured = ", ".join(f"{engine.name} {ms:.1f} ms" for (_, engine), ms in order)
    reason = "; ".join([f"fastest here: {measured}", *refused])
    note = {"ranked": ranked, "reason": f"{reason} (measured {date.today().isoformat()})"}
    try:
        _stored_choice(engine_check).store(json.dumps(note, indent=1).encode())
    except EngineError as error:
        log.warning("the choice of an engine is not stored: %s", error)
    return ranked, reason


def open_checked(choice: Choice, engine_check: EngineCheck) -> Engine:
    """Open one engine and run the engine check on it, which also warms it up.

    Raises
    ------
    EngineError, ImportError
        The engine is not available here, or fails the check.
    """
    return open_and_report(choice, engine_check)[0]


def open_and_report(choice: Choice, engine_check: EngineCheck) -> tuple[Engine, EngineCheckReport]:
    """Do the same as :func:`open_checked`, and also return the report of the engine check."""
    name, precision = choice
    engine_kind = ENGINES[name]
    if why := engine_kind.missing(precision):
        raise EngineError(f"{name} {precision} cannot run here: {why}")
    try:
        engine = engine_kind.open(engine_check.model, precision, engine_check)
        return engine, engine_check.check(engine, precision)
    except EngineError:
        raise
    except FAILURES as error:
        raise EngineError(
            f"{name} {precision} does not run this model ({first_line(error)}); empty the folder {cache_folder()}"
        ) from error


def present(frames: CheckFrames) -> list[Choice]:
    """Return the choices that the automatic choice compares on this machine."""
    tried = [(name, precision) for name, engine_kind in ENGINES.items() for precision in engine_kind.tried]
    if frames.truth_rad is None:
        tried = [(name, precision) for name, precision in tried if precision is Precision.FP32]
    return [(name, precision) for name, precision in tried if not ENGINES[name].missing(precision)]


def interleaved_ms(engines: list[Engine], frames: CheckFrames, rounds: int = 5) -> list[float]:
    """Return the median time per frame of every engine, in milliseconds; see :func:`times_in_turns`."""
    return [float(np.median(record)) for record in times_in_turns(engines, frames, rounds, _TIMING_LIMIT_S)]


def times_in_turns(engines: list[Engine], frames: CheckFrames, rounds: int, limit_s: float) -> list[list[float]]:
    """Return the time of every frame of every engine, in milliseconds, with the standard deviation where the model gives one.

    The engines take turns, so that all of them run under the same load of the machine. No new round starts after ``limit_s``.
    """
    times_ms: list[list[float]] = [[] for _ in engines]
    started = time.perf_counter()
    for number in range(rounds):
        if number and time.perf_counter() - started > limit_s:
            break
        frame = frames.frames[number % len(frames.frames)]
        for engine, record in zip(engines, times_ms, strict=True):
            start = time.perf_counter()
            run_with_sigma(engine, frame, frames.reference)
            record.append((time.perf_counter() - start) * 1e3)
    return times_ms


def _open_requested(preference: str, engine_check: EngineCheck) -> tuple[Engine, str]:
    """Return the requested engine, or torch if it is refused, and the reason."""
    choice = parse(preference)
    try:
        return open_checked(choice, engine_check), _REQUESTED
    except (EngineError, ImportError) as error:
        log.warning("engine %s refused: %s", preference, error)
        return TorchEngine(engine_check.model), f"{preference} refused: {error}; torch instead"


def _open_stored(engine_check: EngineCheck) -> tuple[Engine, list[Choice], str] | None:
    """Return the engine that was the fastest before, the stored ranking and reason; None if it has to be measured again."""
    ranked, reason = _read_choice(_stored_choice(engine_check))
    if not ranked:
        return None
    try:
        return open_checked(ranked[0], engine_check), ranked, reason
    except (EngineError, ImportError) as error:
        log.warning("the engine that was the fastest is refused now: %s", error)
        return None


def _open_fastest(engine_check: EngineCheck) -> tuple[Engine, list[Choice], str]:
    """Open every available engine, measure the times, and return the fastest engine, the ranking and the reason."""
    engines: dict[Choice, Engine] = {}
    refused: list[str] = []
    for choice in present(engine_check.frames):
        try:
            engines[choice] = open_checked(choice, engine_check)
        except (EngineError, ImportError) as error:
            level = logging.WARNING if engine_check.model.network.exportable else logging.INFO
            log.log(level, "engine %s refused: %s", " ".join(choice), error)
            refused.append(f"{' '.join(choice)} refused: {error}")
    times_ms = interleaved_ms(list(engines.values()), engine_check.frames)
    ranked, reason = rank_engines(engine_check, engines, times_ms, refused)
    return engines[ranked[0]], ranked, reason


def _stored_choice(engine_check: EngineCheck) -> Artifact:
    """Return the file with the choice for this model on this machine."""
    model = engine_check.model
    gpu: dict[str, object] = {}
    if not ENGINES["torch_cuda"].missing(Precision.FP32):
        from reconstruction.engines.cuda.cuda_loop import gpu_facts

        gpu = gpu_facts()
    facts = {
        "model": model.id,
        "shape": [model.frame_px, model.grid_px],
        "processor": _processor(),
        "cores": os.cpu_count(),
        "libraries": {name: version for name in _LIBRARIES if (version := _version(name))},
        "real_frames": engine_check.frames.truth_rad is not None,
        "version": _CHOICE_VERSION,
        **({"steps": model.network.step_count} if draws_from_noise(model.network) else {}),
        **gpu,
    }
    return Artifact(model.id, "choice", facts)


def _read_choice(stored: Artifact) -> tuple[list[Choice], str]:
    content = stored.load_or_remove()
    if content is None:
        return [], ""
    try:
        note = parse_json(content)
        return [parse(" ".join(choice)) for choice in note["ranked"]], str(note["reason"])
    except (ValueError, TypeError, KeyError, EngineError):
        return [], ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""
