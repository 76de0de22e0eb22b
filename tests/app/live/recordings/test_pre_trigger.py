"""The seconds before a recording: nothing is missing or doubled where they meet what comes next, whatever the threads do."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from acquisition.archive.recording_faults import RecordingFault
from app.live.recordings.pre_trigger import PreTriggerRing
from app.status import LiveView, Overlay
from drivers.base import Frame

FRAME_NS = 10_000_000
PIXELS = np.zeros((8, 8), np.uint8)


class Recorded:
    """What a recording got."""

    def __init__(self) -> None:
        self.earlier: list[int] = []
        self.frames: list[int] = []
        self.views: list[int] = []
        self.overlays: list[int] = []
        self.faults: list[str] = []

    def put_earlier_frame(self, frame: Frame) -> None:
        self.earlier.append(frame.index)

    def put_frame(self, frame: Frame) -> None:
        self.frames.append(frame.index)

    def put_view(self, view: LiveView) -> None:
        self.views.append(view.frame.index)

    def put_overlay(self, overlay: Overlay) -> None:
        self.overlays.append(overlay.view.frame.index)

    def put_fault(self, fault: RecordingFault) -> None:
        self.faults.append(fault.text)


def frame(index: int, pixels: np.ndarray = PIXELS) -> Frame:
    return Frame(pixels, index, index * FRAME_NS, 0.005)


def view(index: int) -> LiveView:
    return LiveView(frame(index), None)


def ring(frames: int, *, most_bytes: int = 10**6) -> PreTriggerRing:
    """Return a ring that keeps so many frames, one at the oldest moment included."""
    kept = PreTriggerRing(most_bytes)
    kept.keep((frames - 1) * FRAME_NS * 1e-9)
    return kept


def attached(kept: PreTriggerRing, frames: int) -> Recorded:
    recorded = Recorded()
    kept.attach(recorded, (frames - 1) * FRAME_NS * 1e-9)
    return recorded


def test_a_recording_begins_with_the_oldest_frame_that_is_kept() -> None:
    kept = ring(5)
    for k in range(20):
        kept.put_frame(frame(k))
    assert kept.kept_s == pytest.approx(4 * FRAME_NS * 1e-9)
    recorded = attached(kept, 5)
    kept.put_frame(frame(20))
    assert (recorded.earlier, recorded.frames) == ([15, 16, 17, 18, 19], [20])


def test_a_recording_may_begin_with_less_than_is_kept() -> None:
    kept = ring(10)
    for k in range(20):
        kept.put_frame(frame(k))
    assert attached(kept, 3).earlier == [17, 18, 19]


def test_results_of_frames_that_are_kept_come_with_them() -> None:
    kept = ring(3)
    for k in range(6):
        kept.put_frame(frame(k))
        kept.put_view(view(k))
        kept.put_overlay(Overlay(view(k - 1), None, 0.0))
    kept.put_view(view(77))  # of a frame that is not kept
    recorded = attached(kept, 3)
    assert (recorded.earlier, recorded.views, recorded.overlays[-2:]) == ([3, 4, 5], [3, 4, 5], [3, 4])


def test_memory_limits_what_is_kept() -> None:
    kept = ring(100, most_bytes=3 * PIXELS.nbytes)
    for k in range(50):
        kept.put_frame(frame(k))
    assert attached(kept, 100).earlier == [47, 48, 49]


def test_nothing_is_kept_where_nothing_was_asked_for() -> None:
    kept = PreTriggerRing()
    for k in range(5):
        kept.put_frame(frame(k))
        kept.put_view(view(k))
    assert kept.kept_s == 0
    recorded = Recorded()
    kept.attach(recorded, 0.0)
    kept.put_frame(frame(5))
    assert (recorded.earlier, recorded.frames) == ([], [5])


@pytest.mark.parametrize("why", ["shape", "reference", "off"])
def test_frames_that_do_not_belong_to_the_next_ones_are_forgotten(why: str) -> None:
    kept = ring(10)
    for k in range(5):
        kept.put_frame(frame(k))
    if why == "reference":
        kept.forget_before(None)
    elif why == "off":
        kept.keep(0.0)
        kept.keep(1.0)
    kept.put_frame(frame(5, PIXELS[:4] if why == "shape" else PIXELS))
    assert attached(kept, 10).earlier == [5]


def test_after_a_recording_frames_are_kept_again() -> None:
    kept = ring(3)
    recorded = attached(kept, 3)
    kept.put_frame(frame(0))
    kept.detach()
    for k in range(1, 8):
        kept.put_frame(frame(k))
    assert (recorded.frames, attached(kept, 3).earlier) == ([0], [5, 6, 7])


def test_no_frame_is_missing_or_doubled_while_the_camera_runs_on() -> None:
    kept = ring(10)
    stop, pause = threading.Event(), threading.Event()
    count = 0

    def capture() -> None:
        nonlocal count
        while not stop.is_set():
            kept.put_frame(frame(count))
            kept.put_view(view(count))
            count += 1

    camera = threading.Thread(target=capture)
    camera.start()
    try:
        for _ in range(20):
            before = count
            while count < before + 12:
                pause.wait(1e-4)
            recorded = attached(kept, 10)
            while len(recorded.frames) < 5:
                pause.wait(1e-4)
            kept.detach()
            indexes = recorded.earlier + recorded.frames
            assert len(recorded.earlier) == 10
            assert indexes == list(range(indexes[0], indexes[0] + len(indexes)))
    finally:
        stop.set()
        camera.join(20)
