"""The calibrated loop on the CPU: its networks in OpenVINO, the fibre between them in torch.

Fourier transforms of complex fields do not go well through ONNX; the networks do, one graph for each step.
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import openvino
import torch
from torch import nn

from reconstruction.calibrated.few_step import CalibratedFewStep
from reconstruction.engines.base import EngineError
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.export_onnx import cache_path, cached_onnx, export_module
from reconstruction.model import Model, load_model

_SETTINGS = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}


class LoopEngine(TorchEngine):
    """Runs a model of kind ``calibrated``.

    Raises
    ------
    EngineError
        Another kind, or OpenVINO refuses a graph.
    """

    name = "torch + openvino f32"

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        network = model.network
        if not isinstance(network, CalibratedFewStep):
            raise EngineError(f"{self.name} runs calibrated models only, not kind {model.card.kind!r}")
        compiled = copy.copy(network)
        compiled._modules = dict(network._modules)
        compiled.steps = nn.ModuleList(_Compiled(_step_graph(model, number)) for number in range(len(network.steps)))
        if network.config.start:
            compiled.start_with(_Compiled(cached_onnx(load_model(network.config.start))))
        self._network = compiled


class _Compiled(nn.Module):
    """A graph of one output, for single images."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            self._request = openvino.Core().compile_model(str(path), "CPU", _SETTINGS).create_infer_request()
        except RuntimeError as error:
            path.unlink(missing_ok=True)
            raise EngineError(f"OpenVINO refused {path.name}: {str(error).splitlines()[0]}") from error

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        self._request.infer([openvino.Tensor(np.ascontiguousarray(part.numpy()), shared_memory=True) for part in inputs])
        return torch.from_numpy(np.array(self._request.get_output_tensor(0).data))


def _step_graph(model: Model, number: int) -> Path:
    path = cache_path(f"{model.id}-step{number}")
    if path.is_file():
        return path
    network = model.network
    assert isinstance(network, CalibratedFewStep)
    step = network.steps[number]
    example = torch.rand((1, network.maps, model.grid_px, model.grid_px))
    return export_module(step, (example,), ["maps"], "change", path)
