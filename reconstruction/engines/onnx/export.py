"""A model, or a part of one, as an ONNX graph of fixed shape, in the cache."""

from __future__ import annotations

import logging
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from torch import nn

from reconstruction.engines.artifacts import Artifact
from reconstruction.engines.base import DRAWN_PLANES, EngineError, Precision, draws_from_noise, first_line
from reconstruction.engines.onnx.precision import reduced
from reconstruction.models.base import Reconstructor
from reconstruction.models.model import Model

OPSET = 18
#: Increase it when the graph changes for the same weights.
GRAPH_VERSION = 3
INPUTS = ("frame", "reference")
#: The third input of a model that draws samples: their noise. A new sample needs no new graph.
NOISE_INPUT = "noise"
#: The output of a whole model, by its number of planes: the phase, the phase and its standard deviation, or all that is drawn.
OUTPUTS = {1: "phase_rad", 2: "phase_and_sigma_rad", DRAWN_PLANES: "sample_mean_and_sigma_rad"}


@dataclass(frozen=True, kw_only=True, eq=False)
class _Source:
    """What to export: a module, an example of its inputs, and the names in the graph. ``part`` is empty for a whole model.

    ``steps`` are those of a model that draws samples; there is one graph for each number.
    """

    module: nn.Module
    example: tuple[torch.Tensor, ...]
    inputs: tuple[str, ...]
    output: str
    part: str = ""
    steps: int = 0


class _WithSigma(nn.Module):
    """A network whose result is the phase and its standard deviation."""

    def __init__(self, network: Reconstructor) -> None:
        super().__init__()
        self.network = network

    def forward(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        return self.network.with_sigma(frame, reference)


class _Drawn(nn.Module):
    """A network whose result is a sample, the mean and the standard deviation."""

    def __init__(self, network: Reconstructor) -> None:
        super().__init__()
        self.network = network

    def forward(self, frame: torch.Tensor, reference: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return self.network.drawn(frame, reference, noise)


def model_graph(model: Model, precision: Precision = Precision.FP32) -> Artifact:
    """Return the whole model as a graph ``(frame, reference) -> phase_rad``; it is exported the first time.

    Inputs are (1, channels, frame_px, frame_px) float32 counts, the output (1, planes, grid_px, grid_px) float32 radians. The
    second plane, where the model gives it, is the standard deviation; the output is then ``phase_and_sigma_rad``.

    Models that draw samples have a third input, ``noise`` (1, noise_channels, grid_px, grid_px), and three planes: sample, mean
    and standard deviation. They have one graph for each number of steps.

    Raises
    ------
    EngineError
        Models of this kind cannot be exported as one graph, or the exporter fails.
    """
    if not model.network.exportable:
        raise EngineError(f"models of kind '{model.card.kind}' cannot be exported as one graph")
    shape = (1, model.network.channels, model.frame_px, model.frame_px)
    example = torch.rand(shape) * 60, torch.rand(shape) * 60
    network = model.network
    if draws_from_noise(network):
        source = _Source(
            module=_Drawn(network).eval(),
            example=(*example, network.noise(0)),
            inputs=(*INPUTS, NOISE_INPUT),
            output=OUTPUTS[DRAWN_PLANES],
            steps=network.step_count,
        )
    else:
        module = _WithSigma(network).eval() if network.gives_sigma else network
        source = _Source(module=module, example=example, inputs=INPUTS, output=OUTPUTS[network.planes])
    return _cached(model.id, model.grid_px, source, precision)


def part_graph(model: Model, part: str, precision: Precision = Precision.FP32) -> Artifact:
    """Return one of the model's :meth:`~reconstruction.models.base.Reconstructor.parts` as a graph."""
    example = model.network.parts()[part]
    names = tuple(f"input_{number}" for number in range(len(example)))
    module = model.network.get_submodule(part)
    source = _Source(module=module, example=example, inputs=names, output="output", part=part)
    return _cached(model.id, model.grid_px, source, precision)


def network_graph(network: nn.Module, example: torch.Tensor, identity: str) -> Artifact:
    """Return a network that is no reconstructor as a graph of one input and one output.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode.
    example : tensor, shape (1, channels, h, w)
        An input; the graph is for this shape.
    identity : str
        What tells its weights from others, for the name of the file.
    """
    source = _Source(module=network, example=(example,), inputs=("input",), output="output")
    return _cached(identity, example.shape[-1], source, Precision.FP32)


def _cached(identity: str, grid_px: int, source: _Source, precision: Precision) -> Artifact:
    facts: dict[str, object] = {
        "model": identity,
        "part": source.part,
        "shapes": [list(tensor.shape) for tensor in source.example] + [grid_px],
        "precision": precision,
        "opset": OPSET,
        "torch": torch.__version__,
        "graph": GRAPH_VERSION,
    }
    if source.output in (OUTPUTS[2], OUTPUTS[DRAWN_PLANES]):
        # Graphs of earlier versions give the phase alone. Those of models without a standard deviation stay valid.
        facts["output"] = source.output
    if source.steps:
        facts["steps"] = source.steps
    artifact = Artifact("-".join(filter(None, (identity, source.part, precision))), "onnx", facts)

    def build() -> bytes:
        if precision is Precision.INT8:
            raise EngineError("int8 graphs are quantised on real frames, not exported; use another precision")
        graph = export_module(source.module, source.example, list(source.inputs), source.output)
        if precision is not Precision.FP32:
            graph = reduced(graph, precision)
        serialized: bytes = graph.SerializeToString()
        return serialized

    artifact.load_or_build(build)
    return artifact


def export_module(module: nn.Module, example: tuple[torch.Tensor, ...], inputs: list[str], output: str) -> onnx.ModelProto:
    """Return the simplified graph of a module, for inputs of exactly these shapes.

    Raises
    ------
    EngineError
        The exporter fails.
    """
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The exporter warns about its own internals. The engine check compares the result with torch.
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        path = Path(folder) / "graph.onnx"
        try:
            torch.onnx.export(
                module,
                example,
                str(path),
                input_names=inputs,
                output_names=[output],
                opset_version=OPSET,
                dynamo=True,
                optimize=True,
                external_data=False,
                verbose=False,
            )
            graph = onnx.load(path)
            onnx.checker.check_model(graph, full_check=True)
        except (torch.onnx.OnnxExporterError, onnx.checker.ValidationError) as error:
            raise EngineError(f"{type(module).__name__} could not be exported ({first_line(error)}); use torch") from error
    return graph
