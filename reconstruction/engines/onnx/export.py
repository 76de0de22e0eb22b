"""A model, or a part of one, as an ONNX graph of fixed shape, cached under what it was made from."""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path

import onnx
import torch
from torch import nn

from reconstruction.engines.artifacts import Artifact
from reconstruction.engines.base import EngineError, Precision
from reconstruction.engines.onnx.precision import reduced
from reconstruction.models.model import Model

OPSET = 18
#: Raised whenever the graph changes for the same weights.
GRAPH_VERSION = 3
INPUTS, OUTPUT = ("frame", "reference"), "phase_rad"


def model_graph(model: Model, precision: Precision = "fp32") -> Artifact:
    """Return the whole model as a graph ``(frame, reference) -> phase_rad``, exporting it the first time.

    Inputs are (1, 1, frame_px, frame_px) float32 counts, the output is (1, 1, grid_px, grid_px) float32 radians.

    Raises
    ------
    EngineError
        Models of this kind do not go into one graph, or the exporter fails.
    """
    if not model.network.exportable:
        raise EngineError(f"models of kind '{model.card.kind}' do not go into one graph")
    shape = (1, 1, model.frame_px, model.frame_px)
    example = torch.rand(shape) * 60, torch.rand(shape) * 60
    return _cached(model, model.network, "", example, list(INPUTS), OUTPUT, precision)


def part_graph(model: Model, part: str, precision: Precision = "fp32") -> Artifact:
    """Return one of the model's :meth:`~reconstruction.models.reconstructor.Reconstructor.parts` as a graph."""
    example = model.network.parts()[part]
    names = [f"input_{number}" for number in range(len(example))]
    return _cached(model, model.network.get_submodule(part), part, example, names, "output", precision)


def _cached(
    model: Model,
    module: nn.Module,
    part: str,
    example: tuple[torch.Tensor, ...],
    inputs: list[str],
    output: str,
    precision: Precision,
) -> Artifact:
    facts = {
        "model": model.id,
        "part": part,
        "shapes": [list(tensor.shape) for tensor in example] + [model.grid_px],
        "precision": precision,
        "opset": OPSET,
        "torch": torch.__version__,
        "graph": GRAPH_VERSION,
    }
    artifact = Artifact("-".join(filter(None, (model.id, part, precision))), "onnx", facts)
    if artifact.load_or_remove() is None:
        graph = export_module(module, example, inputs, output)
        if precision in ("fp16", "bf16"):
            graph = reduced(graph, precision)
        elif precision != "fp32":
            raise EngineError(f"no graph is exported in {precision}")
        artifact.store(graph.SerializeToString())
    return artifact


def export_module(module: nn.Module, example: tuple[torch.Tensor, ...], inputs: list[str], output: str) -> onnx.ModelProto:
    """Return the simplified graph of a module for inputs of just these shapes.

    Raises
    ------
    EngineError
        The exporter cannot take it.
    """
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The exporter warns about its own internals; what matters, equality with torch, is checked by every engine.
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
            cause = str(error).splitlines()[0]
            raise EngineError(f"{type(module).__name__} could not be exported ({cause}); use torch") from error
    return graph
