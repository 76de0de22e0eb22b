"""Channels keep what they promise to keep, count what they drop, and never leave a thread waiting."""

from __future__ import annotations

import gc
import threading
import traceback
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.streams import channel
from acquisition.streams.channel import Channel, ChannelClosedError, ChannelOverflowError, Overflow, RateMeter, Stage
from drivers.base import DeviceError

T = TypeVar("T")
#: Only a thread that hangs takes this long.
PATIENCE_S = 10.0


class AnnouncingCondition(threading.Condition):
    """Announces that a thread is about to wait. A thread that gets the lock after that knows that the other one waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.waiting.set()
        return super().wait(timeout)


def outcome_of_blocked(channel: Channel[int], call: Callable[[], T], unblock: Callable[[], object]) -> T | BaseException:
    """Run ``call`` in a thread, ``unblock`` it when it really waits, and return its result or its error."""
    condition = AnnouncingCondition()
    vars(channel)["_condition"] = condition
    outcomes: list[T | BaseException] = []

    def body() -> None:
        try:
            outcomes.append(call())
        except BaseException as error:
            outcomes.append(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    assert condition.waiting.wait(PATIENCE_S), "the call did not block"
    unblock()
    thread.join(PATIENCE_S)
    assert not thread.is_alive(), "the call is still blocked"
    return outcomes[0]


def filled(overflow: Overflow, capacity: int, items: int) -> Channel[int]:
    channel: Channel[int] = Channel("test", capacity, overflow)
    for item in range(items):
        channel.put(item)
    return channel


@pytest.mark.parametrize("overflow", Overflow)
def test_items_come_in_order_and_are_counted(overflow: Overflow) -> None:
    channel = filled(overflow, 3, 3)
    assert [channel.get() for _ in range(3)] == [0, 1, 2]
    assert (channel.accepted, channel.dropped) == (3, 0)


def test_capacity_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        Channel("test", 0, Overflow.WAIT)


def test_drop_oldest_keeps_the_newest_and_counts_the_rest() -> None:
    channel = filled(Overflow.DROP_OLDEST, 2, 7)
    channel.close()
    assert list(channel) == [5, 6]
    assert (channel.accepted, channel.dropped) == (7, 5)


def test_fail_refuses_the_item_that_does_not_fit_and_keeps_the_others() -> None:
    channel = filled(Overflow.FAIL, 2, 2)
    with pytest.raises(ChannelOverflowError, match="'test' is full"):
        channel.put(2)
    assert (channel.accepted, channel.dropped) == (2, 0)
    assert channel.get() == 0
    channel.put(3)
    assert [channel.get(), channel.get()] == [1, 3]


def test_wait_gives_up_at_its_deadline_without_losing_anything() -> None:
    channel = filled(Overflow.WAIT, 1, 1)
    with pytest.raises(ChannelOverflowError, match=r"still full after 0\.001 s"):
        channel.put(1, timeout_s=0.001)
    channel.close()
    assert list(channel) == [0]


def test_wait_resumes_as_soon_as_there_is_room() -> None:
    channel = filled(Overflow.WAIT, 1, 1)
    assert outcome_of_blocked(channel, lambda: channel.put(1), channel.get) is None
    assert channel.get() == 1


def test_poll_makes_room_for_a_blocked_producer() -> None:
    channel = filled(Overflow.WAIT, 2, 2)
    assert outcome_of_blocked(channel, lambda: channel.put(2), channel.poll) is None
    assert channel.poll() == 2


def test_get_gives_up_at_its_deadline() -> None:
    with pytest.raises(TimeoutError, match=r"'test': no item came within 0\.001 s"):
        filled(Overflow.WAIT, 1, 0).get(timeout_s=0.001)


def test_an_item_wakes_a_blocked_consumer() -> None:
    channel = filled(Overflow.FAIL, 1, 0)
    assert outcome_of_blocked(channel, channel.get, lambda: channel.put(42)) == 42


def test_close_wakes_a_blocked_consumer() -> None:
    channel = filled(Overflow.FAIL, 1, 0)
    assert isinstance(outcome_of_blocked(channel, channel.get, channel.close), ChannelClosedError)


def test_close_wakes_a_blocked_producer_and_its_item_is_not_accepted() -> None:
    channel = filled(Overflow.WAIT, 1, 1)
    assert isinstance(outcome_of_blocked(channel, lambda: channel.put(1), channel.close), ChannelClosedError)
    assert channel.accepted == 1
    assert list(channel) == [0]


@pytest.mark.parametrize("overflow", Overflow)
def test_a_closed_channel_refuses_items(overflow: Overflow) -> None:
    channel = filled(overflow, 2, 1)
    channel.close()
    with pytest.raises(ChannelClosedError):
        channel.put(1)
    assert channel.closed
    assert list(channel) == [0]


def test_an_error_reaches_the_consumer_after_the_items_before_it() -> None:
    channel = filled(Overflow.FAIL, 3, 2)
    channel.close(OSError("disk full"))
    received: list[int] = []
    with pytest.raises(OSError, match="disk full"):
        received.extend(channel)
    assert received == [0, 1]
    with pytest.raises(OSError, match="disk full"):
        channel.get()


def test_only_the_first_close_counts() -> None:
    clean, failed = filled(Overflow.FAIL, 1, 0), filled(Overflow.FAIL, 1, 0)
    clean.close()
    clean.close(OSError("too late"))
    failed.close(OSError("cause"))
    failed.close()
    assert list(clean) == []
    with pytest.raises(OSError, match="cause"):
        failed.get()


def test_poll_gives_the_newest_once() -> None:
    channel = filled(Overflow.DROP_OLDEST, 4, 3)
    assert channel.poll() == 2
    assert channel.poll() is None
    assert channel.dropped == 0  # skipped by choice, not lost


def test_poll_gives_the_last_item_before_the_error() -> None:
    channel = filled(Overflow.DROP_OLDEST, 2, 2)
    channel.close(OSError("unplugged"))
    assert channel.poll() == 1
    with pytest.raises(OSError, match="unplugged"):
        channel.poll()


@given(items=st.lists(st.integers(), max_size=60), capacity=st.integers(1, 4), fails=st.booleans())
def test_a_waiting_channel_loses_and_reorders_nothing(items: list[int], capacity: int, *, fails: bool) -> None:
    channel: Channel[int] = Channel("test", capacity, Overflow.WAIT)

    def produce(stop: threading.Event) -> None:
        for item in items:
            channel.put(item, PATIENCE_S)
        if fails:
            raise OSError("at the end")

    stage = Stage("producer", produce, [channel])
    stage.start()
    received: list[int] = []
    with pytest.raises(OSError, match="at the end") if fails else nullcontext():
        received.extend(channel)
    assert stage.join(PATIENCE_S)
    assert received == items
    assert (stage.error is not None) == fails
    assert (channel.accepted, channel.dropped) == (len(items), 0)


@given(puts=st.lists(st.booleans(), max_size=60), capacity=st.integers(1, 4))
def test_every_item_of_a_lossy_channel_is_delivered_or_counted(puts: list[bool], capacity: int) -> None:
    channel: Channel[int] = Channel("test", capacity, Overflow.DROP_OLDEST)
    received: list[int] = []
    waiting = 0
    for number, is_put in enumerate(puts):
        if is_put:
            channel.put(number)
            waiting = min(waiting + 1, capacity)
        elif waiting:
            received.append(channel.get())
            waiting -= 1
    channel.close()
    received += channel
    assert received == sorted(received)
    assert len(received) + channel.dropped == channel.accepted == sum(puts)


def test_a_failing_stage_closes_every_output_with_its_error() -> None:
    outputs: list[Channel[int]] = [Channel(name, 1, Overflow.FAIL) for name in ("display", "writer")]

    def work(stop: threading.Event) -> None:
        outputs[0].put(7)
        raise OSError("camera gone")

    stage = Stage("capture", work, outputs)
    stage.start()
    assert stage.join(PATIENCE_S)
    assert outputs[0].get() == 7
    for output in outputs:
        with pytest.raises(OSError, match="camera gone"):
            output.get()
    assert isinstance(stage.error, OSError)


def test_a_stage_stops_on_request_and_closes_its_outputs_without_error() -> None:
    output: Channel[int] = Channel("display", 1, Overflow.DROP_OLDEST)
    started = threading.Event()

    def work(stop: threading.Event) -> None:
        started.set()
        assert stop.wait(PATIENCE_S)

    stage = Stage("capture", work, [output])
    stage.start()
    assert started.wait(PATIENCE_S)
    assert stage.running
    assert not stage.join(0.0)
    stage.request_stop()
    assert stage.join(PATIENCE_S)
    assert not stage.running
    assert stage.error is None
    assert list(output) == []


class Large:
    """Something that a stage works on."""


def test_a_stage_that_has_ended_keeps_neither_its_work_nor_the_stage_before_it() -> None:
    held = [Large(), Large()]
    kept = [weakref.ref(large) for large in held]
    first = Stage("first", partial(lambda large, stop: None, held[0]))
    second = Stage("second", partial(lambda large, stop: None, held[1]), after=first)
    first.start()
    second.start()
    assert second.join(PATIENCE_S)
    earlier = weakref.ref(first)
    held.clear()
    del first
    gc.collect()
    assert [large() for large in kept] == [None, None]
    assert earlier() is None
    assert second.error is None


def test_the_error_of_a_stage_keeps_its_lines_but_not_what_it_worked_on() -> None:
    kept: list[weakref.ref[Large]] = []

    def fail(large: Large) -> None:
        kept.append(weakref.ref(large))
        raise DeviceError("no power")

    def work(stop: threading.Event) -> None:
        large = Large()
        kept.append(weakref.ref(large))
        try:
            fail(Large())
        except DeviceError as error:
            raise DeviceError("gave up") from error

    stage = Stage("fails", work)
    stage.start()
    assert stage.join(PATIENCE_S)
    assert stage.error is not None
    gc.collect()
    assert [large() for large in kept] == [None, None]
    assert [line.name for line in traceback.extract_tb(stage.error.__traceback__)] == ["_run", "work"]


def test_a_channel_that_is_polled_after_an_error_does_not_grow() -> None:
    channel = filled(Overflow.DROP_OLDEST, 1, 0)
    channel.close(ValueError("the producer failed"))
    lines = set()
    for _ in range(5):
        with pytest.raises(ValueError, match="producer") as caught:
            channel.poll()
        lines.add(len(traceback.extract_tb(caught.value.__traceback__)))
    assert len(lines) == 1


def test_a_channel_may_count_bytes() -> None:
    sizes: Channel[bytes] = Channel("record", 10, Overflow.FAIL, len)
    for item in (b"1234", b"123456"):
        sizes.put(item)
    assert sizes.waiting == 10
    with pytest.raises(ChannelOverflowError, match=r"full \(0 MB\)"):
        sizes.put(b"1")
    assert sizes.get() == b"1234"
    sizes.put(b"123")
    assert sizes.waiting == 9


def test_one_item_larger_than_the_channel_still_goes_through() -> None:
    sizes: Channel[bytes] = Channel("record", 3, Overflow.FAIL, len)
    sizes.put(b"12345")
    with pytest.raises(ChannelOverflowError):
        sizes.put(b"1")
    assert sizes.get() == b"12345"
    assert sizes.waiting == 0


def test_the_oldest_items_make_room_for_a_large_one() -> None:
    sizes: Channel[bytes] = Channel("display", 6, Overflow.DROP_OLDEST, len)
    for item in (b"12", b"34", b"56", b"7890"):
        sizes.put(item)
    assert (sizes.dropped, sizes.waiting) == (2, 6)
    assert sizes.poll() == b"7890"
    assert sizes.waiting == 0


def test_a_stage_that_never_started_can_be_joined() -> None:
    assert Stage("idle", lambda stop: None).join()


def test_rate_counts_only_the_recent_past(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    monkeypatch.setattr(channel, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    meter = RateMeter(window_s=2.0)
    assert meter.per_second() == 0.0
    for tick in range(41):  # 10 per second for 4 s
        now_s[0] = tick / 10
        meter.tick()
    assert meter.per_second() == pytest.approx(10.0)
    now_s[0] += 5.0
    assert meter.per_second() == 0.0
    for _ in range(2):  # one every 3 s: fewer than two in the window
        now_s[0] += 3.0
        meter.tick()
    now_s[0] += 2.9
    assert meter.per_second() == pytest.approx(1 / 3)
    now_s[0] += 6.2
    assert meter.per_second() == 0.0
