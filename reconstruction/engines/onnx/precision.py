"""Graphs whose learned convolutions compute in 16 bits. The ONNX file itself holds the types, as strongly typed engines need.

Convolutions with learned weights, and the operations that only pass their results on, are moved to 16 bits; casts connect them
to the other operations. The front end stays in 32 bits: its grouped convolutions compute means and differences of counts, where
small differences of large numbers are the signal.
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
    Precision.FP16: (TensorProto.FLOAT16, np.dtype(np.float16)),
    Precision.BF16: (TensorProto.BFLOAT16, np.dtype(ml_dtypes.bfloat16)),
}
#: Operations with learned weights. TensorRT for RTX 1.7 cannot compile transposed convolutions in bf16.
_LEARNED: Final = {Precision.FP16: ("Conv", "ConvTranspose", "Gemm"), Precision.BF16: ("Conv", "Gemm")}
#: Operations that only pass on, select or combine the results of convolutions.
_PASSING = ("Relu", "MaxPool", "Concat", "Add", "Mul", "Sigmoid", "Resize")
#: How many inputs have the type of the image: the further inputs of Resize do not.
_IMAGES = {"Resize": 1, "Conv": 3, "ConvTranspose": 3, "Gemm": 3}


def reduced(graph: onnx.ModelProto, precision: Precision) -> onnx.ModelProto:
    """Return a copy of a 32-bit graph that computes in fp16 or bf16; its inputs and outputs stay in 32 bits."""
    # Convolutions support bf16 from opset 22 on.
    model = version_converter.convert_version(graph, 22) if precision is Precision.BF16 else copy.deepcopy(graph)
    rewriter = _Rewriter(model, precision)
    for node in list(model.graph.node):
        rewriter.add(node)
    for output in model.graph.output:
        rewriter.restore_output(output.name)
    rewriter.finish()
    onnx.checker.check_model(model, full_check=True)
    return model


class _Rewriter:
    """Moves the nodes of a graph to 16 bits one by one, and inserts casts.

    ``low`` holds the names of all 16-bit values so far, ``casts`` the names of values that were already cast.
    """

    def __init__(self, model: onnx.ModelProto, precision: Precision) -> None:
        self._model = model
        self._learned = _LEARNED[precision]
        self._number, self._dtype = _TYPES[precision]
        self._weights = {tensor.name: tensor for tensor in model.graph.initializer}
        self._low: set[str] = set()
        self._casts: dict[tuple[str, int], str] = {}
        self._nodes: list[onnx.NodeProto] = []

    def add(self, node: onnx.NodeProto) -> None:
        """Add the next node of the graph, in 16 bits if possible."""
        images = list(node.input)[: _IMAGES.get(node.op_type, len(node.input))]
        if self._moves(node, images):
            moved = [self._cast(name, self._number) if name and name not in self._low else name for name in images]
            node.input[: len(moved)] = moved
            self._low.update(node.output)
        else:
            node.input[:] = [self._cast(name, TensorProto.FLOAT) if name in self._low else name for name in node.input]
        self._nodes.append(node)

    def restore_output(self, output: str) -> None:
        """Give an output of the graph its name and its 32 bits back."""
        if output not in self._low:
            return
        producer = next(node for node in self._nodes if output in node.output)
        inner = f"{output}_low"
        for node in self._nodes:
            node.input[:] = [inner if name == output else name for name in node.input]
        producer.output[:] = [inner if name == output else name for name in producer.output]
        self._nodes.append(helper.make_node("Cast", [inner], [output], name=f"cast_{inner}", to=TensorProto.FLOAT))

    def finish(self) -> None:
        """Write the nodes into the graph, and remove weights that no node uses any more."""
        graph = self._model.graph
        del graph.node[:], graph.value_info[:]
        graph.node.extend(self._nodes)
        used = {name for node in self._nodes for name in node.input}
        kept = [tensor for tensor in graph.initializer if tensor.name in used]
        del graph.initializer[:]
        graph.initializer.extend(kept)

    def _moves(self, node: onnx.NodeProto, images: list[str]) -> bool:
        """Return whether a node with these image inputs can compute in 16 bits."""
        if node.op_type in self._learned:
            groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
            return groups == 1 and all(name in self._weights for name in images[1:] if name)
        values = [name for name in images if name and name not in self._weights]
        return node.op_type in _PASSING and bool(values) and all(name in self._low for name in values)

    def _cast(self, name: str, to: int) -> str:
        """Return the name of a value in another type; weights are converted at once, other values by a Cast node."""
        if (name, to) not in self._casts:
            cast = self._casts[name, to] = f"{name}_as_{to}"
            if name in self._weights and to == self._number:
                values = numpy_helper.to_array(self._weights[name]).astype(self._dtype)
                self._model.graph.initializer.append(numpy_helper.from_array(values, cast))
            else:
                self._nodes.append(helper.make_node("Cast", [name], [cast], name=f"cast_{cast}", to=to))
        return self._casts[name, to]
