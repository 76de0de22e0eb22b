"""Graphs whose learned convolutions compute in 8 bits, with scales measured on real frames.

Post-training quantisation (Jacob et al., CVPR 2018): the range of an activation over the frames gives its scale, the range of
the weights of each channel gives theirs. The engine check measures the loss of SSIM, which is rarely small enough.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from reconstruction.engines.artifacts import Artifact
from reconstruction.engines.base import Counts, EngineError, Precision, first_line, own_noise
from reconstruction.engines.check_frames import CheckFrames
from reconstruction.engines.onnx.export import INPUTS, NOISE_INPUT, model_graph
from reconstruction.models.model import Model

_LEARNED = ("Conv", "ConvTranspose")


def graph_for(model: Model, precision: Precision, frames: CheckFrames) -> Artifact:
    """Return the graph for engines on a processor: the 8-bit graph for int8, otherwise the 32-bit graph.

    Raises
    ------
    EngineError
        See :func:`quantized_graph` and :func:`reconstruction.engines.onnx.export.model_graph`.
    """
    return quantized_graph(model, frames) if precision is Precision.INT8 else model_graph(model)


def quantized_graph(model: Model, frames: CheckFrames) -> Artifact:
    """Return the graph of the whole model in 8 bits, with scales measured on the first half of ``frames``.

    Raises
    ------
    EngineError
        There are no real frames to measure scales on, or the quantiser fails.
    """
    if frames.truth_rad is None:
        raise EngineError("int8 needs real frames to measure its scales on, and there are none; use another precision")
    samples = frames.frames[: max(1, len(frames.frames) // 2)]
    whole = model_graph(model)
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(frame).tobytes() for frame in samples)).hexdigest()[:12]
    artifact = Artifact(f"{model.id}-int8", "onnx", {**whole.facts, "precision": "int8", "frames": digest})

    def build() -> bytes:
        noise = own_noise(model.network)
        further = {} if noise is None else {NOISE_INPUT: noise}
        inputs = [dict(zip(INPUTS, (_batch(frame), _batch(frames.reference)), strict=True)) | further for frame in samples]
        return _quantized(whole.path, inputs)

    artifact.load_or_build(build)
    return artifact


def _batch(image: Counts) -> NDArray[np.float32]:
    return np.asarray(image, np.float32)[None, None]


def _quantized(path: Path, samples: list[dict[str, NDArray[np.float32]]]) -> bytes:
    """Return the graph at ``path`` in 8 bits, with scales from these inputs."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Samples(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            return samples.pop() if samples else None

    grouped = [node.name for node in onnx.load(path).graph.node if node.op_type in _LEARNED and _grouped(node)]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), _silent_root_logger():
        warnings.simplefilter("ignore")
        quantized = Path(folder) / "graph.onnx"
        try:
            quantize_static(
                str(path),
                str(quantized),
                Samples(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(_LEARNED),
                nodes_to_exclude=grouped,
                per_channel=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
            )
            return quantized.read_bytes()
        except Exception as error:  # each of its many passes raises other exceptions
            raise EngineError(f"this model cannot be quantised to int8 ({first_line(error)}); use bf16 or fp32") from error


@contextmanager
def _silent_root_logger() -> Iterator[None]:
    """Switch the root logger off: the quantiser logs to it directly."""
    root = logging.getLogger()
    before, root.disabled = root.disabled, True
    try:
        yield
    finally:
        root.disabled = before


def _grouped(node: onnx.NodeProto) -> bool:
    return any(attribute.name == "group" and attribute.i > 1 for attribute in node.attribute)
