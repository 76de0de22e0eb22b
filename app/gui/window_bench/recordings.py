"""Recordings that begin before they are asked for, and recordings on a disk that stalls."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.kinds import COMPLETE_VERDICT, FinishReason
from app.benchmarks.reliability.disks.stalled_disk import stalling_disk
from app.gui.image_view.contents import Content
from app.gui.window_bench.amounts import Amounts, Numbers
from app.gui.window_bench.bench_window import BenchOptions, BenchWindow
from app.gui.window_bench.overlays import PaintedOverlays
from app.gui.window_bench.recorded import are_consecutive, recorded_numbers
from app.instrument.config import LiveConfig
from app.live.recordings.options import RecordingOptions
from app.status import RecordingState, RecordingStatus
from drivers.base import SpeckleScopeError
from reconstruction.segmentation.base import Segmentation
from reconstruction.segmentation.threshold_watershed import ThresholdWatershed

#: Seconds that are kept, and the shortest and longest part of them that is recorded.
_KEPT_S, _SHORTEST_S, _LONGEST_S = 1.0, 0.2, 0.6
_AFTER_S = 0.3
#: After so many seconds every reconstruction that is painted was noted before.
_NOTED_S = 1.0
_FILLS_S = 20.0
_SEGMENTATION_S = 0.1
_STALL_S = 5.0
_STALL_SIDE_PX = 1024
_STALL_QUEUE_MB = 64
_OUTLASTS_S = 60.0


def pre_triggers(bench: BenchWindow, amounts: Amounts) -> Numbers:
    """Begin recordings with the seconds before them; meanwhile compare every overlay, also while segmentation skips frames."""
    rng = random.Random(0)
    exact = 0
    overlays = PaintedOverlays(bench.page.pictures.showing(Content.OVERLAY))
    bench.session.watch(overlays.note_view)
    bench.session.set_pre_trigger(_KEPT_S)
    bench.run(_NOTED_S)
    overlays.begin()
    for number in range(amounts.pre_triggers // 2):
        exact += _is_exact(bench, f"before-{number}", rng.uniform(_SHORTEST_S, _LONGEST_S))
        overlays.compare()
    with slow_segmentation():
        for number in range(amounts.pre_triggers // 2, amounts.pre_triggers):
            exact += _is_exact(bench, f"before-{number}", rng.uniform(_SHORTEST_S, _LONGEST_S))
            overlays.compare()
    skipped = bench.session.live_status().dropped_segmentation
    overlays.end()
    bench.session.set_pre_trigger(0.0)
    return {
        "pretriggers": amounts.pre_triggers,
        "pretrigger_exact": exact,
        "overlays_compared": overlays.compared,
        "overlay_mismatches": overlays.mismatches,
        "overlay_frames_skipped": skipped,
    }


def _is_exact(bench: BenchWindow, name: str, before_s: float) -> bool:
    """Record with the seconds before; whether it begins with the oldest frame in them, and has every frame since."""
    if not bench.run_until(lambda: bench.session.pre_trigger_s >= before_s, _FILLS_S):
        raise SpeckleScopeError(f"{before_s:g} s of frames were not kept within {_FILLS_S:g} s")
    earliest = bench.camera.newest_read - 1  # it may be on its way from the camera
    bench.session.start_recording(name, RecordingOptions(before_s=before_s))
    latest = bench.camera.newest_read
    times_ns = bench.camera.times_ns()
    bench.run(_AFTER_S)
    recording = bench.stop_recording()
    assert recording.path is not None
    numbers = recorded_numbers(recording.path)
    possible = {
        min(number for number, t_ns in times_ns.items() if t_ns >= times_ns[newest] - round(before_s * 1e9))
        for newest in range(earliest, latest + 1)
    }
    return numbers[0] in possible and are_consecutive(numbers) and (numbers[-1] or 0) >= latest


@contextmanager
def slow_segmentation() -> Iterator[None]:
    """Let every segmentation take longer than a few frames, so that it has to skip some."""
    usual = ThresholdWatershed.segment

    def slowly(
        segmenter: ThresholdWatershed,
        phase_rad: NDArray[np.float32],
        mask: NDArray[np.bool_],
        std_rad: NDArray[np.float32] | None = None,
    ) -> Segmentation:
        time.sleep(_SEGMENTATION_S)
        return usual(segmenter, phase_rad, mask, std_rad)

    with mock.patch.object(ThresholdWatershed, usual.__name__, slowly):
        yield


def disk_stalls(folder: Path, amounts: Amounts) -> Numbers:
    """Let the disk stall for five seconds, and for longer than the memory lasts."""
    short = _stalled(folder / "short", None)
    long = _stalled(folder / "long", _STALL_QUEUE_MB)
    stored = _frames_in_order(long)
    short_right = short.verdict == COMPLETE_VERDICT and _frames_in_order(short) == short.frames_recorded
    long_right = (
        long.finish_reason is FinishReason.OVERFLOW
        and long.verdict.startswith(f"stopped at frame {stored}:")
        and stored == long.frames_recorded
    )
    return {
        "disk_stalls": 2,
        "disk_stall_right": short_right + long_right,
        "disk_stall_complete": int(short_right),
        "disk_stall_stopped_exactly": int(long_right),
        "disk_stall_stopped_at": stored,
        # Frames that the camera overwrote before they were read: a busy computer, or a stall that has reached the camera.
        "disk_stall_frames_missing": short.frames_missing + long.frames_missing,
    }


def _stalled(folder: Path, queue_mb: float | None) -> RecordingStatus:
    """Record through a stall: five seconds, or with a small queue, until the recording has stopped."""
    options = BenchOptions(side_px=_STALL_SIDE_PX, live=LiveConfig(record_queue_mb=queue_mb))
    with BenchWindow(folder, options) as bench, stalling_disk() as stall:
        bench.start()
        bench.record("stall")
        stall.begin()
        if queue_mb is None:
            bench.run(_STALL_S)
            stall.end()
            bench.run(1.0)
            return bench.stop_recording()
        bench.run_until(lambda: bench.session.recording_status().state is not RecordingState.RECORDING, _OUTLASTS_S)
        stall.end()
        return bench.ended_recording()


def _frames_in_order(recording: RecordingStatus) -> int:
    """Return how many frames a recording holds; 0 if one is missing, doubled or unreadable."""
    assert recording.path is not None
    numbers = recorded_numbers(recording.path)
    return len(numbers) if are_consecutive(numbers) else 0
