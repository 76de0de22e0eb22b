"""Times the live loop against its engine, and the twin frame by frame against batches; both take turns in the same run."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import torch

from acquisition.patterns.sources import open_source
from app.instrument.config import InstrumentConfig
from app.instrument.opening import fibre_name
from app.instrument.responses import attach
from app.live.frame_judge import FrameJudge
from app.live.inference import InferencePipeline, InferenceSettings
from app.live.segmentation import segmented
from app.training.train import twin_data
from drivers.base import DeviceTimeoutError, Frame, SpeckleScopeError, TriggerMode
from drivers.recorded.replay import ReplayCamera
from drivers.twin.optics import FibreOptics
from reconstruction.data.pairs import TwinExposure
from reconstruction.data.simulation import simulated_pool
from reconstruction.models.model import load_model

_FRAMES = 16
_LONGEST_S = 300.0


def bench_live(config: InstrumentConfig, rounds: int = 24, frames_per_round: int = 60) -> dict[str, object]:
    """Compare the frame rate of the live loop with that of its engine alone.

    A replay camera delivers a quarter more frames than the engine can process, so that there is always a new frame. Rounds of
    both alternate, and each round of the live loop is compared with the engine's rounds before and after it. The live loop
    consists of a capture thread that judges every frame, channel, inference thread with reference, mask and drift gauge, and a
    viewer that reads and segments the newest view 30 times per second.
    """
    model = load_model(config.model)
    attach(model, config.response, fibre_name(config.twin.optics))
    with simulated_pool(twin_data(config, "held-out", _FRAMES, 3, model.grid_px), 0) as pool:
        pixels = np.array(pool.speckle)
        reference = pool.reference
    frames = [Frame(image, index, 0, 0.01) for index, image in enumerate(pixels)]
    judge = FrameJudge()
    judge.set_reference(reference)
    arrivals: list[float] = []
    pipeline = InferencePipeline(InferenceSettings(model=model, engine=config.live.engine))
    pipeline.views.subscribe(lambda view: arrivals.append(time.perf_counter()))
    pipeline.set_reference(reference)
    pipeline.start()
    pipeline.ready.wait()
    alone_fps, live_fps = [], []
    try:
        if pipeline.engine is None:
            raise pipeline.error or RuntimeError("the engine did not start")
        engine = pipeline.engine.engine  # without its fallback, which belongs to the live loop

        def alone() -> float:
            start = time.perf_counter()
            for index in range(frames_per_round):
                engine.run(pixels[index % _FRAMES], reference)
            return frames_per_round / (time.perf_counter() - start)

        alone_fps.append(alone())
        for _ in range(rounds):
            camera = ReplayCamera(frames, period_s=1 / (1.25 * alone_fps[-1]))
            live_fps.append(_live_round(pipeline, camera, judge, arrivals, frames_per_round))
            alone_fps.append(alone())
    finally:
        pipeline.stop()
        pipeline.join(10)
    ratios = 2 * np.array(live_fps) / (np.array(alone_fps[:-1]) + np.array(alone_fps[1:]))
    return {
        "engine": engine.name,
        "model_id": model.id,
        "rounds": rounds,
        "frames_per_round": frames_per_round,
        "engine_alone_fps": float(np.median(alone_fps)),
        "live_fps": float(np.median(live_fps)),
        "live_to_engine_ratio": float(np.median(ratios)),
        "live_to_engine_ratio_quartiles": [float(value) for value in np.percentile(ratios, (25, 75))],
    }


def _live_round(
    pipeline: InferencePipeline, camera: ReplayCamera, judge: Callable[[Frame], Frame], arrivals: list[float], count: int
) -> float:
    arrivals.clear()
    before = _frames_taken(pipeline)
    stop = threading.Event()
    labels: deque[object] = deque(maxlen=1)

    def capture() -> None:
        camera.arm(TriggerMode.FREE_RUN)
        while not stop.is_set():
            with suppress(DeviceTimeoutError):  # a slow engine is offered frames at long intervals
                pipeline.offer(judge(camera.read(0.1)))

    def view() -> None:
        while not stop.wait(1 / 30):
            view = pipeline.display.poll()
            labels.append(segmented(view) if view else None)

    threads = [threading.Thread(target=work, daemon=True) for work in (capture, view)]
    for thread in threads:
        thread.start()
    # The first views are slower, because the threads have just started.
    _wait_until(pipeline, lambda: len(arrivals) >= count + 3)
    stop.set()
    for thread in threads:
        thread.join()
    # Wait until the pipeline is empty, because the engine is timed alone next.
    _wait_until(pipeline, lambda: len(arrivals) >= _frames_taken(pipeline) - before)
    time.sleep(0.3)
    return count / (arrivals[count + 2] - arrivals[2])


def _frames_taken(pipeline: InferencePipeline) -> int:
    """Return how many frames the pipeline reconstructs or has reconstructed."""
    return pipeline.frames.accepted - pipeline.stats().dropped_frames


def _wait_until(pipeline: InferencePipeline, condition: Callable[[], bool]) -> None:
    """Wait until a condition holds; raises the error of the pipeline, or SpeckleScopeError after five minutes."""
    deadline_s = time.monotonic() + _LONGEST_S
    while not condition():
        if pipeline.error is not None:
            raise pipeline.error
        if time.monotonic() > deadline_s:
            raise SpeckleScopeError(
                f"a round of the live loop did not end within {_LONGEST_S:g} s; close other programs, then try again"
            )
        time.sleep(0.02)


def bench_twin(config: InstrumentConfig, rounds: int = 11, batch: int = 16) -> dict[str, object]:
    """Time the twin's frames (optics and camera) one by one and in batches, in turns."""
    n = config.twin.optics.image_px
    camera = config.twin.camera
    twin = TwinExposure(FibreOptics(config.twin.optics), camera.sensor, camera.exposure_s, seed=0)
    source = open_source("mixed", (n, n), count=batch, phase_range_rad=config.phase_range_rad)
    phases = np.stack([source[index].phase_rad for index in range(batch)])

    def seconds(work: Callable[[], object]) -> float:
        start = time.perf_counter()
        work()
        return (time.perf_counter() - start) / batch

    def singly() -> None:
        for phase in phases:
            twin(phase[None])

    singly()
    single, batched = [], []
    for _ in range(rounds):
        single.append(seconds(singly))
        batched.append(seconds(lambda: twin(phases)))
    return {
        "image_px": n,
        "cores": twin.optics.cores,
        "threads": torch.get_num_threads(),
        "twin_fps": 1 / float(np.median(single)),
        "twin_ms_per_frame": float(np.median(single)) * 1e3,
        f"twin_ms_per_frame_batch_{batch}": float(np.median(batched)) * 1e3,
        "batch_to_single_ratio": float(np.median(np.array(batched) / np.array(single))),
    }
