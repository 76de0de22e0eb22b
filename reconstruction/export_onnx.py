"""A model as an ONNX graph of fixed shape, cached under its content hash."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from pathlib import Path

import torch
from torch import nn

from reconstruction.model import Model

OPSET = 18
#: Raised whenever the graph changes for the same weights.
GRAPH_VERSION = 1


def cache_folder() -> Path:
    """Folder for compiled models: ``$SPECKLESCOPE_CACHE`` or ``~/.cache/specklescope``."""
    return Path(os.environ.get("SPECKLESCOPE_CACHE") or Path.home() / ".cache" / "specklescope")


def export_onnx(model: Model, path: Path) -> Path:
    """Write the graph ``(frame, reference) -> phase`` with inputs (1, 1, frame_px, frame_px) float32 counts."""
    shape = (1, 1, model.frame_px, model.frame_px)
    example = torch.rand(shape) * 60, torch.rand(shape) * 60
    return export_module(model.network, example, ["frame", "reference"], "phase_rad", path)


def export_module(module: nn.Module, example: tuple[torch.Tensor, ...], inputs: list[str], output: str, path: Path) -> Path:
    """Write the graph of a module for inputs of just these shapes. The file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, warnings.catch_warnings():
        # The exporter warns about its own internals; what matters, equality with torch, is checked by every engine.
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        part = Path(folder) / path.name
        torch.onnx.export(
            module,
            example,
            str(part),
            input_names=inputs,
            output_names=[output],
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        part.replace(path)
    return path


def cached_onnx(model: Model) -> Path:
    """Return the model's graph, exporting it the first time."""
    path = cache_path(model.id)
    return path if path.is_file() else export_onnx(model, path)


def cache_path(name: str) -> Path:
    """Where a graph lies that depends on ``name``, the exporter and its version alone."""
    return cache_folder() / f"{name}-v{GRAPH_VERSION}-opset{OPSET}-torch{torch.__version__.split('+')[0]}.onnx"
