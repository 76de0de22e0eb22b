"""A graph whose learned convolutions calculate in 16 bits: precision lies in the ONNX file, as strongly typed engines want it.

Convolutions with learned weights, and what only passes their results on, are moved to 16 bits, with casts where they meet the
rest. The front end, whose grouped convolutions take means and differences of counts, stays in 32: there small differences of
large numbers are the signal.
"""

from __future__ import annotations

import copy
from typing import Final

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, version_converter

from reconstruction.engines.base import Precision

_TYPES: Final = {
    "fp16": (TensorProto.FLOAT16, np.dtype(np.float16)),
    "bf16": (TensorProto.BFLOAT16, np.dtype(ml_dtypes.bfloat16)),
}
#: TensorRT for RTX 1.7 compiles no transposed convolution in bf16.
_LEARNED: Final = {"fp16": ("Conv", "ConvTranspose", "Gemm"), "bf16": ("Conv", "Gemm")}
#: They only hand on, choose or add what convolutions gave.
_PASSING = ("Relu", "MaxPool", "Concat", "Add", "Mul", "Sigmoid", "Resize")
#: Inputs of Resize beyond the first are not of the image's type.
_IMAGES = {"Resize": 1, "Conv": 3, "ConvTranspose": 3, "Gemm": 3}


def reduced(graph: onnx.ModelProto, precision: Precision) -> onnx.ModelProto:
    """Return a copy of a 32 bit graph that calculates in ``fp16`` or ``bf16``; its inputs and outputs stay 32 bit."""
    number, dtype = _TYPES[precision]
    # Convolutions take bf16 from there on.
    model = version_converter.convert_version(graph, 22) if precision == "bf16" else copy.deepcopy(graph)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    low: set[str] = set()
    casts: dict[tuple[str, int], str] = {}
    nodes: list[onnx.NodeProto] = []

    def cast(name: str, to: int) -> str:
        if (name, to) not in casts:
            casts[name, to] = f"{name}_as_{to}"
            if name in weights and to == number:
                values = numpy_helper.to_array(weights[name]).astype(dtype)
                model.graph.initializer.append(numpy_helper.from_array(values, casts[name, to]))
            else:
                nodes.append(helper.make_node("Cast", [name], [casts[name, to]], name=f"cast_{casts[name, to]}", to=to))
        return casts[name, to]

    for node in list(model.graph.node):
        images = list(node.input)[: _IMAGES.get(node.op_type, len(node.input))]
        if _moves(node, _LEARNED[precision], images, low, weights):
            moved = [cast(name, number) if name and name not in low else name for name in images]
            node.input[: len(moved)] = moved
            low.update(node.output)
        else:
            node.input[:] = [cast(name, TensorProto.FLOAT) if name in low else name for name in node.input]
        nodes.append(node)
    # Outputs keep their name and type.
    for output in model.graph.output:
        if output.name in low:
            maker = next(node for node in nodes if output.name in node.output)
            inner = f"{output.name}_low"
            for node in nodes:
                node.input[:] = [inner if name == output.name else name for name in node.input]
            maker.output[:] = [inner if name == output.name else name for name in maker.output]
            nodes.append(helper.make_node("Cast", [inner], [output.name], name=f"cast_{inner}", to=TensorProto.FLOAT))
    del model.graph.node[:], model.graph.value_info[:]
    model.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    onnx.checker.check_model(model, full_check=True)
    return model


def _moves(
    node: onnx.NodeProto, learned: tuple[str, ...], images: list[str], low: set[str], weights: dict[str, TensorProto]
) -> bool:
    if node.op_type in learned:
        groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
        return groups == 1 and all(name in weights for name in images[1:] if name)
    known = [name for name in images if name and name not in weights]
    return node.op_type in _PASSING and bool(known) and all(name in low for name in known)
