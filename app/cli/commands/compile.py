"""``specklescope compile``: build, verify and time engines for a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cyclopts import Parameter

from app.cli.options import Flag, ResponseOptions
from app.cli.output import progress_bars, publish_rows
from drivers.base import SpeckleScopeError


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class CompileOptions:
    """Which engines are built, and on which frames they are verified.

    Parameters
    ----------
    engine
        Build only this one: tensorrt, tensorrt_rtx, torch_cuda, openvino, onnxruntime or torch. [default: all that run here]
    precision
        Number format of that engine.
    here
        Build only the engines that run on this computer, and no TensorRT RTX plan for GPUs of other computers.
    frames
        Captured dataset of the model's fibre, on which the engines are verified. [default: simulated frames, for a model of
        the twin]
    """

    engine: str | None = None
    precision: Literal["fp32", "fp16", "bf16", "int8"] | None = None
    here: Flag = False
    frames: Path | None = None


_OPTIONS, _INSTRUMENT = CompileOptions(), ResponseOptions()


def compile_model(model: str, *, options: CompileOptions = _OPTIONS, instrument: ResponseOptions = _INSTRUMENT) -> None:
    """Build engines for MODEL on this computer, compare them with torch, time them, and remember the fastest.

    Parameters
    ----------
    model
        The name of a shipped model, or a model folder.
    """
    from app.instrument.responses import attach
    from app.training import compile as compiling
    from app.training.compiled_engines import EngineState
    from reconstruction.engines.engine_kinds import parse
    from reconstruction.models.model import load_model

    if options.precision and not options.engine:
        raise SpeckleScopeError(f"--precision {options.precision} needs an engine; name one with --engine")
    if options.here and options.engine:
        raise SpeckleScopeError(f"--here builds several engines and --engine {options.engine} one; leave one of them out")
    several = compiling.EngineSet.HERE if options.here else compiling.EngineSet.ALL
    wanted = parse(f"{options.engine} {options.precision or ''}") if options.engine else several
    settings = instrument.settings()
    loaded = load_model(model)
    attach(loaded, settings.response, loaded.card.fibre)
    with progress_bars() as report:
        numbers = compiling.compile_model(loaded, settings, wanted, options.frames, report)
    publish_rows("compile", numbers, instrument.json)
    rows = numbers["rows"]
    assert isinstance(rows, list)
    if all(EngineState(row["state"]) is EngineState.REFUSED for row in rows):
        raise SpeckleScopeError(f"every engine was refused for model '{model}'; the notes above say why")
