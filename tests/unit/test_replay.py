"""A replay repeats recorded frames at their rate, stamped with the time at which each was due, and refuses nonsense."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.base import DeviceError, DeviceTimeout, Frame, TriggerMode
from drivers.clock import VirtualClock
from drivers.replay import ReplayCamera

MS = 1_000_000


def recorded(times_ns: Sequence[int], exposure_s: float = 0.002) -> list[Frame]:
    """Frames whose pixels all hold their number."""
    return [
        Frame(np.full((3, 4), number, np.uint8), 90 + number, t_ns, exposure_s, 8, f"pattern {number}")
        for number, t_ns in enumerate(times_ns)
    ]


def replay(frames: Sequence[Frame], period_s: float | None = None) -> tuple[ReplayCamera, VirtualClock]:
    clock = VirtualClock()
    camera = ReplayCamera(frames, period_s, clock)
    camera.arm(TriggerMode.FREE_RUN)
    return camera, clock


def period_s(frames: Sequence[Frame], stated_s: float | None = None) -> float:
    """Time between the frames that come, which has to be constant."""
    camera, _ = replay(frames, stated_s)
    times_ns = [camera.read(10.0).t_ns for _ in range(5)]
    steps_ns = {later - earlier for earlier, later in pairwise(times_ns)}
    assert len(steps_ns) == 1
    return steps_ns.pop() * 1e-9


# ---- times


def test_the_recorded_times_give_the_rate() -> None:
    assert period_s(recorded([7 * MS, 32 * MS, 57 * MS])) == pytest.approx(0.025)


def test_an_uneven_recording_keeps_its_mean_rate() -> None:
    assert period_s(recorded([0, 10 * MS, 60 * MS])) == pytest.approx(0.030)


@given(stated_s=st.floats(1e-4, 5.0))
def test_a_stated_period_goes_before_the_recorded_one(stated_s: float) -> None:
    assert period_s(recorded([0, 25 * MS]), stated_s) == pytest.approx(stated_s, abs=1e-9)


@pytest.mark.parametrize("times_ns", [[5 * MS], [5 * MS, 5 * MS, 5 * MS], [50 * MS, 20 * MS]], ids=["one", "equal", "falling"])
def test_times_that_give_no_rate_are_replayed_at_thirty_a_second(times_ns: list[int]) -> None:
    assert period_s(recorded(times_ns)) == pytest.approx(1 / 30, abs=1e-9)


def test_a_frame_is_stamped_with_the_moment_at_which_it_came() -> None:
    camera, clock = replay(recorded([0, 20 * MS]))
    armed_ns = clock.now_ns()
    for number in range(1, 5):
        frame = camera.read(1.0)
        assert frame.t_ns == clock.now_ns() == armed_ns + number * 20 * MS


def test_a_reader_that_fell_behind_gets_the_rest_at_once_with_the_times_they_were_due() -> None:
    camera, clock = replay(recorded([0, 20 * MS]))
    armed_ns = clock.now_ns()
    clock.wait_until(armed_ns + 70 * MS)
    frames = [camera.read(0.0) for _ in range(3)]
    assert clock.now_ns() == armed_ns + 70 * MS
    assert [frame.t_ns - armed_ns for frame in frames] == [20 * MS, 40 * MS, 60 * MS]
    with pytest.raises(DeviceTimeout):
        camera.read(0.0)
    assert camera.read(0.010).t_ns == armed_ns + 80 * MS


def test_a_deadline_before_the_next_frame_costs_the_deadline_and_no_frame() -> None:
    camera, clock = replay(recorded([0, 20 * MS]))
    armed_ns = clock.now_ns()
    with pytest.raises(DeviceTimeout, match=r"0\.005 s"):
        camera.read(0.005)
    assert clock.now_ns() == armed_ns + 5 * MS
    assert camera.read(0.015).t_ns == armed_ns + 20 * MS


# ---- frames


def test_it_repeats_the_recording_in_a_loop_and_counts_on() -> None:
    camera, _ = replay(recorded([0, 20 * MS, 40 * MS]))
    frames = [camera.read(1.0) for _ in range(7)]
    assert [int(frame.pixels[0, 0]) for frame in frames] == [0, 1, 2, 0, 1, 2, 0]
    assert [frame.index for frame in frames] == list(range(7))
    assert camera.counters.frames == 7


def test_arming_again_starts_from_the_first_frame() -> None:
    camera, clock = replay(recorded([0, 20 * MS, 40 * MS]))
    for _ in range(2):
        camera.read(1.0)
    camera.arm(TriggerMode.FREE_RUN)
    armed_ns = clock.now_ns()
    frame = camera.read(1.0)
    assert (frame.index, int(frame.pixels[0, 0]), frame.t_ns) == (0, 0, armed_ns + 20 * MS)


def test_what_was_recorded_with_a_frame_comes_with_it_and_pixels_are_not_copied() -> None:
    source = recorded([0, 20 * MS])
    camera, _ = replay(source)
    for original in source:
        frame = camera.read(1.0)
        assert frame.pixels is original.pixels
        assert (frame.exposure_s, frame.bit_depth, frame.pattern_id) == (0.002, 8, original.pattern_id)


def test_it_is_the_camera_that_was_recorded() -> None:
    images = np.full((2, 5, 6), 4000, np.uint16)
    camera, _ = replay([Frame(image, 0, number * MS, 0.003, 12) for number, image in enumerate(images)])
    assert camera.capabilities.shape == (5, 6)
    assert camera.capabilities.bit_depths == (12,)
    assert camera.capabilities.exposure_range_s == (0.003, 0.003)
    assert camera.read(1.0).full_scale == 4095
    camera.set_exposure(0.003)
    with pytest.raises(DeviceError, match=r"recorded exposure of 0\.003 s, got 0\.004 s"):
        camera.set_exposure(0.004)


# ---- bad input


def test_no_frames_are_refused() -> None:
    with pytest.raises(DeviceError, match="got 0"):
        ReplayCamera([])


@pytest.mark.parametrize(
    "other",
    [Frame(np.zeros((4, 3), np.uint8), 1, MS, 0.002), Frame(np.zeros((3, 4), np.uint16), 1, MS, 0.002, 12)],
    ids=["shape", "bit depth"],
)
def test_frames_of_different_kinds_are_refused(other: Frame) -> None:
    with pytest.raises(DeviceError, match="one shape and bit depth, got 2 of 2 kinds"):
        ReplayCamera([*recorded([0]), other])


@pytest.mark.parametrize("stated_s", [0.0, -0.1, float("nan")])
def test_a_period_that_is_not_positive_is_refused(stated_s: float) -> None:
    with pytest.raises(DeviceError, match="more than 0 s"):
        ReplayCamera(recorded([0, MS]), stated_s)
