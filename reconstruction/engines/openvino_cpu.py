"""OpenVINO on the CPU; through ONNX, because its direct conversion of deep U-Nets has crashed."""

from __future__ import annotations

import numpy as np
import openvino
from numpy.typing import NDArray

from reconstruction.engines.base import Counts, EngineError
from reconstruction.export_onnx import cached_onnx
from reconstruction.model import Model


class OpenVinoEngine:
    """Runs the exported graph in OpenVINO, in full precision (stated, because its default on new CPUs is bf16)."""

    name = "openvino f32"

    def __init__(self, model: Model) -> None:
        path = cached_onnx(model)
        settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        try:
            compiled = openvino.Core().compile_model(str(path), "CPU", settings)
        except RuntimeError as error:
            path.unlink(missing_ok=True)
            raise EngineError(f"OpenVINO refused {path.name}: {str(error).splitlines()[0]}") from error
        self._request = compiled.create_infer_request()
        self._inputs = {name: self._request.get_tensor(name).data[0, 0] for name in ("frame", "reference")}
        self._reference: NDArray[np.float32] | None = None

    def run(self, frame: Counts, reference: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reconstruct one frame; see :class:`reconstruction.engines.base.Engine`."""
        np.copyto(self._inputs["frame"], frame)
        if reference is not self._reference:
            np.copyto(self._inputs["reference"], reference)
            self._reference = reference
        self._request.infer()
        return np.array(self._request.get_output_tensor(0).data[0, 0])
