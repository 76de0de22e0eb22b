"""Models that do not go into one graph: their networks in a faster engine, what is between them in torch.

Fourier transforms of complex fields do not go well through ONNX, and a sampler's loop has nothing to gain from it: on a
processor its networks take all the time.
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
from reconstruction.engines.base import EngineError, Precision
from reconstruction.engines.onnx.export import model_graph, part_graph
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.models.model import Model, load_model

_Module = TypeVar("_Module", bound=nn.Module)


class Graph(Protocol):
    """A compiled graph of one output."""

    def __call__(self, *inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run it once; a new array at every call."""


class PartsEngine(TorchEngine):
    """Runs a model in torch, and its :meth:`~reconstruction.models.reconstructor.Reconstructor.parts` as compiled graphs.

    Parameters
    ----------
    model : Model
        Its network is left as it is.
    compile_graph : callable
        Makes a graph of what was exported.
    name : str
        Of what runs the graphs.
    precision : str
        Told to the compiler; graphs are exported in 32 bits.

    Raises
    ------
    EngineError
        The model has no parts, one of them is refused, or they are asked for in 8 bits.
    """

    def __init__(self, model: Model, compile_graph: Callable[[Artifact], Graph], name: str, precision: Precision) -> None:
        super().__init__(model)
        if precision == "int8":
            raise EngineError(f"models of kind '{model.card.kind}' are not quantised; use another precision")
        parts = model.network.parts()
        if not parts:
            raise EngineError(f"models of kind '{model.card.kind}' have no parts that {name} could run")
        self.name = f"torch + {name} {precision}"
        graphs = {part: _Compiled(compile_graph(part_graph(model, part))) for part in parts}
        network = with_parts(model.network, graphs)
        if isinstance(network, CalibratedFewStep) and network.config.start:
            network.start_with(_Compiled(compile_graph(model_graph(load_model(network.config.start)))))
        self._network = network


def with_parts(network: _Module, parts: Mapping[str, nn.Module]) -> _Module:
    """Return a shallow copy of a module in which these submodules, named as ``named_modules`` does, are others."""
    other = copy.copy(network)
    other._modules = dict(network._modules)
    inner: dict[str, dict[str, nn.Module]] = {}
    for name, part in parts.items():
        first, _, rest = name.partition(".")
        if rest:
            inner.setdefault(first, {})[rest] = part
        else:
            other._modules[first] = part
    for first, rests in inner.items():
        child = network._modules[first]
        assert child is not None
        other._modules[first] = with_parts(child, rests)
    return other


class _Compiled(nn.Module):
    """A graph as a module, for single images."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self._graph = graph

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self._graph(*(np.ascontiguousarray(part.numpy()) for part in inputs)))
