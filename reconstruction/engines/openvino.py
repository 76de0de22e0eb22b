"""OpenVINO on the CPU. It reads ONNX graphs, because its direct conversion of deep U-Nets has crashed.

The precision is always set explicitly: on new processors OpenVINO would use bf16 by default.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import openvino
from numpy.typing import NDArray

from reconstruction.engines.artifacts import Artifact
from reconstruction.engines.base import Counts, Engine, EngineError, Estimate, Precision, estimate_of, first_line, own_noise
from reconstruction.engines.engine_check import EngineCheck
from reconstruction.engines.onnx.export import INPUTS, NOISE_INPUT
from reconstruction.engines.onnx.parts import PartsEngine
from reconstruction.engines.onnx.quantize import graph_for
from reconstruction.models.model import Model

#: For int8 the 8-bit operations are in the graph itself, and all others run in 32 bits.
_HINTS: Final = {Precision.FP32: "f32", Precision.BF16: "bf16", Precision.INT8: "f32"}


def open_openvino(model: Model, precision: Precision, engine_check: EngineCheck) -> Engine:
    """Return an engine for any model that can be exported as one graph or in parts."""
    if not model.network.exportable:
        return PartsEngine(model, lambda graph: OpenVinoPart(graph, precision), "openvino", precision)
    return OpenVinoEngine(graph_for(model, precision, engine_check.frames), precision, own_noise(model.network))


def missing(precision: Precision) -> str:
    """Return why a precision is not available on this processor; empty if it is."""
    if precision is not Precision.BF16:
        return ""
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "" if "BF16" in capabilities else "this processor does not compute in bf16"


class OpenVinoEngine:
    """Runs the graph of a whole model; ``noise`` is that of the model's own seed, where noise is an input of the graph."""

    def __init__(self, graph: Artifact, precision: Precision, noise: NDArray[np.float32] | None = None) -> None:
        self.name = f"openvino {precision}"
        self._request = _compiled(graph, precision)
        self._inputs = {name: self._request.get_tensor(name).data[0] for name in INPUTS}
        self._noise_input = None if noise is None else self._request.get_tensor(NOISE_INPUT).data
        self._own_noise = noise
        self._reference: NDArray[np.float32] | None = None
        self._noise: NDArray[np.float32] | None = None

    def run(self, frame: Counts, reference: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reconstruct one frame; see :class:`reconstruction.engines.base.Engine`."""
        return self.run_with_sigma(frame, reference)[0]

    def run_with_sigma(self, frame: Counts, reference: NDArray[np.float32]) -> Estimate:
        """Reconstruct one frame; see :class:`reconstruction.engines.base.UncertainEngine`."""
        return estimate_of(self._planes(frame, reference, self._own_noise))

    def drawn(self, frame: Counts, reference: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reconstruct one frame; see :class:`reconstruction.engines.base.DrawingEngine`."""
        return np.array(self._planes(frame, reference, noise))

    def _planes(self, frame: Counts, reference: NDArray[np.float32], noise: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """Return the output of the graph, which the next call overwrites."""
        np.copyto(self._inputs["frame"], frame)
        if reference is not self._reference:
            np.copyto(self._inputs["reference"], reference)
            self._reference = reference
        if noise is not None and self._noise_input is not None and noise is not self._noise:
            np.copyto(self._noise_input, noise)
            self._noise = noise
        self._request.infer()
        return np.asarray(self._request.get_output_tensor(0).data[0])


class OpenVinoPart:
    """Runs a graph with one output, such as that of one part of a model."""

    def __init__(self, graph: Artifact, precision: Precision) -> None:
        self._request = _compiled(graph, precision)

    def __call__(self, *inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run it once; see :class:`reconstruction.engines.onnx.parts.Graph`."""
        self._request.infer([openvino.Tensor(part, shared_memory=True) for part in inputs])
        return np.array(self._request.get_output_tensor(0).data)


def _compiled(graph: Artifact, precision: Precision) -> openvino.InferRequest:
    settings = {"INFERENCE_PRECISION_HINT": _HINTS[precision], "PERFORMANCE_HINT": "LATENCY"}
    try:
        return openvino.Core().compile_model(str(graph.path), "CPU", settings).create_infer_request()
    except RuntimeError as error:
        graph.remove()
        raise EngineError(f"OpenVINO refused {graph.path.name}: {first_line(error)}") from error
