"""The network of the learned segmenter on the fastest engine for this processor that gives the same maps as torch."""

from __future__ import annotations

import logging
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from reconstruction.engines.artifacts import Artifact
from reconstruction.engines.base import EngineError, Precision
from reconstruction.engines.onnx.export import network_graph
from reconstruction.segmentation.learned.network import Run, SegmenterNetwork, in_torch

#: Largest difference of any value from torch.
_TOLERANCE: Final = 1e-3
_LOG = logging.getLogger(__name__)


class SegmenterEngine:
    """Runs a network for images of any size; the first image of a size is slower.

    Parameters
    ----------
    network : SegmenterNetwork
        In evaluation mode.
    weights : str
        What tells its weights from others.
    """

    def __init__(self, network: SegmenterNetwork, weights: str) -> None:
        self._network = network
        self._weights = weights
        self._compiled: dict[tuple[int, ...], tuple[str, Run]] = {}
        #: Name of the engine that ran last; empty before the first image.
        self.name = ""

    @property
    def multiple_px(self) -> int:
        """Sides of the input are a multiple of this."""
        return self._network.multiple_px

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the maps (1, 3, h, w) of an input (1, 2, h, w)."""
        shape = images.shape
        if shape not in self._compiled:
            self._compiled[shape] = self._fastest(images)
        self.name, run = self._compiled[shape]
        return run(images)

    def _fastest(self, images: NDArray[np.float32]) -> tuple[str, Run]:
        torch_run = in_torch(self._network)
        expected = torch_run(images)
        try:
            graph = network_graph(self._network, torch.from_numpy(images), f"segmenter-{self._weights}")
            for name, compile_graph in (("openvino", _openvino), ("onnxruntime", _onnxruntime)):
                try:
                    run = compile_graph(graph)
                    worst = float(np.abs(run(images) - expected).max())
                except (EngineError, ImportError) as error:
                    _LOG.info("the learned segmenter does not run on %s: %s", name, error)
                    continue
                if worst <= _TOLERANCE:
                    return name, run
                _LOG.warning("the maps of %s differ from torch by %.2g; the learned segmenter does not use it", name, worst)
        except EngineError as error:
            _LOG.warning("the learned segmenter is not compiled: %s", error)
        return "torch", torch_run


def _openvino(graph: Artifact) -> Run:
    from reconstruction.engines.openvino import OpenVinoPart

    return OpenVinoPart(graph, Precision.FP32)


def _onnxruntime(graph: Artifact) -> Run:
    from reconstruction.engines.onnx.runtime import OnnxRuntimePart

    return OnnxRuntimePart(graph)
