"""Which engine runs a model: the fastest one present that agrees with torch, or the one asked for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from reconstruction.engines.base import Engine, EngineError
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.model import Model

log = logging.getLogger(__name__)

#: Largest accepted difference from torch in full precision.
TOLERANCE_RAD = 1e-3


def _openvino(model: Model) -> Engine:
    if model.card.kind == "calibrated":
        from reconstruction.engines.loop_cpu import LoopEngine

        return LoopEngine(model)
    _check_exportable(model)
    from reconstruction.engines.openvino_cpu import OpenVinoEngine

    return OpenVinoEngine(model)


def _onnxruntime(model: Model) -> Engine:
    _check_exportable(model)
    from reconstruction.engines.onnx_runtime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(model)


def _check_exportable(model: Model) -> None:
    if not model.network.exportable:
        raise EngineError(f"models of kind '{model.card.kind}' do not go into one graph")


#: Runners by the name an operator gives. Their libraries are imported only when tried.
RUNNERS: dict[str, Callable[[Model], Engine]] = {
    "openvino": _openvino,
    "onnxruntime": _onnxruntime,
    "torch": TorchEngine,
}


@dataclass(frozen=True)
class ChosenEngine:
    """A warmed, checked engine and why it was taken."""

    engine: Engine
    reason: str


def open_engine(model: Model, preference: str = "auto") -> ChosenEngine:
    """Build, check and warm an engine.

    Parameters
    ----------
    model : Model
        What to run.
    preference : str
        ``auto`` (fastest of those present, measured now) or a key of RUNNERS. A preferred engine that fails its check is
        replaced by torch, and the reason says so.

    Raises
    ------
    EngineError
        The preference is unknown.
    """
    if preference != "auto" and preference not in RUNNERS:
        raise EngineError(f"no engine named {preference!r}; use auto, {', '.join(RUNNERS)}")
    candidates, refused = [], []
    for name in RUNNERS if preference == "auto" else [preference]:
        try:
            candidates.append(_checked(RUNNERS[name](model), model))
        except (EngineError, ImportError) as error:
            (log.warning if model.network.exportable else log.info)("engine %s refused: %s", name, error)
            refused.append(f"{name} refused: {error}")
    if not candidates:
        return ChosenEngine(TorchEngine(model), "; ".join(refused) + "; torch instead")
    if preference != "auto":
        return ChosenEngine(candidates[0], "chosen by the operator")
    times = _interleaved_ms(candidates, model)
    best = int(np.argmin(times))
    reason = "fastest here: " + ", ".join(f"{e.name} {t:.1f} ms" for e, t in zip(candidates, times, strict=True))
    return ChosenEngine(candidates[best], "; ".join([reason, *refused]))


def _checked(engine: Engine, model: Model) -> Engine:
    """Compare with torch on two noisy frames, which also warms the engine."""
    rng = np.random.default_rng(0)
    truth = TorchEngine(model)
    for _ in range(2):
        frame, reference = rng.exponential(36, (2, model.frame_px, model.frame_px)).astype(np.float32)
        difference = float(np.abs(engine.run(frame, reference) - truth.run(frame, reference)).max())
        if not difference <= TOLERANCE_RAD:
            raise EngineError(f"{engine.name} differs from torch by {difference:.2g} rad, more than {TOLERANCE_RAD}")
    return engine


def _interleaved_ms(engines: list[Engine], model: Model, rounds: int = 5) -> list[float]:
    frame = np.full((model.frame_px, model.frame_px), 36, np.float32)
    times: list[list[float]] = [[] for _ in engines]
    for _ in range(rounds):
        for engine, record in zip(engines, times, strict=True):
            start = time.perf_counter()
            engine.run(frame, frame)
            record.append((time.perf_counter() - start) * 1e3)
    return [float(np.median(record)) for record in times]
