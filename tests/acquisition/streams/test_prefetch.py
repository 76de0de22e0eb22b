"""The prefetcher keeps the order, stays within its depth, raises errors in their place and leaves no thread."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest

from acquisition.streams.channel import ChannelClosedError
from acquisition.streams.prefetch import Prefetcher, PrefetchStuckError

#: Only a thread that hangs takes this long.
PATIENCE_S = 10.0


class Maker:
    """Records the numbers that it gets, and lets a test wait for them."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.changed = threading.Condition()

    def __call__(self, number: int) -> str:
        with self.changed:
            self.numbers.append(number)
            self.changed.notify_all()
        return f"item {number}"

    def wait_for(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.numbers) >= count, PATIENCE_S), f"only {self.numbers} came"


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def test_items_come_in_order_and_end() -> None:
    with Prefetcher(str, [3, 1, 2], depth=2) as items:
        assert list(items) == ["3", "1", "2"]
        assert list(items) == []


def test_no_numbers_give_an_empty_iterator() -> None:
    with Prefetcher(str, []) as items:
        assert list(items) == []


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_exactly_depth_items_are_computed_ahead(depth: int) -> None:
    make = Maker()
    most = 0

    def watched(number: int) -> str:
        nonlocal most
        most = max(most, len(make.numbers) + 1 - used)  # an item that is being computed counts
        return make(number)

    used = 0
    with Prefetcher(watched, itertools.count(), depth=depth) as items:
        for _ in range(20):
            make.wait_for(used + depth)
            assert len(make.numbers) == used + depth
            used += 1  # before the item is used, which lets the next one be computed
            assert next(items) == f"item {used - 1}"
    assert most <= depth


def test_items_are_computed_while_the_caller_does_something_else() -> None:
    make = Maker()
    with Prefetcher(make, range(3), depth=3) as items:
        make.wait_for(3)
        assert make.numbers == [0, 1, 2]
        assert next(items) == "item 0"


@pytest.mark.parametrize("error", [ZeroDivisionError("no light"), ChannelClosedError("another channel")])
def test_an_error_is_raised_in_place_of_its_item(error: Exception) -> None:
    def make(number: int) -> int:
        if number == 2:
            raise error
        return number

    with Prefetcher(make, range(5), depth=4) as items:
        assert [next(items), next(items)] == [0, 1]
        with pytest.raises(type(error), match=str(error)):
            next(items)


def test_an_error_of_the_numbers_is_raised() -> None:
    def numbers() -> Iterator[int]:
        yield 7
        raise OSError("the list ends here")

    with Prefetcher(str, numbers()) as items:
        assert next(items) == "7"
        with pytest.raises(OSError, match="ends here"):
            next(items)


def test_closing_early_ends_the_thread_and_the_iteration() -> None:
    make = Maker()
    with Prefetcher(make, itertools.count(), depth=2) as items:
        make.wait_for(2)
        next(items)
        items.close()
        before = list(make.numbers)
        assert list(items) == []
    assert make.numbers == before


def test_an_error_of_the_caller_is_raised_and_ends_the_thread() -> None:
    with pytest.raises(KeyError, match="mine"), Prefetcher(str, itertools.count()):
        raise KeyError("mine")


def test_closing_wakes_a_waiting_reader() -> None:
    begun, release = threading.Event(), threading.Event()

    def make(number: int) -> int:
        begun.set()
        release.wait(PATIENCE_S)
        return number

    received: list[int] = []
    with Prefetcher(make, [1], stop_s=PATIENCE_S) as items:
        reader = threading.Thread(target=lambda: received.extend(items))
        reader.start()
        assert begun.wait(PATIENCE_S)
        closer = threading.Thread(target=items.close)
        closer.start()
        reader.join(PATIENCE_S)
        release.set()
        closer.join(PATIENCE_S)
        assert not reader.is_alive()
        assert not closer.is_alive()
    assert received == []


def test_an_item_that_hangs_is_reported_and_not_waited_for() -> None:
    begun, release = threading.Event(), threading.Event()

    def make(number: int) -> int:
        begun.set()
        release.wait(PATIENCE_S)
        return number

    items = Prefetcher(make, [1], stop_s=0.01)
    with pytest.raises(PrefetchStuckError, match=r"0\.01 s"), items:
        assert begun.wait(PATIENCE_S)
    release.set()
    vars(items)["_stop_s"] = PATIENCE_S
    items.close()


def test_it_must_be_entered_first() -> None:
    with pytest.raises(RuntimeError, match="with Prefetcher"):
        next(Prefetcher(str, [1]))


def test_depth_is_at_least_one() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Prefetcher(str, [1], depth=0)
