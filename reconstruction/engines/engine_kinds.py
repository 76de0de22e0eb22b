"""Every engine there is, by the name an operator gives; their libraries are imported only when tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, get_args

from reconstruction.engines.base import Engine, EngineError, Precision
from reconstruction.engines.engine_check import EngineCheck
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.models.model import Model


@dataclass(frozen=True)
class EngineKind:
    """A way to run models.

    Parameters
    ----------
    precisions : tuple of str
        That it can be asked for; the first one is meant when none is named.
    tried : tuple of str
        That the automatic choice compares.
    open : callable
        Makes an engine; raises EngineError or ImportError.
    missing : callable
        Says why a precision is not to be had on this machine; empty where it is.
    """

    precisions: tuple[Precision, ...]
    tried: tuple[Precision, ...]
    open: Callable[[Model, Precision, EngineCheck], Engine]
    missing: Callable[[Precision], str]


def _tensorrt(library: str) -> EngineKind:
    def opened(model: Model, precision: Precision, engine_check: EngineCheck) -> Engine:
        from reconstruction.engines.tensorrt.run import open_tensorrt

        return open_tensorrt(library, model, precision, engine_check)

    def missing(precision: Precision) -> str:
        from reconstruction.engines.tensorrt.run import missing

        return missing(library)

    return EngineKind(("fp32", "fp16", "bf16"), ("fp16", "fp32"), opened, missing)


def _torch_cuda(model: Model, precision: Precision, engine_check: EngineCheck) -> Engine:
    from reconstruction.engines.cuda.torch_cuda import open_torch_cuda

    return open_torch_cuda(model, precision, engine_check)


def _no_cuda(precision: Precision) -> str:
    from reconstruction.engines.cuda.cuda_loop import no_cuda

    return no_cuda()


def _openvino(model: Model, precision: Precision, engine_check: EngineCheck) -> Engine:
    from reconstruction.engines.openvino import open_openvino

    return open_openvino(model, precision, engine_check)


def _no_openvino(precision: Precision) -> str:
    from reconstruction.engines.openvino import lacking

    return lacking(precision)


def _onnxruntime(model: Model, precision: Precision, engine_check: EngineCheck) -> Engine:
    from reconstruction.engines.onnx.runtime import open_onnx_runtime

    return open_onnx_runtime(model, precision, engine_check)


#: In the order in which they are tried where times are equal.
ENGINES: dict[str, EngineKind] = {
    "tensorrt": _tensorrt("tensorrt"),
    "tensorrt_rtx": _tensorrt("tensorrt_rtx"),
    "torch_cuda": EngineKind(("fp32", "fp16", "bf16"), ("fp16", "fp32"), _torch_cuda, _no_cuda),
    "openvino": EngineKind(("fp32", "bf16", "int8"), ("bf16", "fp32"), _openvino, _no_openvino),
    "onnxruntime": EngineKind(("fp32", "int8"), ("fp32",), _onnxruntime, lambda precision: ""),
    "torch": EngineKind(("fp32",), ("fp32",), lambda model, precision, engine_check: TorchEngine(model), lambda precision: ""),
}
AUTO: Final = "auto"


def parse(preference: str) -> tuple[str, Precision]:
    """Split ``openvino bf16`` or ``openvino`` into runner and precision.

    Raises
    ------
    EngineError
        No such engine, or it cannot calculate so.
    """
    name, _, precision = preference.strip().partition(" ")
    if name not in ENGINES:
        raise EngineError(f"no engine named {preference!r}; use {AUTO}, {', '.join(ENGINES)}")
    engine_kind = ENGINES[name]
    for known in get_args(Precision):
        if known == (precision.strip() or engine_kind.precisions[0]) and known in engine_kind.precisions:
            return name, known
    raise EngineError(f"engine {name} has no precision {precision.strip()!r}; use {', '.join(engine_kind.precisions)}")
