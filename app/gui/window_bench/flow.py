"""How fast and how fresh pictures are painted, and whether a long recording has every frame."""

from __future__ import annotations

import time
from contextlib import nullcontext
from unittest import mock

import numpy as np

from acquisition.archive.kinds import FinishReason
from app.benchmarks.process_usage import resident_mb
from app.gui.window_bench.amounts import Amounts, Numbers
from app.gui.window_bench.bench_window import BenchWindow
from app.gui.window_bench.recorded import recorded_numbers
from app.live import segmentation
from app.status import LiveView, Overlay
from reconstruction.segmentation.base import Segmenter

_SLOW_S = 0.2


class SlowInference:
    """Holds the inference thread with every view, as a slow model would, from :meth:`begin` to :meth:`end`."""

    def __init__(self) -> None:
        self._holds = False

    def begin(self, bench: BenchWindow) -> None:
        """Hold inference from now on."""
        self._holds = True
        bench.session.watch(self)

    def __call__(self, view: LiveView) -> None:
        """Hold the thread that calls this with a view."""
        if self._holds:
            time.sleep(_SLOW_S)

    def end(self) -> None:
        """Hold nothing any more."""
        self._holds = False


def slow_consumer(bench: BenchWindow, amounts: Amounts) -> Numbers:
    """Start the live view at 60 frames per second while inference manages 5, and look at what is painted."""
    ages: list[int] = []
    connection = bench.painted.painted.connect(lambda painting: ages.append(bench.camera.exposures - 1 - painting.number))
    slow = SlowInference()
    slow.begin(bench)
    bench.start()
    bench.run(amounts.warm_up_s)
    bench.painted.paintings.clear()
    ages.clear()
    before_mb, start_s = resident_mb(), time.monotonic()
    bench.run(amounts.slow_s)
    elapsed_s = time.monotonic() - start_s
    grown_mb = resident_mb() - before_mb
    status = bench.session.live_status()
    slow.end()
    bench.painted.painted.disconnect(connection)
    return {
        "raw_fps_slow_consumer": len(bench.painted.paintings) / elapsed_s,
        "raw_camera_fps": status.camera_fps,
        "raw_inference_fps": status.inference_fps,
        "raw_age_frames_max": max(ages, default=-1),
        "raw_age_frames_p99": float(np.percentile(ages, 99)) if ages else -1.0,
        "raw_unreadable": bench.painted.unreadable,
        "raw_seconds": elapsed_s,
        "memory_growth_mb": grown_mb,
    }


def with_and_without_segmentation(bench: BenchWindow, amounts: Amounts) -> Numbers:
    """Count the frames on the screen while cells are segmented and while they are not; both take turns."""
    bench.run(amounts.warm_up_s)
    ratios: list[float] = []
    rates: dict[str, list[float]] = {"with": [], "without": []}
    segmented_fps: list[float] = []
    for number in range(amounts.rounds):
        pair = {}
        for name in ("with", "without") if number % 2 else ("without", "with"):
            nothing = mock.patch.object(segmentation, segmentation.segmented.__name__, _not_segmented)
            with nothing if name == "without" else nullcontext():
                pair[name] = _painted_fps(bench, amounts.round_s)
            rates[name].append(pair[name])
            if name == "with":
                segmented_fps.append(bench.session.live_status().segmentation_fps)
        ratios.append(pair["with"] / pair["without"])
    return {
        "raw_fps_with_segmentation": float(np.median(rates["with"])),
        "raw_fps_without_segmentation": float(np.median(rates["without"])),
        "raw_fps_ratio_with_segmentation": float(np.median(ratios)),
        "live_segmentation_fps": float(np.median(segmented_fps)),
        "segmentation_rounds": amounts.rounds,
    }


def _not_segmented(view: LiveView, segmenter: Segmenter | None = None) -> Overlay:
    return Overlay(view, None, 0.0)


def _painted_fps(bench: BenchWindow, seconds: float) -> float:
    """Return how many new frames are painted in a second."""
    before, start_s = len(bench.painted.paintings), time.monotonic()
    bench.run(seconds)
    return (len(bench.painted.paintings) - before) / (time.monotonic() - start_s)


def lossless(bench: BenchWindow, amounts: Amounts) -> Numbers:
    """Record at 60 frames per second, and read every number back from the recorded pixels; time how phases are painted."""
    bench.run(amounts.warm_up_s)
    bench.painted.reads = False  # paintings are timed here
    bench.phase_paints.presents_s.clear()
    bench.heartbeat.clear()
    bench.record("lossless")
    bench.run(amounts.lossless_s)
    bench.painted.reads = True
    recording = bench.stop_recording()
    pauses = list(bench.heartbeat.pauses)
    presents_ms = np.array(bench.phase_paints.presents_s) * 1e3
    assert recording.path is not None
    numbers = [number for number in recorded_numbers(recording.path) if number is not None]
    expected = numbers[-1] - numbers[0] + 1 if numbers else 0
    return {
        "lossless_frames": len(numbers),
        "lossless_missing": expected - len(set(numbers)) + recording.frames_dropped,
        "lossless_seconds": amounts.lossless_s,
        "lossless_complete": int(recording.finish_reason is FinishReason.COMPLETED),
        "present_ms_p50": float(np.percentile(presents_ms, 50)) if presents_ms.size else -1.0,
        "present_ms_p99": float(np.percentile(presents_ms, 99)) if presents_ms.size else -1.0,
        "presents": int(presents_ms.size),
        "pauses": pauses,
    }
