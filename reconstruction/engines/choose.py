"""Which engine runs a model: the fastest one present that agrees with torch, or the one asked for.

The automatic choice is measured once for a model on a machine, with the libraries as they are, and remembered.
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

from reconstruction.engines.artifacts import Artifact, cache_folder
from reconstruction.engines.base import FAILURES, Engine, EngineError, Precision
from reconstruction.engines.check_frames import CheckFrames, recall
from reconstruction.engines.engine_check import EngineCheck, EngineCheckReport
from reconstruction.engines.engine_kinds import AUTO, ENGINES, parse
from reconstruction.engines.fallback import FallbackEngine
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.models.model import Model

log = logging.getLogger(__name__)

Choice = tuple[str, Precision]
_LIBRARIES = ("torch", "openvino", "onnxruntime", "tensorrt", "tensorrt_rtx")
#: Raised whenever engines change so that remembered times say nothing any more.
_CHOICE_VERSION = 1
#: Slow models are timed fewer times.
_PATIENCE_S = 5.0


def open_engine(
    model: Model,
    preference: str = AUTO,
    frames: CheckFrames | None = None,
    on_replaced: Callable[[str], None] = lambda words: None,
    remembered: bool = True,
) -> FallbackEngine:
    """Build, check and warm an engine.

    Parameters
    ----------
    model : Model
        What to run.
    preference : str
        ``auto``, or an engine with or without its precision, ``openvino bf16``. One that fails its check is replaced by
        torch, and the reason says so.
    frames : CheckFrames, optional
        Real frames to check on; those remembered for this model when left out, and noise, on which only full precision
        passes, where there are none.
    on_replaced : callable
        Told when the engine fails later and another takes over.
    remembered : bool
        Take the choice that was measured on this machine before; otherwise measure now.

    Raises
    ------
    EngineError
        The preference is unknown.
    """
    engine_check = EngineCheck(model, frames or recall(model) or CheckFrames.noise(model))
    with_fallback = partial(FallbackEngine, on_replaced=on_replaced)
    if preference != AUTO:
        choice = parse(preference)
        try:
            return with_fallback(opened(choice, engine_check), model, "chosen by the operator")
        except (EngineError, ImportError) as error:
            log.warning("engine %s refused: %s", preference, error)
            return with_fallback(TorchEngine(model), model, f"{preference} refused: {error}; torch instead")
    ranked, reason = _recall(_memory(model, engine_check.frames)) if remembered else ([], "")
    if ranked:
        try:
            engine = opened(ranked[0], engine_check)
        except (EngineError, ImportError) as error:
            log.warning("the engine that was the fastest is refused now: %s", error)
        else:
            others = [partial(opened, choice, engine_check) for choice in ranked[1:]]
            return with_fallback(engine, model, reason, others)
    engines, refused = _all_present(engine_check)
    ranked, reason = settle(engine_check, engines, interleaved_ms(list(engines.values()), engine_check.frames), refused)
    others = [partial(opened, choice, engine_check) for choice in ranked[1:]]
    return with_fallback(engines[ranked[0]], model, reason, others)


def settle(
    engine_check: EngineCheck, engines: Mapping[Choice, Engine], times_ms: list[float], refused: list[str]
) -> tuple[list[Choice], str]:
    """Rank engines by their times, and write the choice down for the next start on this machine.

    Parameters
    ----------
    gate : EngineCheck
        That they passed.
    engines : mapping of (str, str) to Engine
        By runner and precision.
    times_ms : list of float
        Of each, in that order.
    refused : list of str
        What to say of the others.

    Returns
    -------
    ranked : list of (str, str)
        The fastest first.
    reason : str
        In words.
    """
    order = sorted(zip(engines.items(), times_ms, strict=True), key=lambda timed: timed[1])
    measured = ", ".join(f"{engine.name} {ms:.1f} ms" for (_, engine), ms in order)
    ranked, reason = [choice for (choice, _), _ in order], "; ".join([f"fastest here: {measured}", *refused])
    note = {"ranked": ranked, "reason": f"{reason} (measured {date.today().isoformat()})"}
    try:
        _memory(engine_check.model, engine_check.frames).store(json.dumps(note, indent=1).encode())
    except EngineError as error:
        log.warning("the choice of an engine is not remembered: %s", error)
    return ranked, reason


def opened(choice: Choice, engine_check: EngineCheck) -> Engine:
    """Open one engine and pass it through the gate, which warms it.

    Raises
    ------
    EngineError, ImportError
        It is not to be had here, or wrong.
    """
    return verified(choice, engine_check)[0]


def verified(choice: Choice, engine_check: EngineCheck) -> tuple[Engine, EngineCheckReport]:
    """Do what :func:`opened` does, and also return what the gate measured."""
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
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        raise EngineError(f"{name} {precision} does not run this model ({cause}); empty the folder {cache_folder()}") from error


def present(frames: CheckFrames) -> list[Choice]:
    """Return what the automatic choice compares on this machine."""
    tried = [(name, precision) for name, engine_kind in ENGINES.items() for precision in engine_kind.tried]
    if frames.truth_rad is None:
        tried = [(name, precision) for name, precision in tried if precision == "fp32"]
    return [(name, precision) for name, precision in tried if not ENGINES[name].missing(precision)]


def interleaved_ms(engines: list[Engine], frames: CheckFrames, rounds: int = 5) -> list[float]:
    """Median milliseconds a frame of every engine; see :func:`times_in_turns`."""
    return [float(np.median(record)) for record in times_in_turns(engines, frames, rounds, _PATIENCE_S)]


def times_in_turns(engines: list[Engine], frames: CheckFrames, rounds: int, patience_s: float) -> list[list[float]]:
    """Milliseconds of every frame of every engine, in turns, so that all see the same machine; no new round after so long."""
    times: list[list[float]] = [[] for _ in engines]
    begun = time.perf_counter()
    for number in range(rounds):
        if number and time.perf_counter() - begun > patience_s:
            break
        frame = frames.frames[number % len(frames.frames)]
        for engine, record in zip(engines, times, strict=True):
            start = time.perf_counter()
            engine.run(frame, frames.reference)
            record.append((time.perf_counter() - start) * 1e3)
    return times


def _all_present(engine_check: EngineCheck) -> tuple[dict[Choice, Engine], list[str]]:
    """Open every engine on this machine; return those that passed, and words on the others."""
    engines: dict[Choice, Engine] = {}
    refused = []
    for choice in present(engine_check.frames):
        try:
            engines[choice] = opened(choice, engine_check)
        except (EngineError, ImportError) as error:
            (log.warning if engine_check.model.network.exportable else log.info)(
                "engine %s refused: %s", " ".join(choice), error
            )
            refused.append(f"{' '.join(choice)} refused: {error}")
    return engines, refused


def _memory(model: Model, frames: CheckFrames) -> Artifact:
    """Where the choice for this model on this machine is written down."""
    card = {}
    if not ENGINES["torch_cuda"].missing("fp32"):
        from reconstruction.engines.cuda.cuda_loop import gpu_facts

        card = gpu_facts()
    facts = {
        "model": model.id,
        "shape": [model.frame_px, model.grid_px],
        "processor": _processor(),
        "cores": os.cpu_count(),
        "libraries": {name: version for name in _LIBRARIES if (version := _version(name))},
        "real_frames": frames.truth_rad is not None,
        "version": _CHOICE_VERSION,
        **card,
    }
    return Artifact(model.id, "choice", facts)


def _recall(memory: Artifact) -> tuple[list[Choice], str]:
    content = memory.load_or_remove()
    if content is None:
        return [], ""
    try:
        note = json.loads(content)
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
