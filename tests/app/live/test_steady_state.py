"""The live loop over a long time: it keeps nothing of the frames that are done."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from app.benchmarks.process_usage import resident_mb
from app.live.inference import InferencePipeline, InferenceSettings
from drivers.base import Frame
from reconstruction.models.model import load_model
from tests.helpers.small_instrument import FRAME_PX, small_instrument

FRAMES = 10_000


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_ten_thousand_frames_leave_nothing_in_memory(engine: str, tmp_path: Path) -> None:
    model = load_model(small_instrument(tmp_path).model)
    rng = np.random.default_rng(0)
    speckle = rng.exponential(36, (8, FRAME_PX, FRAME_PX)).clip(0, 255).astype(np.uint8)
    done = threading.Semaphore(0)
    pipeline = InferencePipeline(InferenceSettings(model=model, engine=engine))
    pipeline.views.subscribe(lambda view: done.release())
    pipeline.set_reference(speckle[0].astype(np.float32))
    pipeline.start()
    pipeline.ready.wait()

    def run(count: int) -> None:
        for number in range(count):
            pipeline.offer(Frame(speckle[number % 8], number, 0, 0.01))
            assert done.acquire(timeout=10)

    try:
        run(3000)  # latencies and rates fill their windows
        gc.collect()
        tracemalloc.start()
        run(100)
        kept, resident = tracemalloc.get_traced_memory()[0], resident_mb()
        run(FRAMES)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - kept
        tracemalloc.stop()
    finally:
        pipeline.stop()
        assert pipeline.join(10) is None
    assert grown < 60_000  # a frame is 16 kB, its phase 4 kB; windows of times hold a few
    assert resident_mb() - resident < 24  # where every frame stayed it would be 160 MB more; pages come and go with the heap
