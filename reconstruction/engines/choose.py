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
from reconstruction.engines.gate import Gate, GateReport
from reconstruction.engines.gate_frames import GateFrames, recall
from reconstruction.engines.guarded import GuardedEngine
from reconstruction.engines.runners import AUTO, RUNNERS, parse
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
    frames: GateFrames | None = None,
    on_replaced: Callable[[str], None] = lambda words: None,
    remembered: bool = True,
) -> GuardedEngine:
    """Build, check and warm an engine.

    Parameters
    ----------
    model : Model
        What to run.
    preference : str
        ``auto``, or an engine with or without its precision, ``openvino bf16``. One that fails its check is replaced by
        torch, and the reason says so.
    frames : GateFrames, optional
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
    gate = Gate(model, frames or recall(model) or GateFrames.noise(model))
    guarded = partial(GuardedEngine, on_replaced=on_replaced)
    if preference != AUTO:
        choice = parse(preference)
        try:
            return guarded(opened(choice, gate), model, "chosen by the operator")
        except (EngineError, ImportError) as error:
            log.warning("engine %s refused: %s", preference, error)
            return guarded(TorchEngine(model), model, f"{preference} refused: {error}; torch instead")
    ranked, reason = _recall(_memory(model, gate.frames)) if remembered else ([], "")
    if ranked:
        try:
            engine = opened(ranked[0], gate)
        except (EngineError, ImportError) as error:
            log.warning("the engine that was the fastest is refused now: %s", error)
        else:
            others = [partial(opened, choice, gate) for choice in ranked[1:]]
            return guarded(engine, model, reason, others)
    engines, refused = _all_present(gate)
    ranked, reason = settle(gate, engines, interleaved_ms(list(engines.values()), gate.frames), refused)
    others = [partial(opened, choice, gate) for choice in ranked[1:]]
    return guarded(engines[ranked[0]], model, reason, others)


def settle(gate: Gate, engines: Mapping[Choice, Engine], times_ms: list[float], refused: list[str]) -> tuple[list[Choice], str]:
    """Rank engines by their times, and write the choice down for the next start on this machine.

    Parameters
    ----------
    gate : Gate
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
        _memory(gate.model, gate.frames).store(json.dumps(note, indent=1).encode())
    except EngineError as error:
        log.warning("the choice of an engine is not remembered: %s", error)
    return ranked, reason


def opened(choice: Choice, gate: Gate) -> Engine:
    """Open one engine and pass it through the gate, which warms it.

    Raises
    ------
    EngineError, ImportError
        It is not to be had here, or wrong.
    """
    return proved(choice, gate)[0]


def proved(choice: Choice, gate: Gate) -> tuple[Engine, GateReport]:
    """Do what :func:`opened` does, and also return what the gate measured."""
    name, precision = choice
    runner = RUNNERS[name]
    if why := runner.missing(precision):
        raise EngineError(f"{name} {precision} cannot run here: {why}")
    try:
        engine = runner.open(gate.model, precision, gate)
        return engine, gate.check(engine, precision)
    except EngineError:
        raise
    except FAILURES as error:
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        raise EngineError(f"{name} {precision} does not run this model ({cause}); empty the folder {cache_folder()}") from error


def present(frames: GateFrames) -> list[Choice]:
    """Return what the automatic choice compares on this machine."""
    tried = [(name, precision) for name, runner in RUNNERS.items() for precision in runner.tried]
    if frames.truth_rad is None:
        tried = [(name, precision) for name, precision in tried if precision == "fp32"]
    return [(name, precision) for name, precision in tried if not RUNNERS[name].missing(precision)]


def interleaved_ms(engines: list[Engine], frames: GateFrames, rounds: int = 5) -> list[float]:
    """Median milliseconds a frame of every engine; see :func:`times_in_turns`."""
    return [float(np.median(record)) for record in times_in_turns(engines, frames, rounds, _PATIENCE_S)]


def times_in_turns(engines: list[Engine], frames: GateFrames, rounds: int, patience_s: float) -> list[list[float]]:
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


def _all_present(gate: Gate) -> tuple[dict[Choice, Engine], list[str]]:
    """Open every engine on this machine; return those that passed, and words on the others."""
    engines: dict[Choice, Engine] = {}
    refused = []
    for choice in present(gate.frames):
        try:
            engines[choice] = opened(choice, gate)
        except (EngineError, ImportError) as error:
            (log.warning if gate.model.network.exportable else log.info)("engine %s refused: %s", " ".join(choice), error)
            refused.append(f"{' '.join(choice)} refused: {error}")
    return engines, refused


def _memory(model: Model, frames: GateFrames) -> Artifact:
    """Where the choice for this model on this machine is written down."""
    card = {}
    if not RUNNERS["torch_cuda"].missing("fp32"):
        from reconstruction.engines.cuda.cuda_loop import card_facts

        card = card_facts()
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
