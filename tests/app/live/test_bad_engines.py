"""Engines that are refused, crash or go wrong: the live view keeps running on another one, and the operator is told why."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from app.live.session import Session
from reconstruction.engines import engine_kinds
from reconstruction.engines.base import EngineError, Precision, Sizes
from reconstruction.engines.check_frames import CheckFrames
from reconstruction.engines.choose import open_engine
from reconstruction.engines.cuda import cuda_loop
from reconstruction.engines.engine_check import EngineCheck
from reconstruction.engines.engine_kinds import EngineKind
from reconstruction.engines.tensorrt import build, run
from reconstruction.engines.tensorrt.run import TensorRtLoop, open_tensorrt, plan_of
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.models.model import Model
from tests.helpers.small_instrument import FRAME_PX, GRID_PX, small_instrument, small_model, until


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported_once: None) -> None:
    monkeypatch.setenv("SPECKLESCOPE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return small_model(tmp_path / "small")


class GoesWrong(TorchEngine):
    """Works until it has passed the engine check and reconstructed a few frames."""

    name = "goes-wrong fp32"

    def __init__(self, model: Model, then: Callable[[np.ndarray], np.ndarray]) -> None:
        super().__init__(model)
        self._then, self._runs = then, 0

    def run(self, frame: Any, reference: Any) -> Any:
        self._runs += 1
        phase = super().run(frame, reference)
        return phase if self._runs < 14 else self._then(phase)


def no_memory(phase: np.ndarray) -> np.ndarray:
    raise torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize("then", [no_memory, lambda phase: phase * np.nan], ids=["memory", "nan"])
def test_the_live_view_goes_on_when_its_engine_fails(
    then: Callable[[np.ndarray], np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fp32 = (Precision.FP32,)
    broken = EngineKind(precisions=fp32, tried=fp32, open=lambda model, precision, engine_check: GoesWrong(model, then))
    monkeypatch.setitem(engine_kinds.ENGINES, "goes-wrong", broken)
    with Session.open(small_instrument(tmp_path, "goes-wrong")) as session:
        session.start_live()
        texts: list[str] = []

        def replaced() -> bool:
            texts.extend(message.text for message in session.pop_messages())
            return session.live_status().engine == "torch fp32" and bool(texts)

        until(replaced)
        reason = session.live_status().engine_reason
        until(lambda: session.live_status().inference_fps > 0)
    messages = " ".join(texts)
    assert "goes-wrong fp32 failed while it ran" in messages
    assert "going on with torch fp32" in messages
    assert "goes-wrong fp32 failed while it ran" in reason


# -- with a simulated GPU ---------------------------------------------------------------------------------------------


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Pretend that there is a GPU, until something really has to run on it."""
    facts: dict[str, object] = {"device": "a GPU", "capability": [8, 9], "driver": 13000}
    for module in (cuda_loop, run):
        monkeypatch.setattr(module, "no_cuda", lambda: "")
        monkeypatch.setattr(module, "gpu_facts", lambda: dict(facts))
    return facts


@pytest.mark.usefixtures("gpu")
def test_a_crash_of_the_process_that_runs_a_plan_is_survived(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "build_plan", lambda *arguments: b"plan" * 100)
    plan_of("tensorrt_rtx", model, Precision.FP32)
    crashing = tmp_path / "python"
    crashing.write_text(f'#!/bin/sh\nexec {sys.executable} -c "import os; os.abort()"\n')
    crashing.chmod(0o755)
    monkeypatch.setattr(build.sys, "executable", str(crashing))
    chosen = open_engine(model, "tensorrt_rtx")
    assert chosen.name == "torch fp32"
    assert "tensorrt_rtx could not run the model (its process ended with -6)" in chosen.reason


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch, gpu: dict[str, object], model: Model) -> SimpleNamespace:
    """A simulated TensorRT that runs torch instead; it counts how often plans are built and verified."""
    simulated = SimpleNamespace(verified=0, built=0, wrong=0.0)

    def build_plan(library: str, graph: Path, on_progress: object) -> bytes:
        simulated.built += 1
        return b"plan" * 100

    def run_plan(library: str, plan: bytes, frames: CheckFrames, sizes: Sizes, noises: None) -> list[np.ndarray]:
        simulated.verified += 1
        engine = TorchEngine(model)
        return [engine.run(frame, frames.reference)[None] + np.float32(simulated.wrong) for frame in frames.frames]

    monkeypatch.setattr(run, "build_plan", build_plan)
    monkeypatch.setattr(run, "run_plan", run_plan)
    monkeypatch.setattr(run, "TensorRtLoop", lambda *arguments: TorchEngine(model))
    monkeypatch.setattr(run.metadata, "version", lambda name: "11.4")
    return simulated


def test_a_plan_is_verified_once_on_a_gpu_and_again_on_another(
    simulated: SimpleNamespace, gpu: dict[str, object], model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine_check = EngineCheck(model, CheckFrames.noise(model))
    for _ in range(2):
        open_tensorrt("tensorrt_rtx", model, Precision.FP32, engine_check)
    assert (simulated.built, simulated.verified) == (1, 1)
    gpu["driver"] = 13010
    open_tensorrt("tensorrt_rtx", model, Precision.FP32, engine_check)
    assert (simulated.built, simulated.verified) == (1, 2), "a plan for RTX is verified on the GPU that runs it"
    open_tensorrt("tensorrt", model, Precision.FP32, engine_check)
    gpu["device"] = "another GPU"
    open_tensorrt("tensorrt", model, Precision.FP32, engine_check)
    assert simulated.built == 3, "a plan of TensorRT belongs to its GPU"
    monkeypatch.setattr(run.metadata, "version", lambda name: "11.5")
    open_tensorrt("tensorrt_rtx", model, Precision.FP32, engine_check)
    assert simulated.built == 4, "and to its version"


def test_a_plan_that_computes_something_else_is_refused(simulated: SimpleNamespace, model: Model) -> None:
    simulated.wrong = 0.5
    engine_check = EngineCheck(model, CheckFrames.noise(model))
    with pytest.raises(EngineError, match=r"tensorrt_rtx fp32 differs from torch by 0\.5 rad"):
        open_tensorrt("tensorrt_rtx", model, Precision.FP32, engine_check)


def test_a_damaged_plan_is_built_again(simulated: SimpleNamespace, model: Model, caplog: pytest.LogCaptureFixture) -> None:
    plan = plan_of("tensorrt_rtx", model, Precision.FP32)
    plan.path.write_bytes(b"something else")
    plan_of("tensorrt_rtx", model, Precision.FP32)
    assert simulated.built == 2
    assert "its checksum differs" in caplog.text


def library(engine: object) -> SimpleNamespace:
    """The part of TensorRT that starts a plan; ``engine`` is the result of deserialisation."""
    return SimpleNamespace(
        Logger=type("Logger", (), {"ERROR": 1, "__init__": lambda self, level: None}),
        Runtime=lambda logger: SimpleNamespace(deserialize_cuda_engine=lambda plan: engine),
    )


def with_tensors(shape: tuple[int, ...], context: object) -> SimpleNamespace:
    return SimpleNamespace(
        create_execution_context=lambda: context,
        num_io_tensors=1,
        get_tensor_name=lambda number: "frame",
        get_tensor_shape=lambda name: shape,
    )


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        (None, "the plan is refused by this driver, GPU or version; compile the model again"),
        (with_tensors((1, 1, FRAME_PX, FRAME_PX), None), "because the memory of the GPU is full"),
        (with_tensors((1, 1, 7, 7), SimpleNamespace()), r"the plan has frame of shape \(1, 1, 7, 7\), as another model"),
    ],
    ids=["none", "memory", "shape"],
)
def test_a_plan_that_does_not_start_is_refused(engine: object, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def on_the_processor(self: Any, name: str, sizes: Sizes, noise: None) -> None:
        self.frame = self.reference = torch.zeros((1, 1, sizes.frame_px, sizes.frame_px))
        self.planes = torch.zeros((1, sizes.planes, sizes.grid_px, sizes.grid_px))

    monkeypatch.setattr(cuda_loop.CudaLoop, "__init__", on_the_processor)
    monkeypatch.setattr(run, "load_library", lambda name: library(engine))
    with pytest.raises(EngineError, match=message):
        TensorRtLoop("tensorrt", b"plan", "tensorrt fp32", Sizes(FRAME_PX, GRID_PX, 1))
