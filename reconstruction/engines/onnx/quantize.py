"""A graph whose learned convolutions calculate in 8 bits, on scales measured on real frames.

Post-training quantisation: activations by their range over the frames, weights by that of each channel (Jacob et al., CVPR
2018). What it loses is measured by the gate, and it is rarely little enough.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx

from reconstruction.engines.artifacts import Artifact
from reconstruction.engines.base import EngineError, Precision
from reconstruction.engines.check_frames import CheckFrames
from reconstruction.engines.onnx.export import INPUTS, model_graph
from reconstruction.models.model import Model

_LEARNED = ("Conv", "ConvTranspose")


def graph_for(model: Model, precision: Precision, frames: CheckFrames) -> Artifact:
    """Return what the runners on a processor take: the 8-bit graph for int8, otherwise the one in 32 bits.

    Raises
    ------
    EngineError
        See :func:`quantized_graph` and :func:`reconstruction.engines.onnx.export.model_graph`.
    """
    return quantized_graph(model, frames) if precision == "int8" else model_graph(model)


def quantized_graph(model: Model, frames: CheckFrames) -> Artifact:
    """Return the whole model's graph in 8 bits, its scales measured on the first half of ``frames``.

    Raises
    ------
    EngineError
        There are no real frames to measure scales on, or the quantiser fails.
    """
    if frames.truth_rad is None:
        raise EngineError("int8 needs real frames to measure its scales on, and there are none; use another precision")
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Frames(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left = [np.asarray(frame, np.float32)[None, None] for frame in seen]

        def get_next(self) -> dict[str, np.ndarray] | None:
            if not self._left:
                return None
            return dict(zip(INPUTS, (self._left.pop(), frames.reference[None, None]), strict=True))

    seen = frames.frames[: max(1, len(frames.frames) // 2)]
    whole = model_graph(model)
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(frame).tobytes() for frame in seen)).hexdigest()[:12]
    artifact = Artifact(f"{model.id}-int8", "onnx", {**whole.facts, "precision": "int8", "frames": digest})
    if artifact.load_or_remove() is not None:
        return artifact
    graph = onnx.load(whole.path)
    apart = [node.name for node in graph.graph.node if node.op_type in _LEARNED and _grouped(node)]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger().disabled, disabled = True, logging.getLogger().disabled
        try:
            path = Path(folder) / "graph.onnx"
            quantize_static(
                str(whole.path),
                str(path),
                Frames(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(_LEARNED),
                nodes_to_exclude=apart,
                per_channel=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
            )
            artifact.store(path.read_bytes())
        except Exception as error:  # it raises whatever its many passes raise
            raise EngineError(
                f"int8 is not to be had of this model ({str(error).splitlines()[0]}); use bf16 or fp32"
            ) from error
        finally:
            logging.getLogger().disabled = disabled
    return artifact


def _grouped(node: onnx.NodeProto) -> bool:
    return any(attribute.name == "group" and attribute.i > 1 for attribute in node.attribute)
