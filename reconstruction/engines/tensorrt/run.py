"""TensorRT 10 and 11, and TensorRT for RTX. They differ in their library, and in the GPUs that can run a plan."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from reconstruction.engines.artifacts import Artifact
from reconstruction.engines.base import EngineError, Precision, Sizes, own_noise
from reconstruction.engines.cuda.cuda_loop import CudaLoop, gpu_facts, no_cuda
from reconstruction.engines.engine_check import EngineCheck
from reconstruction.engines.onnx.export import INPUTS, NOISE_INPUT, OUTPUTS, model_graph, part_graph
from reconstruction.engines.tensorrt.build import Progress, build_plan, load_library, run_plan
from reconstruction.models.model import Model


@dataclass(frozen=True)
class PlanKind:
    """Plans of one library: the ending of their files, and whether a plan belongs to the GPU that built it."""

    suffix: str
    built_on_gpu: bool


#: The plans of each library. A plan for RTX is built without a GPU, and completed on the GPU that runs it.
PLANS: Final = {
    "tensorrt": PlanKind("plan", built_on_gpu=True),
    "tensorrt_rtx": PlanKind("rtx", built_on_gpu=False),
}


class TensorRtLoop(CudaLoop):
    """Runs a TensorRT plan.

    Parameters
    ----------
    library : str
        Key of :data:`PLANS`.
    plan : bytes
        Serialised engine.
    name, sizes, noise
        See :class:`reconstruction.engines.cuda.cuda_loop.CudaLoop`.

    Raises
    ------
    EngineError
        There is no GPU or no library, or this driver, GPU or version refuses the plan.
    """

    def __init__(self, library: str, plan: bytes, name: str, sizes: Sizes, noise: NDArray[np.float32] | None = None) -> None:
        super().__init__(name, sizes, noise)  # raises if there is no GPU; creating a TensorRT object would crash then
        trt = load_library(library)
        self._logger = trt.Logger(trt.Logger.ERROR)
        self._runtime = trt.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise EngineError(f"{name}: the plan is refused by this driver, GPU or version; compile the model again")
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise EngineError(
                f"{name}: no execution context, probably because the memory of the GPU is full; close other programs"
            )
        buffers = {**dict(zip(INPUTS, (self.frame, self.reference), strict=True)), OUTPUTS[sizes.planes]: self.planes}
        if sizes.noise_channels:
            buffers[NOISE_INPUT] = self.noise
        for number in range(self._engine.num_io_tensors):
            tensor = self._engine.get_tensor_name(number)
            shape = tuple(self._engine.get_tensor_shape(tensor))
            if tensor not in buffers or shape != tuple(buffers[tensor].shape):
                raise EngineError(f"{name}: the plan has {tensor} of shape {shape}, as another model; compile the model again")
            self._context.set_tensor_address(tensor, buffers[tensor].data_ptr())

        def launch() -> None:
            if not self._context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
                raise EngineError(f"{name} refused to run; see the log")

        self.record(launch)


def missing(library: str) -> str:
    """Return why a library cannot run here; empty if it can."""
    if why := no_cuda():
        return why
    try:
        metadata.version(library)
    except metadata.PackageNotFoundError:
        return f"{library} is not installed"
    return ""


def open_tensorrt(library: str, model: Model, precision: Precision, engine_check: EngineCheck) -> TensorRtLoop:
    """Return the engine. The first time, its plan is built and verified in a child process.

    Raises
    ------
    EngineError
        See :class:`TensorRtLoop`, :func:`plan_of` and :meth:`reconstruction.engines.engine_check.EngineCheck.check`.
    """
    if why := missing(library):
        raise EngineError(f"{library} cannot run here: {why}")
    plan = plan_of(library, model, precision)
    content, name = plan.load(), f"{library} {precision}"
    if content is None:
        raise EngineError(f"{plan.path} was removed by another program; try again")
    machine, sizes = gpu_facts(), Sizes.of(model)
    if plan.noted("verified_on") != machine:
        planes = run_plan(library, content, engine_check.frames, sizes, engine_check.noises)
        report = engine_check.compare(planes, name, precision)
        plan.note(verified_on=machine, engine_check=report.to_dict())
    return TensorRtLoop(library, content, name, sizes, own_noise(model.network))


def plan_of(
    library: str, model: Model, precision: Precision, on_progress: Progress = lambda stage, done, total: None, part: str = ""
) -> Artifact:
    """Return the plan of a model or a part of it. It is built the first time; TensorRT for RTX needs no GPU for that.

    Raises
    ------
    EngineError
        The model has no graph, the library is not installed, or it refuses the graph.
    """
    if precision is Precision.INT8:
        raise EngineError(f"{library} has no precision int8 here; use fp32, fp16 or bf16")
    graph = part_graph(model, part, precision) if part else model_graph(model, precision)
    try:
        version = metadata.version(library)
    except metadata.PackageNotFoundError:
        load_library(library)
        version = "unknown"
    plan_kind = PLANS[library]
    machine = gpu_facts() if plan_kind.built_on_gpu else {}
    facts = {"graph": graph.facts, "library": library, "version": version, "precision": precision, **machine}
    plan = Artifact("-".join(filter(None, (model.id, part, precision))), plan_kind.suffix, facts)

    def build() -> bytes:
        if plan_kind.built_on_gpu and (why := no_cuda()):
            raise EngineError(
                f"{library} builds only on the GPU that will run the plan: {why}; tensorrt_rtx builds without a GPU"
            )
        return build_plan(library, graph.path, on_progress)

    plan.load_or_build(build)
    return plan
