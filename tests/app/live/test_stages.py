"""What stages have in common, and segmentation: labels belong to their own frame, and slow stages skip frames."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from app.live.publisher import Publisher
from app.live.segmentation import SegmentationPipeline, segmented
from app.status import LiveView, Overlay
from drivers.base import Frame, FrameMark
from reconstruction.base import Reconstruction
from reconstruction.segmentation.threshold_watershed import segment
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

    def slow(phase_rad: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.uint16]:
        entered.release()
        may_go_on.acquire()
        return segment(phase_rad, mask)

    monkeypatch.setattr("app.live.segmentation.segment", slow)
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
    assert (stats.dropped_frames, stats.segment_s) == (4, overlays[-1].segment_s)
    newest = stage.display.poll()
    assert newest is overlays[-1]
    stage.stop()
    assert stage.stage.join(10)
    stage.offer(view(6))
    assert len(overlays) == 2


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
