"""Models that cannot be exported as one graph: their networks run in a faster engine, everything else in torch.

ONNX supports Fourier transforms of complex fields badly. The loop of a sampler would gain nothing from ONNX: on a processor
its networks take almost all of the time.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from reconstruction.calibrated.few_step import CalibratedFewStep
from reconstruction.engines.artifacts import Artifact
from reconstruction.engines.base import IN_PARTS, EngineError, Precision
from reconstruction.engines.onnx.export import model_graph, part_graph
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.models.model import Model, load_model

_Module = TypeVar("_Module", bound=nn.Module)


class Graph(Protocol):
    """A compiled graph with one output."""

    def __call__(self, *inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run it once; every call returns a new array."""


class PartsEngine(TorchEngine):
    """Runs a model in torch, with its :meth:`~reconstruction.models.base.Reconstructor.parts` as compiled graphs.

    Parameters
    ----------
    model : Model
        Its network is not changed.
    compile_graph : callable
        Compiles an exported graph.
    name : str
        Name of the engine that runs the graphs.
    precision : Precision
        Precision of the compiled graphs; they are exported in 32 bits.

    Raises
    ------
    EngineError
        The model has no parts, one of them is refused, or the precision is int8.
    """

    def __init__(self, model: Model, compile_graph: Callable[[Artifact], Graph], name: str, precision: Precision) -> None:
        super().__init__(model)
        if precision is Precision.INT8:
            raise EngineError(f"models of kind '{model.card.kind}' are not quantised; use another precision")
        parts = model.network.parts()
        if not parts:
            raise EngineError(f"models of kind '{model.card.kind}' have no parts that {name} could run")
        self.name = f"{IN_PARTS}{name} {precision}"
        graphs = {part: _Compiled(compile_graph(part_graph(model, part))) for part in parts}
        network = with_parts(model.network, graphs)
        if isinstance(network, CalibratedFewStep) and network.config.start:
            start = _Compiled(compile_graph(model_graph(load_model(network.config.start))))
            network.start_with(lambda frame, reference: start(frame, reference)[:, :1])  # the phase alone
        self._network = network


def with_parts(network: _Module, parts: Mapping[str, nn.Module]) -> _Module:
    """Return a copy of a module with other submodules in the place of those named in ``parts``.

    The names are those of ``named_modules``. The copy shares parameters, buffers and a calibrated fibre with ``network``.
    """
    shared: list[object] = [*network.parameters(), *network.buffers()]
    if isinstance(network, CalibratedFewStep):
        shared.append(network.fibre)
    replaced = {id(network.get_submodule(name)): part for name, part in parts.items()}
    return copy.deepcopy(network, {**{id(item): item for item in shared}, **replaced})


class _Compiled(nn.Module):
    """A compiled graph as a module. The graph is for single images, so the images of a batch go through one by one."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self._graph = graph

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        images = zip(*(part.split(1) for part in inputs), strict=True)
        return torch.from_numpy(
            np.concatenate([self._graph(*(np.ascontiguousarray(part.numpy()) for part in image)) for image in images])
        )
