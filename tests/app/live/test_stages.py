"""What stages have in common, and segmentation: labels belong to their own frame, and slow stages skip frames."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from acquisition.streams.times import TimeStats
from app.live.capture import CaptureStats
from app.live.inference import InferenceStats
from app.live.publisher import Publisher
from app.live.segmentation import SegmentationPipeline, SegmentationStats, segmented
from app.live.status import StageStats, live_status, times_csv
from app.status import LiveState, LiveView, Overlay, StageName
from drivers.base import Frame, FrameMark
from reconstruction.base import Reconstruction
from reconstruction.segmentation.threshold_watershed import ThresholdWatershed
from tests.helpers.small_instrument import until

SIDE = 48
MASK = np.hypot(*(np.mgrid[:SIDE, :SIDE] - SIDE / 2)) < SIDE / 2


def view(index: int, phase_rad: NDArray[np.float32] | None = None, marks: tuple[FrameMark, ...] = ()) -> LiveView:
    """Return a view with one object, whose place tells the number of the frame."""
    if phase_rad is None:
        phase_rad = np.random.default_rng(index).normal(0, 0.02, (SIDE, SIDE)).astype(np.float32)
        phase_rad[20:28, 10 + index : 18 + index] += 2
    readable = not set(marks) & {FrameMark.DARK, FrameMark.DECORRELATED}
    frame = Frame(np.zeros((8, 8), np.uint8), index, 0, 0.01).marked(marks, readable=readable)
    reconstruction = Reconstruction(phase_rad, index, 0.01, 0.005, "model", "torch", MASK)
    return LiveView(reconstruction.with_mark(frame), reconstruction)


def is_of_its_own_frame(overlay: Overlay) -> bool:
    return overlay.labels is not None and bool(overlay.labels[24, 14 + overlay.frame_index]) and overlay.labels.max() == 1


def test_labels_are_those_of_the_view() -> None:
    for index in (0, 9):
        overlay = segmented(view(index))
        assert overlay.frame_index == index
        assert is_of_its_own_frame(overlay)
        assert overlay.segment_s > 0


def test_objects_are_not_looked_for_in_noise() -> None:
    assert segmented(view(0, marks=(FrameMark.SATURATED,))).labels is not None
    assert segmented(view(0, marks=(FrameMark.DECORRELATED,))).labels is None
    assert segmented(view(0, np.full((SIDE, SIDE), np.nan, np.float32))).labels is None
    assert segmented(LiveView(view(0).frame, None)).labels is None


def test_a_slow_segmentation_skips_frames_and_never_swaps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    may_go_on, entered = threading.Semaphore(0), threading.Semaphore(0)

    class Slow(ThresholdWatershed):
        def _segment(
            self, phase_rad: NDArray[np.float32], mask: NDArray[np.bool_], std_rad: NDArray[np.float32] | None
        ) -> tuple[NDArray[np.integer], NDArray[np.floating]]:
            entered.release()
            may_go_on.acquire()
            return super()._segment(phase_rad, mask, std_rad)

    monkeypatch.setattr("app.live.segmentation.open_segmenter", lambda config: Slow())
    stage = SegmentationPipeline()
    overlays: list[Overlay] = []
    stage.overlays.subscribe(overlays.append)
    stage.start()
    stage.offer(view(0))
    entered.acquire()
    for index in range(1, 6):  # five more come while it works
        stage.offer(view(index))
    may_go_on.release(2)
    until(lambda: len(overlays) == 2)
    assert [overlay.frame_index for overlay in overlays] == [0, 5]
    assert all(is_of_its_own_frame(overlay) for overlay in overlays)
    stats = stage.stats()
    assert (stats.dropped_frames, stats.segmentation.count) == (4, 2)
    assert stats.segmentation.p50_s == pytest.approx(np.mean([overlay.segment_s for overlay in overlays]))
    newest = stage.display.poll()
    assert newest is overlays[-1]
    stage.stop()
    assert stage.stage.join(10)
    stage.offer(view(6))
    assert len(overlays) == 2


def test_the_times_of_stages_become_a_table() -> None:
    times = {
        StageName.CAPTURE: TimeStats(count=3, p50_s=0.0101, p95_s=0.02, p99_s=0.0305),
        StageName.PAINT: TimeStats(),
    }
    assert times_csv(times) == "stage,count,p50_ms,p95_ms,p99_ms\ncapture,3,10.100,20.000,30.500\npaint,0,,,\n"


def test_nothing_is_known_of_a_live_view_that_stands_still() -> None:
    measured = TimeStats(count=9, p50_s=0.01, p95_s=0.02, p99_s=0.03)
    running = CaptureStats(state=LiveState.RUNNING, fps=20.0, wait=measured)
    stages = StageStats(
        capture=running,
        inference=InferenceStats(fps=10.0, inference=measured, latency=measured, reference_correlation=0.9),
        segmentation=SegmentationStats(fps=5.0, segmentation=measured),
    )
    status = live_status(stages, dropped_record=0, can_retune=True, drift_threshold=0.5)
    assert (status.camera_fps, status.inference_fps, status.segmentation_fps) == (20.0, 10.0, 5.0)
    assert (status.latency_ms_p99, status.reference_correlation) == (pytest.approx(30.0), 0.9)
    silent = replace(stages, capture=replace(running, fps=0.0))
    assert {stats.count for stats in silent.times().values()} == {0}
    stopped = replace(stages, capture=replace(running, state=LiveState.STOPPED))
    status = live_status(stopped, dropped_record=0, can_retune=False, drift_threshold=0.5)
    numbers = (status.camera_fps, status.inference_fps, status.segmentation_fps, status.latency_ms_p50)
    assert np.isnan([*numbers, status.latency_ms_p99, status.inference_ms_p50, status.reference_correlation]).all()


def test_subscribers_get_what_is_published_while_they_are_subscribed() -> None:
    numbers: Publisher[int] = Publisher()
    early: list[int] = []
    late: list[int] = []
    numbers.subscribe(early.append)
    numbers.publish(1)
    numbers.subscribe(late.append)
    numbers.publish(2)
    numbers.unsubscribe(early.append)
    numbers.publish(3)
    assert (early, late) == ([1, 2], [2, 3])


def test_a_subscriber_may_end_its_subscription_while_it_is_called() -> None:
    numbers: Publisher[int] = Publisher()
    others: list[int] = []

    def once(number: int) -> None:
        numbers.unsubscribe(once)

    numbers.subscribe(once)
    numbers.subscribe(others.append)
    numbers.publish(1)
    numbers.publish(2)
    assert others == [1, 2]


def test_a_subscription_that_does_not_exist_is_no_error() -> None:
    Publisher[int]().unsubscribe([].append)
