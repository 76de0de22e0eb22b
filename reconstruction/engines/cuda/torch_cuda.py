"""Torch on an NVIDIA GPU, with all operations of a frame in one CUDA graph; runs models of every kind."""

from __future__ import annotations

import copy

import torch

from reconstruction.calibrated.few_step import CalibratedFewStep
from reconstruction.engines.base import EngineError, Precision, Sizes, draws_from_noise, first_line, own_noise
from reconstruction.engines.cuda.cuda_loop import CudaLoop
from reconstruction.engines.engine_check import EngineCheck
from reconstruction.models.model import Model, load_model

_TYPES = {Precision.FP32: torch.float32, Precision.FP16: torch.float16, Precision.BF16: torch.bfloat16}


def open_torch_cuda(model: Model, precision: Precision, engine_check: EngineCheck) -> TorchCudaEngine:
    """Return the engine. It is opened without check frames."""
    del engine_check
    return TorchCudaEngine(model, precision)


class TorchCudaEngine(CudaLoop):
    """Runs a copy of the network on the GPU; in fp16 and bf16 its convolutions run under autocast.

    Raises
    ------
    EngineError
        There is no GPU, not enough memory on it, or the model fails there.
    """

    def __init__(self, model: Model, precision: Precision) -> None:
        if precision not in _TYPES:
            raise EngineError(f"torch cuda has no {precision}; use fp16, bf16 or fp32")
        super().__init__(f"torch cuda {precision}", Sizes.of(model), own_noise(model.network))
        try:
            network = copy.deepcopy(model.network).to("cuda")
            if isinstance(network, CalibratedFewStep):
                if network.fibre is not None:
                    network.attach(network.fibre.to("cuda"))
                if network.config.start:
                    network.start_with(load_model(network.config.start).network.to("cuda"))
        except RuntimeError as error:
            raise EngineError(f"{self.name}: {first_line(error)}") from error
        dtype = _TYPES[precision]

        def launch() -> None:
            with torch.no_grad(), torch.autocast("cuda", dtype=dtype, enabled=dtype != torch.float32):
                self.planes.copy_(
                    network.drawn(self.frame, self.reference, self.noise)
                    if draws_from_noise(network)
                    else network.with_sigma(self.frame, self.reference)
                )

        self.record(launch)
