"""ONNX Runtime on the CPU. It has no fast 16-bit operations there."""

from __future__ import annotations

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from reconstruction.engines.artifacts import Artifact
from reconstruction.engines.base import (
    Counts,
    Engine,
    EngineError,
    Estimate,
    Precision,
    estimate_of,
    first_line,
    network_input,
    own_noise,
)
from reconstruction.engines.engine_check import EngineCheck
from reconstruction.engines.onnx.export import INPUTS, NOISE_INPUT
from reconstruction.engines.onnx.parts import PartsEngine
from reconstruction.engines.onnx.quantize import graph_for
from reconstruction.models.model import Model


def open_onnx_runtime(model: Model, precision: Precision, engine_check: EngineCheck) -> Engine:
    """Return an engine for any model that can be exported as one graph or in parts."""
    if not model.network.exportable:
        return PartsEngine(model, OnnxRuntimePart, "onnxruntime", precision)
    return OnnxRuntimeEngine(graph_for(model, precision, engine_check.frames), precision, own_noise(model.network))


class OnnxRuntimeEngine:
    """Runs the graph of a whole model; ``noise`` is that of the model's own seed, where noise is an input of the graph."""

    def __init__(self, graph: Artifact, precision: Precision, noise: NDArray[np.float32] | None = None) -> None:
        self.name = f"onnxruntime {precision}"
        self._session = _session(graph)
        self._noise = noise

    def run(self, frame: Counts, reference: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reconstruct one frame; see :class:`reconstruction.engines.base.Engine`."""
        return self.run_with_sigma(frame, reference)[0]

    def run_with_sigma(self, frame: Counts, reference: NDArray[np.float32]) -> Estimate:
        """Reconstruct one frame; see :class:`reconstruction.engines.base.UncertainEngine`."""
        return estimate_of(self._planes(frame, reference, self._noise))

    def drawn(self, frame: Counts, reference: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reconstruct one frame; see :class:`reconstruction.engines.base.DrawingEngine`."""
        return self._planes(frame, reference, noise)

    def _planes(self, frame: Counts, reference: NDArray[np.float32], noise: NDArray[np.float32] | None) -> NDArray[np.float32]:
        images = {INPUTS[0]: network_input(frame), INPUTS[1]: network_input(reference)}
        if noise is not None:
            images[NOISE_INPUT] = noise
        return np.asarray(self._session.run(None, images)[0][0])


class OnnxRuntimePart:
    """Runs a graph with one output, such as that of one part of a model."""

    def __init__(self, graph: Artifact) -> None:
        self._session = _session(graph)
        self._inputs = [node.name for node in self._session.get_inputs()]

    def __call__(self, *inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run it once; see :class:`reconstruction.engines.onnx.parts.Graph`."""
        return np.asarray(self._session.run(None, dict(zip(self._inputs, inputs, strict=True)))[0])


def _session(graph: Artifact) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Workers that spin between frames would occupy the cores that camera and display need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(graph.path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # Its exceptions have no public base class. Without removal, a broken cache file would be read again next time.
        graph.remove()
        raise EngineError(f"ONNX Runtime refused {graph.path.name}: {first_line(error)}") from error
