"""Items computed ahead of their use in a separate thread, so that the SLM never waits for a hologram."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Generic, Self, TypeVar

from acquisition.streams.channel import Channel, ChannelClosedError, Overflow, Stage
from drivers.base import SpeckleScopeError

T = TypeVar("T")


class PrefetchStuckError(SpeckleScopeError):
    """The computation of an item did not end in time, so its thread is still running."""


class Prefetcher(Generic[T]):
    """An iterator over ``make(number)`` for each number, in order; items are computed before they are used.

    Use it as a context manager: the thread starts on entering, and has ended on leaving.

    Parameters
    ----------
    make : callable
        ``number -> item``; called in the thread, one call at a time.
    numbers : iterable of int
        Numbers of the items, possibly without end; read in the thread.
    depth : int
        Largest number of items that are computed, or being computed, and not yet used.
    stop_s : float
        How long :meth:`close` waits for the item that is being computed, in seconds.

    Raises
    ------
    ValueError
        ``depth`` is below 1.

    Notes
    -----
    An error of ``make`` or ``numbers`` is raised in place of the item that failed, after the items before it.
    """

    def __init__(self, make: Callable[[int], T], numbers: Iterable[int], depth: int = 4, *, stop_s: float = 10.0) -> None:
        self._make = make
        self._numbers = numbers
        self._stop_s = stop_s
        self._channel: Channel[T] = Channel("prefetch", depth, Overflow.WAIT)
        # While the channel is full, one more item could be computed. The semaphore prevents this.
        self._free = threading.Semaphore(depth)
        self._stage = Stage("prefetch", self._work, [self._channel])
        self._closed = False

    def _work(self, stop: threading.Event) -> None:
        for number in self._numbers:
            self._free.acquire()
            if stop.is_set():
                return
            item = self._make(number)
            try:
                self._channel.put(item)
            except ChannelClosedError:
                return

    def __enter__(self) -> Self:
        self._stage.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the thread and discard its items; may be called twice, and from any thread.

        Raises
        ------
        PrefetchStuckError
            The item that is being computed did not end within ``stop_s``. Its thread ends when the item is done.
        """
        self._closed = True
        self._stage.request_stop()
        self._free.release()
        self._channel.close()
        if not self._stage.join(self._stop_s):
            raise PrefetchStuckError(
                f"an item computed ahead did not end within {self._stop_s:g} s; make it smaller or wait longer"
            )

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        if not (self._closed or self._stage.running or self._channel.closed):
            raise RuntimeError("the thread has not started: use `with Prefetcher(...) as items`")
        try:
            item = self._channel.get()
        except ChannelClosedError:
            if self._stage.error is not None and not self._closed:
                raise self._stage.error from None  # `make` may have raised ChannelClosedError itself
            raise StopIteration from None
        if self._closed:
            raise StopIteration
        self._free.release()
        return item
