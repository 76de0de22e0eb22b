"""Threads and what flows between them: channels with a stated overflow policy, and stages that report their errors."""

from __future__ import annotations

import enum
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from drivers.base import SpeckleScopeError

T = TypeVar("T")


class Overflow(enum.Enum):
    """What a full channel does with one more item."""

    DROP_OLDEST = "drop oldest"  # display and inference: the newest matters, every drop is counted
    FAIL = "fail"  # recording: lossless or stopped, never a silent gap
    WAIT = "wait"  # datasets: the producer can afford to wait


class ChannelClosedError(SpeckleScopeError):
    """The producer finished; no item will follow."""


class ChannelOverflowError(SpeckleScopeError):
    """A lossless channel was full: its consumer is slower than its producer."""


class Channel(Generic[T]):
    """A bounded hand-over from one producer thread to one consumer thread.

    Parameters
    ----------
    name : str
        Appears in error messages and status lines.
    capacity : int
        Items held before the overflow policy applies.
    overflow : Overflow
        The policy.

    Notes
    -----
    A channel closed with an error raises that error to the consumer after the items that preceded it.
    """

    def __init__(self, name: str, capacity: int, overflow: Overflow) -> None:
        if capacity < 1:
            raise ValueError(f"channel {name!r} needs a capacity of at least 1, got {capacity}")
        self.name = name
        self.capacity = capacity
        self.overflow = overflow
        self._items: deque[T] = deque()
        self._condition = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None
        self._dropped = 0
        self._accepted = 0

    @property
    def dropped(self) -> int:
        """Items lost to DROP_OLDEST so far."""
        return self._dropped

    @property
    def accepted(self) -> int:
        """Items put so far, dropped ones included."""
        return self._accepted

    @property
    def closed(self) -> bool:
        """True once the producer finished or failed."""
        return self._closed

    def put(self, item: T, timeout_s: float | None = None) -> None:
        """Hand over one item.

        Raises
        ------
        ChannelClosedError
            The channel was closed, by either side.
        ChannelOverflowError
            Policy FAIL and full, or policy WAIT and still full after ``timeout_s``.
        """
        with self._condition:
            if self.overflow is Overflow.WAIT and not self._condition.wait_for(
                lambda: self._closed or len(self._items) < self.capacity, timeout_s
            ):
                raise ChannelOverflowError(f"channel {self.name!r} still full after {timeout_s} s; its consumer is stuck")
            if self._closed:
                raise ChannelClosedError(f"channel {self.name!r} is closed")
            if len(self._items) >= self.capacity:
                if self.overflow is Overflow.FAIL:
                    raise ChannelOverflowError(f"channel {self.name!r} is full ({self.capacity} items): the disk is too slow")
                self._items.popleft()
                self._dropped += 1
            self._items.append(item)
            self._accepted += 1
            self._condition.notify_all()

    def get(self, timeout_s: float | None = None) -> T:
        """Wait for the next item.

        Raises
        ------
        TimeoutError
            Nothing came within ``timeout_s``.
        ChannelClosedError
            The producer finished.
        BaseException
            The producer's own error, when it failed.
        """
        with self._condition:
            if not self._condition.wait_for(lambda: self._items or self._closed, timeout_s):
                raise TimeoutError(f"channel {self.name!r}: nothing within {timeout_s} s")
            return self._pop()

    def poll(self) -> T | None:
        """Return the newest item and forget older ones (uncounted), or None; raises like :meth:`get` once closed."""
        with self._condition:
            while len(self._items) > 1:
                self._items.popleft()
            if not self._items and not self._closed:
                return None
            return self._pop()

    def _pop(self) -> T:
        if self._items:
            item = self._items.popleft()
            self._condition.notify_all()
            return item
        if self._error is not None:
            raise self._error
        raise ChannelClosedError(f"channel {self.name!r} is closed")

    def close(self, error: BaseException | None = None) -> None:
        """End the stream, with the producer's error if it failed. The first close wins."""
        with self._condition:
            if not self._closed:
                self._closed = True
                self._error = error
                self._condition.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Yield until the producer finishes; raises its error if it failed."""
        while True:
            try:
                yield self.get()
            except ChannelClosedError:
                return


class Stage:
    """A named thread that runs one function and closes its output channels when that ends, with its error if it failed.

    Parameters
    ----------
    name : str
        Thread name, and prefix of its errors.
    work : callable
        Called with the stop event; returns when done or soon (<= 100 ms) after the event is set.
    outputs : sequence of Channel
        Closed when the work ends.
    after : Stage, optional
        Waited for before the work begins: whoever used the same devices.
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
        self._work = work
        self._after = after
        self._outputs = [output for output in outputs if isinstance(output, Channel)]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def request_stop(self) -> None:
        """Ask the work to end; returns at once."""
        self._stop.set()

    @property
    def running(self) -> bool:
        """True while the thread is alive."""
        return self._thread.is_alive()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for the thread; True when it ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            if self._after is not None:
                self._after.join()
            self._work(self._stop)
        except BaseException as error:  # noqa: BLE001 - a stage's error belongs to whoever consumes or joins it
            self.error = error
        finally:
            for output in self._outputs:
                output.close(self.error)


class RateMeter:
    """Events per second over a sliding window; thread-safe for one writer and many readers."""

    def __init__(self, window_s: float = 2.0) -> None:
        self._window_s = window_s
        self._times: deque[float] = deque(maxlen=4096)

    def tick(self) -> None:
        """Count one event now."""
        self._times.append(time.monotonic())

    def per_second(self) -> float:
        """Events per second within the window; 0 when fewer than two."""
        now = time.monotonic()
        recent = [t for t in list(self._times) if now - t <= self._window_s]
        return (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 and recent[-1] > recent[0] else 0.0
