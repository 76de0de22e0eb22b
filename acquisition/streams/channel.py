"""Threads and the channels between them: channels with a stated overflow policy, and stages that report their errors."""

from __future__ import annotations

import enum
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Generic, TypeVar

from drivers.base import SpeckleScopeError

T = TypeVar("T")


class Overflow(enum.Enum):
    """What a full channel does with one more item."""

    #: Drop the oldest item and count it: for display and inference, where only the newest frame matters.
    DROP_OLDEST = "drop oldest"
    #: Refuse the item with an error: for recordings, which are complete or stopped, but never have a silent gap.
    FAIL = "fail"
    #: Let the producer wait: for datasets.
    WAIT = "wait"


class ChannelClosedError(SpeckleScopeError):
    """The channel is closed; no further item will come."""


class ChannelOverflowError(SpeckleScopeError):
    """A lossless channel was full: its consumer is slower than its producer."""


class Channel(Generic[T]):
    """A bounded queue from one producer thread to one consumer thread.

    Parameters
    ----------
    name : str
        Name for messages.
    capacity : int
        Largest number of waiting items, or of their bytes where ``size_of`` is given; with more, the overflow policy applies.
        One item fits always.
    overflow : Overflow
        The policy.
    size_of : callable, optional
        Returns the bytes of an item.

    Raises
    ------
    ValueError
        The capacity is below 1.

    Notes
    -----
    When a channel was closed with an error, the consumer first gets the items before it and then this error.
    """

    def __init__(self, name: str, capacity: int, overflow: Overflow, size_of: Callable[[T], int] | None = None) -> None:
        if capacity < 1:
            raise ValueError(f"channel {name!r} needs a capacity of at least 1, got {capacity}")
        self.name = name
        self.capacity = capacity
        self.overflow = overflow
        self._size_of = size_of or (lambda item: 1)
        self._room = f"{capacity} items" if size_of is None else f"{capacity / 1e6:.0f} MB"
        self._items: deque[T] = deque()
        self._waiting = 0
        self._condition = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None
        self._error_origin: TracebackType | None = None
        self._dropped = 0
        self._accepted = 0

    @property
    def dropped(self) -> int:
        """Number of items that DROP_OLDEST has dropped so far."""
        return self._dropped

    @property
    def accepted(self) -> int:
        """Number of items put so far, including dropped ones."""
        return self._accepted

    @property
    def waiting(self) -> int:
        """Number of waiting items, or of their bytes where the capacity counts bytes."""
        return self._waiting

    @property
    def closed(self) -> bool:
        """Whether the channel is closed."""
        return self._closed

    def put(self, item: T, timeout_s: float | None = None) -> None:
        """Put one item into the channel.

        Raises
        ------
        ChannelClosedError
            The channel was closed, by the producer or by the consumer.
        ChannelOverflowError
            The channel is full and its policy is FAIL, or it is WAIT and the channel is still full after ``timeout_s``.
        """
        size = self._size_of(item)
        with self._condition:
            if self.overflow is Overflow.WAIT and not self._condition.wait_for(
                lambda: self._closed or self._has_room(size), timeout_s
            ):
                raise ChannelOverflowError(f"channel {self.name!r} is still full after {timeout_s} s; its consumer is stuck")
            if self._closed:
                raise ChannelClosedError(f"channel {self.name!r} is closed")
            while not self._has_room(size):
                if self.overflow is Overflow.FAIL:
                    raise ChannelOverflowError(
                        f"channel {self.name!r} is full ({self._room}): the disk is too slow; use a faster one"
                    )
                self._remove()
                self._dropped += 1
            self._items.append(item)
            self._waiting += size
            self._accepted += 1
            self._condition.notify_all()

    def get(self, timeout_s: float | None = None) -> T:
        """Wait for the next item.

        Raises
        ------
        TimeoutError
            No item came within ``timeout_s``.
        ChannelClosedError
            The channel is closed and empty.
        BaseException
            The error with which the producer closed the channel.
        """
        with self._condition:
            if not self._condition.wait_for(lambda: self._items or self._closed, timeout_s):
                raise TimeoutError(f"channel {self.name!r}: no item came within {timeout_s} s")
            return self._pop()

    def poll(self) -> T | None:
        """Return the newest item, or None when there is none. Older items are skipped and not counted as dropped.

        Raises
        ------
        ChannelClosedError, BaseException
            As :meth:`get`.
        """
        with self._condition:
            while len(self._items) > 1:
                self._remove()
            if not self._items and not self._closed:
                return None
            return self._pop()

    def _pop(self) -> T:
        if self._items:
            item = self._remove()
            self._condition.notify_all()
            return item
        if self._error is not None:
            # With its first traceback: every raise would add to the one that it has, and a channel may be polled for hours.
            raise self._error.with_traceback(self._error_origin)
        raise ChannelClosedError(f"channel {self.name!r} is closed")

    def _has_room(self, size: int) -> bool:
        return not self._items or self._waiting + size <= self.capacity

    def _remove(self) -> T:
        item = self._items.popleft()
        self._waiting -= self._size_of(item)
        return item

    def close(self, error: BaseException | None = None) -> None:
        """Close the channel, with the producer's error if it failed. Only the first close counts."""
        with self._condition:
            if not self._closed:
                self._closed = True
                self._error = error
                self._error_origin = error.__traceback__ if error is not None else None
                self._condition.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Yield every item until the channel is closed; raises the producer's error if it failed."""
        while True:
            try:
                yield self.get()
            except ChannelClosedError:
                return


class Stage:
    """A named thread that runs one function, and then closes its output channels, with the function's error if it failed.

    Parameters
    ----------
    name : str
        Name of the thread.
    work : callable
        Called with the stop event. It returns when its work is done, or at most 100 ms after the event is set.
    outputs : sequence of Channel
        Channels that are closed when the work ends.
    after : Stage, optional
        A stage that uses the same devices; the work begins when that stage has ended.

    Attributes
    ----------
    error : BaseException or None
        The error with which the work ended.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[threading.Event], None],
        outputs: Sequence[Channel[object]] | Sequence[object] = (),
        after: Stage | None = None,
    ) -> None:
        self.name = name
        self.error: BaseException | None = None
        self._outputs = [output for output in outputs if isinstance(output, Channel)]
        self._stop = threading.Event()
        # Only the thread holds these, and only while it runs: a stage that has ended keeps neither its work nor earlier stages.
        self._thread = threading.Thread(target=self._run, args=(work, after), name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def request_stop(self) -> None:
        """Ask the work to end; returns at once."""
        self._stop.set()

    @property
    def running(self) -> bool:
        """Whether the thread is alive."""
        return self._thread.is_alive()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for the thread; return whether it has ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self, work: Callable[[threading.Event], None], after: Stage | None) -> None:
        try:
            if after is not None:
                after.join()
            work(self._stop)
        except BaseException as error:  # noqa: BLE001 - raised to the consumer, and kept as `error`
            _free_locals(error)
            self.error = error
        finally:
            for output in self._outputs:
                output.close(self.error)


def _free_locals(error: BaseException) -> None:
    """Free what the functions that have failed were working on: an error is kept longer than the frames of its traceback."""
    known: set[int] = set()
    chain = [error]
    while chain:
        link = chain.pop()
        if id(link) in known:
            continue
        known.add(id(link))
        traceback.clear_frames(link.__traceback__)
        chain += [cause for cause in (link.__cause__, link.__context__) if cause is not None]
        chain += link.exceptions if isinstance(link, BaseExceptionGroup) else ()


class RateMeter:
    """Events per second in a sliding window; one thread may count, and several may read.

    Where the window is too short for two events, the last two count, until the next one is three times overdue.

    Parameters
    ----------
    window_s : float
        Length of the window in seconds.
    """

    def __init__(self, window_s: float = 2.0) -> None:
        self._window_s = window_s
        self._times: deque[float] = deque(maxlen=4096)

    def tick(self) -> None:
        """Count one event at the present time."""
        self._times.append(time.monotonic())

    def per_second(self) -> float:
        """Return the events per second; 0 before the second one, and when no more come."""
        now, times = time.monotonic(), list(self._times)
        recent = [t for t in times if now - t <= self._window_s]
        if len(recent) < 2:
            recent = times[-2:]
        if len(recent) < 2 or recent[-1] <= recent[0] or now - recent[-1] > max(self._window_s, 3 * (recent[-1] - recent[-2])):
            return 0.0
        return (len(recent) - 1) / (recent[-1] - recent[0])
