"""Every engine kind by the name that an operator gives. Its library is imported only when the engine is opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from reconstruction.engines.base import IN_PARTS, Engine, EngineError, Precision
from reconstruction.engines.engine_check import EngineCheck
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.models.model import Model

_FP32, _FP16, _BF16, _INT8 = Precision.FP32, Precision.FP16, Precision.BF16, Precision.INT8


@dataclass(frozen=True, kw_only=True)
class EngineKind:
    """One way to run models.

    Parameters
    ----------
    precisions : tuple of Precision
        Precisions that can be requested; the first one is the default.
    tried : tuple of Precision
        Precisions that the automatic choice compares.
    open : callable
        Makes an engine; raises EngineError or ImportError.
    missing : callable
        Returns why a precision is not available on this machine; empty if it is.
    """

    precisions: tuple[Precision, ...]
    tried: tuple[Precision, ...]
    open: Callable[[Model, Precision, EngineCheck], Engine]
    missing: Callable[[Precision], str] = lambda precision: ""


def _tensorrt(library: str) -> EngineKind:
    def open_(model: Model, precision: Precision, engine_check: EngineCheck) -> Engine:
        from reconstruction.engines.tensorrt.run import open_tensorrt

        return open_tensorrt(library, model, precision, engine_check)

    def missing_(precision: Precision) -> str:
        from reconstruction.engines.tensorrt.run import missing

        return missing(library)

    return EngineKind(precisions=(_FP32, _FP16, _BF16), tried=(_FP16, _FP32), open=open_, missing=missing_)


def _open_torch(model: Model, precision: Precision, engine_check: EngineCheck) -> Engine:
    return TorchEngine(model)


def _open_torch_cuda(model: Model, precision: Precision, engine_check: EngineCheck) -> Engine:
    from reconstruction.engines.cuda.torch_cuda import open_torch_cuda

    return open_torch_cuda(model, precision, engine_check)


def _missing_torch_cuda(precision: Precision) -> str:
    from reconstruction.engines.cuda.cuda_loop import no_cuda

    return no_cuda()


def _open_openvino(model: Model, precision: Precision, engine_check: EngineCheck) -> Engine:
    from reconstruction.engines.openvino import open_openvino

    return open_openvino(model, precision, engine_check)


def _missing_openvino(precision: Precision) -> str:
    from reconstruction.engines.openvino import missing

    return missing(precision)


def _open_onnxruntime(model: Model, precision: Precision, engine_check: EngineCheck) -> Engine:
    from reconstruction.engines.onnx.runtime import open_onnx_runtime

    return open_onnx_runtime(model, precision, engine_check)


#: Engine kinds by name. Where times are equal, the first one is chosen.
ENGINES: dict[str, EngineKind] = {
    "tensorrt": _tensorrt("tensorrt"),
    "tensorrt_rtx": _tensorrt("tensorrt_rtx"),
    "torch_cuda": EngineKind(
        precisions=(_FP32, _FP16, _BF16), tried=(_FP16, _FP32), open=_open_torch_cuda, missing=_missing_torch_cuda
    ),
    "openvino": EngineKind(
        precisions=(_FP32, _BF16, _INT8), tried=(_BF16, _FP32), open=_open_openvino, missing=_missing_openvino
    ),
    "onnxruntime": EngineKind(precisions=(_FP32, _INT8), tried=(_FP32,), open=_open_onnxruntime),
    "torch": EngineKind(precisions=(_FP32,), tried=(_FP32,), open=_open_torch),
}
AUTO: Final = "auto"


def preference_of(engine_name: str) -> str:
    """Return the preference that an engine of this name is opened with, also where it runs a network in parts."""
    return engine_name.removeprefix(IN_PARTS).replace("torch cuda", "torch_cuda")


def parse(preference: str) -> tuple[str, Precision]:
    """Split ``openvino bf16`` or ``openvino`` into the name of an engine kind and a precision.

    Raises
    ------
    EngineError
        There is no engine kind of this name, or it does not have this precision.
    """
    name, _, text = preference.strip().partition(" ")
    if name not in ENGINES:
        raise EngineError(f"no engine named {preference!r}; use {AUTO}, {', '.join(ENGINES)}")
    precisions = ENGINES[name].precisions
    for precision in precisions:
        if precision.value == (text.strip() or precisions[0].value):
            return name, precision
    raise EngineError(f"engine {name} has no precision {text.strip()!r}; use {', '.join(precisions)}")
