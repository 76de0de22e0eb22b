"""A replay repeats recorded frames at their own times, each stamped with the time at which it was due."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.base import CameraCounters, DeviceError, DeviceTimeoutError, Frame, FrameFailedError, TriggerMode
from drivers.camera_settings import SettingName, change_setting
from drivers.clock import VirtualClock
from drivers.recorded.replay import LazyFrames, ReplayCamera

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
    """Return the time between frames, which must be constant."""
    camera, _ = replay(frames, stated_s)
    times_ns = [camera.read(10.0).t_ns for _ in range(5)]
    steps_ns = {later - earlier for earlier, later in pairwise(times_ns)}
    assert len(steps_ns) == 1
    return steps_ns.pop() * 1e-9


# ---- times


def test_the_recorded_times_give_the_rate() -> None:
    assert period_s(recorded([7 * MS, 32 * MS, 57 * MS])) == pytest.approx(0.025)


@given(steps_ns=st.lists(st.integers(1, 10**13), min_size=1, max_size=8), start_ns=st.integers(0, 10**18))
def test_every_frame_comes_at_its_own_time_and_a_loop_starts_one_mean_period_after_the_last(
    steps_ns: list[int], start_ns: int
) -> None:
    times_ns = list(accumulate(steps_ns, initial=start_ns))
    camera, clock = replay(recorded(times_ns))
    arrived_ns: list[int] = []
    for _ in range(3 * len(times_ns)):
        arrived_ns.append(camera.read(20_000.0).t_ns)
        assert arrived_ns[-1] == clock.now_ns()
    measured_ns = [later - earlier for earlier, later in pairwise(arrived_ns)]
    mean_ns = round(np.mean(steps_ns))
    assert measured_ns == [*steps_ns, mean_ns, *steps_ns, mean_ns, *steps_ns]


def test_a_gap_in_the_recording_is_a_gap_in_the_replay() -> None:
    camera, clock = replay(recorded([0, 10 * MS, 1000 * MS, 1010 * MS]))
    camera.read(1.0)
    camera.read(1.0)
    shown_ns = clock.now_ns()
    for _ in range(9):
        with pytest.raises(DeviceTimeoutError, match="slower than that or has a gap"):
            camera.read(0.1)
    assert camera.read(0.1).t_ns == shown_ns + 990 * MS


@given(stated_s=st.floats(1e-4, 5.0))
def test_a_given_period_replaces_the_recorded_one(stated_s: float) -> None:
    assert period_s(recorded([0, 25 * MS]), stated_s) == pytest.approx(stated_s, abs=1e-9)


def test_a_single_frame_is_replayed_at_thirty_a_second() -> None:
    assert period_s(recorded([5 * MS])) == pytest.approx(1 / 30, abs=1e-9)


@pytest.mark.parametrize(
    ("times_ns", "reason"),
    [
        ([5 * MS, 5 * MS, 5 * MS], "frame 1 comes 0 s before frame 0"),
        ([0, 50 * MS, 20 * MS], r"frame 2 comes 0\.03 s before frame 1"),
    ],
    ids=["equal", "falling"],
)
def test_times_that_do_not_rise_are_refused_unless_a_period_is_stated(times_ns: list[int], reason: str) -> None:
    with pytest.raises(DeviceError, match=f"times that rise, but {reason}; set period_s"):
        ReplayCamera(recorded(times_ns))
    assert period_s(recorded(times_ns), 0.01) == pytest.approx(0.01)


def test_a_gap_is_no_longer_than_the_camera_says_that_a_frame_may_take() -> None:
    hour_ns = 3600 * 1000 * MS
    for times_ns, stated_s, longest_s in (
        ([0, 10 * MS, 1010 * MS], None, 1.0),
        ([0, hour_ns, 3 * hour_ns], None, 7200.0),
        ([0, 0, 0], 0.5, 0.5),
        ([0, 400_000, 800_000], None, 0.002),
    ):
        camera = ReplayCamera(recorded(times_ns, exposure_s=0.002), stated_s)
        assert camera.exposure_s + camera.capabilities.readout_s == pytest.approx(longest_s)


def test_a_frame_is_stamped_with_the_time_at_which_it_arrived() -> None:
    camera, clock = replay(recorded([0, 20 * MS]))
    armed_ns = clock.now_ns()
    for number in range(1, 5):
        frame = camera.read(1.0)
        assert frame.t_ns == clock.now_ns() == armed_ns + number * 20 * MS


def test_a_late_reader_gets_the_rest_immediately_with_the_times_at_which_they_were_due() -> None:
    camera, clock = replay(recorded([0, 20 * MS]))
    armed_ns = clock.now_ns()
    clock.wait_until(armed_ns + 70 * MS)
    frames = [camera.read(0.0) for _ in range(3)]
    assert clock.now_ns() == armed_ns + 70 * MS
    assert [frame.t_ns - armed_ns for frame in frames] == [20 * MS, 40 * MS, 60 * MS]
    with pytest.raises(DeviceTimeoutError):
        camera.read(0.0)
    assert camera.read(0.010).t_ns == armed_ns + 80 * MS


def test_a_deadline_before_the_next_frame_loses_no_frame() -> None:
    camera, clock = replay(recorded([0, 20 * MS]))
    armed_ns = clock.now_ns()
    with pytest.raises(DeviceTimeoutError, match=r"0\.005 s"):
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


def test_a_recording_may_end_instead() -> None:
    clock = VirtualClock()
    camera = ReplayCamera(recorded([0, 20 * MS]), clock=clock, loop=False)
    for _ in range(2):
        camera.arm(TriggerMode.FREE_RUN)
        assert [camera.read(1.0).index for _ in range(2)] == [0, 1]
        with pytest.raises(DeviceError, match="ended after 2 frames; arm again"):
            camera.read(1.0)


def test_arming_again_starts_from_the_first_frame() -> None:
    camera, clock = replay(recorded([0, 20 * MS, 40 * MS]))
    for _ in range(2):
        camera.read(1.0)
    camera.arm(TriggerMode.FREE_RUN)
    armed_ns = clock.now_ns()
    frame = camera.read(1.0)
    assert (frame.index, int(frame.pixels[0, 0]), frame.t_ns) == (0, 0, armed_ns + 20 * MS)


def test_a_frame_keeps_its_recorded_properties_and_its_pixels_are_not_copied() -> None:
    source = recorded([0, 20 * MS])
    camera, _ = replay(source)
    for original in source:
        frame = camera.read(1.0)
        assert frame.pixels is original.pixels
        assert (frame.exposure_s, frame.bit_depth, frame.pattern_id) == (0.002, 8, original.pattern_id)


def test_its_properties_are_those_of_the_recorded_camera() -> None:
    images = np.full((2, 5, 6), 4000, np.uint16)
    camera, _ = replay([Frame(image, 0, number * MS, 0.003, 12) for number, image in enumerate(images)])
    assert camera.capabilities.shape == (5, 6)
    assert camera.capabilities.bit_depths == (12,)
    assert camera.capabilities.exposure_range_s == (0.003, 0.003)
    assert camera.read(1.0).full_scale == 4095
    camera.set_exposure(0.003)
    with pytest.raises(DeviceError, match=r"recorded exposure of 0\.003 s, got 0\.004 s"):
        camera.set_exposure(0.004)


# ---- frames that are read when they are due


class LoggedFrames(LazyFrames):
    """Frames that log when they were read; those in ``damaged`` cannot be read."""

    def __init__(self, times_ns: Sequence[int], clock: VirtualClock, damaged: Sequence[int] = ()) -> None:
        super().__init__(np.array(times_ns, np.int64))
        self._frames = recorded(times_ns)
        self._clock = clock
        self._damaged = damaged
        self.read_ns: list[tuple[int, int]] = []

    def load(self, index: int) -> Frame:
        self.read_ns.append((index, self._clock.now_ns()))
        if index in self._damaged:
            raise DeviceError(f"row {index} is damaged")
        return self._frames[index]


def test_lazy_frames_are_read_one_by_one_and_before_they_are_due() -> None:
    clock = VirtualClock()
    frames = LoggedFrames([0, 20 * MS, 400 * MS], clock)
    camera = ReplayCamera(frames, clock=clock)
    assert [number for number, _ in frames.read_ns] == [0]  # for its shape
    frames.read_ns.clear()
    camera.arm(TriggerMode.FREE_RUN)
    arrived_ns: list[int] = []
    while len(arrived_ns) < 4:
        try:
            arrived_ns.append(camera.read(0.1).t_ns)
        except DeviceTimeoutError:
            continue
    assert [number for number, _ in frames.read_ns] == [0, 1, 2, 0]
    for (_, read_ns), due_ns in zip(frames.read_ns, arrived_ns, strict=True):
        assert due_ns - 100 * MS <= read_ns < due_ns


def test_a_frame_that_cannot_be_read_is_failed_at_its_time_and_the_next_one_follows() -> None:
    clock = VirtualClock()
    camera = ReplayCamera(LoggedFrames([0, 20 * MS, 40 * MS], clock, damaged=[1]), clock=clock)
    camera.arm(TriggerMode.FREE_RUN)
    armed_ns = clock.now_ns()
    assert camera.read(1.0).index == 0
    with pytest.raises(FrameFailedError, match="frame 1 of the recording cannot be read: row 1 is damaged"):
        camera.read(1.0)
    assert clock.now_ns() == armed_ns + 40 * MS
    frame = camera.read(1.0)
    assert (frame.index, int(frame.pixels[0, 0]), frame.t_ns) == (2, 2, armed_ns + 60 * MS)
    assert camera.counters == CameraCounters(0, 2, 1)


def test_lazy_frames_are_a_sequence() -> None:
    frames = LoggedFrames([0, 20 * MS, 40 * MS], VirtualClock())
    assert len(frames) == 3
    assert [frame.index for frame in frames] == [90, 91, 92]
    assert [frame.index for frame in frames[1:]] == [91, 92]
    assert frames[-1].index == 92
    with pytest.raises(IndexError):
        frames[3]


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


def test_a_new_rate_takes_effect_with_the_next_frame_and_repeats_or_skips_none() -> None:
    camera, _ = replay(recorded([number * 20 * MS for number in range(5)]))
    before = [camera.read(1.0) for _ in range(2)]
    change_setting(camera, SettingName.FRAME_RATE_HZ, 2.0)
    after = [camera.read(1.0) for _ in range(5)]
    assert [frame.index for frame in (*before, *after)] == [*range(7)]
    assert [frame.recorded_index for frame in (*before, *after)] == [0, 1, 2, 3, 4, 0, 1]
    assert np.diff([before[-1].t_ns, *(frame.t_ns for frame in after)]) == pytest.approx(0.5e9)
    assert camera.capabilities.readout_s + camera.exposure_s == pytest.approx(0.5)
