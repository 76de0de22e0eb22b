"""The playhead follows the recorded times at any speed, stops at the end, and loops only when it is asked to."""

from __future__ import annotations

import numpy as np
import pytest

from app.playback.playhead import EVEN_PACE, PACES, Pace, Playhead, PlayState
from app.playback.timeline import Timeline


class Clock:
    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


TIMES_S = (0.0, 0.1, 0.2, 0.3, 2.3, 2.4)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def head(clock) -> Playhead:
    head = Playhead(clock)
    head.use(Timeline(np.round(np.array(TIMES_S) * 1e9).astype(np.int64)))
    return head


def pace(speed: float) -> Pace:
    return next(one for one in PACES if one.speed == speed and one.frames_per_s is None)


def shown(head: Playhead, clock: Clock, seconds: float, step_s: float = 0.05) -> list[int]:
    """The frames that are shown while so many seconds pass, without repetitions."""
    frames = [head.position]
    for _ in range(round(seconds / step_s)):
        clock.s += step_s
        if head.tick() != frames[-1]:
            frames.append(head.position)
    return frames


@pytest.mark.parametrize("speed", [1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8])
def test_frames_come_at_their_recorded_times_at_every_speed(head, clock, speed):
    head.set_pace(pace(speed))
    head.play()
    for position, time_s in enumerate(TIMES_S):
        clock.s = 1000.0 + time_s / speed + 1e-6
        assert head.tick() == position


def test_a_gap_lasts_as_long_as_it_lasted_and_the_time_goes_on_in_it(head, clock):
    head.seek(3)
    head.play()
    clock.s += 1.0
    assert head.tick() == 3
    assert head.time_s == pytest.approx(1.3)
    clock.s += 1.01
    assert head.tick() == 4


def test_it_stops_at_the_end_and_plays_again_from_the_start(head, clock):
    head.play()
    assert shown(head, clock, 3.0) == [0, 1, 2, 3, 4, 5]
    assert head.state is PlayState.PAUSED
    assert head.position == head.last
    head.play()
    assert head.position == 0
    assert head.state is PlayState.PLAYING


def test_looping_is_an_option(head, clock):
    head.loop = True
    head.play()
    assert shown(head, clock, 2.8) == [0, 1, 2, 3, 4, 5, 0, 1, 2]
    assert head.state is PlayState.PLAYING


def test_another_speed_in_a_gap_goes_on_in_the_gap(head, clock):
    head.seek(3)
    head.play()
    clock.s += 1.0
    head.set_pace(pace(2))
    clock.s += 0.49
    assert head.tick() == 3
    clock.s += 0.02
    assert head.tick() == 4


def test_an_even_pace_pays_no_attention_to_the_times(head, clock):
    head.set_pace(EVEN_PACE)
    head.play()
    assert shown(head, clock, 0.45) == [0, 1, 2, 3, 4]
    assert shown(head, clock, 0.5)[-1] == 5
    assert head.state is PlayState.PAUSED


def test_single_frames_pause_and_stay_within_the_recording(head, clock):
    head.play()
    clock.s += 0.15
    head.tick()
    head.step(1)
    assert (head.position, head.state) == (2, PlayState.PAUSED)
    head.step(-10)
    assert head.position == 0
    head.step(100)
    assert head.position == 5


def test_a_seek_while_it_plays_plays_on_from_there(head, clock):
    head.play()
    head.seek(4)
    clock.s += 0.11
    assert head.tick() == 5
    assert head.state is PlayState.PLAYING


def test_what_comes_next_is_known_ahead(head, clock):
    head.play()
    assert head.coming(2, 0.05) == (1, 2)
    head.set_pace(pace(8))
    assert head.coming(3, 0.05) == (3, 4, 5)
    head.pause()
    head.seek(2)
    assert head.coming(4, 0.05) == (3, 1, 4, 0)


def test_nothing_plays_where_there_are_no_frames(clock):
    head = Playhead(clock)
    head.play()
    assert head.state is PlayState.PAUSED
    assert head.tick() == 0


def test_further_frames_of_a_recording_that_grows_keep_the_place(head):
    head.seek(4)
    head.use(Timeline(np.arange(20, dtype=np.int64) * 10**8))
    assert head.position == 4
    assert head.last == 19
