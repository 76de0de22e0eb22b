"""What is measured on the window: each scenario opens a window of its own and returns numbers."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from acquisition.archive.kinds import FinishReason
from acquisition.archive.reader import Archive
from app.benchmarks.live.counter_code import bit_centres, read_number
from app.benchmarks.process_usage import resident_mb
from app.gui.main_window.commands import Command
from app.gui.window_bench.bench_window import BenchWindow
from app.gui.window_bench.operator import safe_answers
from app.status import LiveView, RecordingState
from drivers.base import SpeckleScopeError

_FPS = 60.0
_SLOW_S = 0.2
_WARM_UP_S = 5.0
_RECORDING_CLOSES_S = 60.0
_LOST_S = 2.0
_RECOVERS_S = 20.0
_PAINTED_AGAIN = 30


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """How long and how often is measured.

    Parameters
    ----------
    slow_s, lossless_s : float
        Duration of the slow consumer and of the lossless recording, in seconds.
    switches, losses : int
        Random commands, and losses of the camera.
    """

    slow_s: float
    lossless_s: float
    switches: int
    losses: int


WHOLE = Amounts(slow_s=60.0, lossless_s=600.0, switches=1000, losses=3)
QUICK = Amounts(slow_s=30.0, lossless_s=20.0, switches=100, losses=3)

Numbers = dict[str, object]


def slow_consumer(folder: Path, amounts: Amounts) -> Numbers:
    """Show the camera at 60 frames per second while inference manages 5, and look at what is painted."""
    ages: list[int] = []
    with BenchWindow(folder, _FPS) as bench:
        bench.painted.painted.connect(lambda painting: ages.append(bench.camera.exposures - 1 - painting.number))
        bench.session.watch(_slow)
        bench.start()
        bench.run(_WARM_UP_S)
        bench.painted.paintings.clear()
        ages.clear()
        bench.heartbeat.clear()
        before_mb, start_s = resident_mb(), time.monotonic()
        bench.run(amounts.slow_s)
        elapsed_s = time.monotonic() - start_s
        grown_mb = resident_mb() - before_mb
        status = bench.session.live_status()
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


def lossless(folder: Path, amounts: Amounts) -> Numbers:
    """Record at 60 frames per second, and read every number back from the recorded pixels; time how phases are painted."""
    with BenchWindow(folder, _FPS) as bench:
        bench.start()
        bench.run(_WARM_UP_S)
        bench.phase_paints.presents_s.clear()
        bench.heartbeat.clear()
        bench.record("lossless")
        bench.run(amounts.lossless_s)
        bench.window.toggle_recording()
        if not bench.run_until(lambda: not bench.session.recording_status().active, _RECORDING_CLOSES_S):
            raise SpeckleScopeError(f"the recording did not end within {_RECORDING_CLOSES_S:g} s")
        recording = bench.session.recording_status()
        pauses = list(bench.heartbeat.pauses)
        presents_ms = np.array(bench.phase_paints.presents_s) * 1e3
    assert recording.path is not None
    numbers = _recorded_numbers(recording.path)
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


def camera_losses(folder: Path, amounts: Amounts) -> Numbers:
    """Unplug the camera while a recording runs, plug it in again, and see frames painted again."""
    recovered = 0
    told_s: list[float] = []
    with BenchWindow(folder, _FPS) as bench:
        bench.start()
        bench.record("losses")
        for _ in range(amounts.losses):
            bench.camera.lose()
            lost_s = time.monotonic()
            if bench.run_until(lambda: "disappeared" in bench.window.banner.text, _RECOVERS_S):
                told_s.append(time.monotonic() - lost_s)
            bench.run(_LOST_S)
            bench.camera.return_()
            painted = len(bench.painted.paintings)
            recovered += bench.run_until(partial(_has_painted, bench, painted + _PAINTED_AGAIN), _RECOVERS_S)
        grows = bench.session.recording_status().state is RecordingState.RECORDING
        bench.session.stop_recording()
    return {
        "camera_losses": amounts.losses,
        "camera_loss_recovered": recovered if grows else 0,
        "camera_loss_told_s_max": max(told_s, default=-1.0),
    }


def switches(folder: Path, amounts: Amounts) -> Numbers:
    """Give random commands while a recording runs; what it forbids is refused with a message, and it goes on."""
    rng = random.Random(0)
    survived = 0
    with BenchWindow(folder, _FPS) as bench:
        bench.start()
        bench.record("switches")
        commands = (Command.SNAPSHOT, Command.FIT, Command.DRAWER, Command.FULL_SCREEN, Command.RETUNE, Command.TOGGLE_LIVE)
        with safe_answers():
            for _ in range(amounts.switches):
                before = bench.session.recording_status()
                command = rng.choice(commands)
                bench.window.commands[command].trigger()
                bench.run(rng.uniform(0.0, 0.05))
                after = bench.session.recording_status()
                survived += after.state is RecordingState.RECORDING and after.frames_recorded >= before.frames_recorded
        grew = bench.run_until(lambda: bench.session.recording_status().frames_recorded > before.frames_recorded, _RECOVERS_S)
        bench.session.stop_recording()
    return {"switches": amounts.switches, "switches_survived": survived if grew else 0}


SCENARIOS: Mapping[str, Callable[[Path, Amounts], Numbers]] = {
    "slow_consumer": slow_consumer,
    "lossless": lossless,
    "camera_losses": camera_losses,
    "switches": switches,
}


def _has_painted(bench: BenchWindow, count: int) -> bool:
    return len(bench.painted.paintings) >= count


def _slow(view: LiveView) -> None:
    """Hold the inference thread for as long as a slow model would."""
    time.sleep(_SLOW_S)


def _recorded_numbers(path: Path) -> list[int]:
    x, y = np.moveaxis(bit_centres().astype(int), -1, 0)
    archive = Archive.open(path)
    numbers = (read_number(archive.read("speckle", row.index)[y, x] / 255) for row in archive.rows())
    return [number for number in numbers if number is not None]
