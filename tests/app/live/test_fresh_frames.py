"""A stage that is slower than the camera uses the newest frame, or the next one if that is due at once."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from acquisition.streams.channel import Channel, Overflow
from app.live.fresh_frames import FreshFrames
from drivers.base import Frame

#: Long, so that no real wait comes close to it.
_PERIOD_S = 100.0


class _Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def _frame(index: int) -> Frame:
    return Frame(np.zeros((2, 2), np.uint8), index, 0, 0.01)


def _regular(clock: _Clock, period_s: float = _PERIOD_S) -> FreshFrames:
    """Frames 0 to 4 have come in time; only the last one waits."""
    frames = FreshFrames(Channel("frames", 1, Overflow.DROP_OLDEST), clock)
    for index in range(5):
        clock.now_s += period_s
        frames.put(_frame(index))
    return frames


def test_a_young_frame_is_used_at_once() -> None:
    clock = _Clock()
    frames = _regular(clock)
    clock.now_s += 0.5 * _PERIOD_S
    assert next(iter(frames)).index == 4
    assert frames.passed_over == 0


@pytest.mark.parametrize("age_in_periods", [0.75, 0.95, 1.3])  # the last one: the next frame is late
def test_the_next_frame_is_used_when_it_is_due_at_once(age_in_periods: float) -> None:
    clock = _Clock()
    frames = _regular(clock)
    clock.now_s += age_in_periods * _PERIOD_S
    used: list[int] = []
    stage = threading.Thread(target=lambda: used.append(next(iter(frames)).index))
    stage.start()
    while frames.waiting:  # until the stage has the old frame
        pass
    frames.put(_frame(5))
    stage.join(10)
    assert used == [5]
    assert frames.passed_over == 1


def test_a_frame_that_does_not_come_costs_a_part_of_a_period() -> None:
    clock = _Clock()
    frames = _regular(clock, 0.02)
    clock.now_s += 0.95 * 0.02
    assert next(iter(frames)).index == 4
    assert frames.passed_over == 0


def test_nothing_is_waited_for_after_a_pause_or_before_the_period_is_known() -> None:
    clock = _Clock()
    frames = FreshFrames(Channel("frames", 1, Overflow.DROP_OLDEST), clock)
    frames.put(_frame(0))
    assert next(iter(frames)).index == 0
    clock.now_s += 3600.0
    frames.put(_frame(1))
    assert next(iter(frames)).index == 1
    clock.now_s += 0.01
    frames.put(_frame(2))
    clock.now_s += 5.0
    assert next(iter(frames)).index == 2
    clock = _Clock()
    frames = _regular(clock)
    clock.now_s += 1.7 * _PERIOD_S  # the camera has lost a frame
    assert next(iter(frames)).index == 4


def test_jitter_does_not_change_what_is_expected_much() -> None:
    clock = _Clock()
    frames = _regular(clock)
    clock.now_s += 1.3 * _PERIOD_S  # one frame is late; the next one comes in time
    frames.put(_frame(5))
    clock.now_s += 0.4 * _PERIOD_S
    assert next(iter(frames)).index == 5
    assert frames.passed_over == 0
