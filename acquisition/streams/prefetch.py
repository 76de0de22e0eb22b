"""Items computed ahead of their use, in a thread of its own, so that the SLM never waits for a hologram."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Generic, Self, TypeVar

from acquisition.streams.channel import Channel, ChannelClosedError, Overflow, Stage
from drivers.base import SpeckleScopeError

T = TypeVar("T")


class PrefetchStuckError(SpeckleScopeError):
    """An item takes so long to compute that its thread had to be left behind."""


class Prefetcher(Generic[T]):
    """An iterator over ``make(number)`` for each number, in order, computed before it is asked for.

    To be used as a context manager: the thread starts on entering and has ended on leaving.

    Parameters
    ----------
    make : callable
        ``number -> item``; called in the thread, never twice at once.
    numbers : iterable of int
        Endless ones are welcome; read in the thread.
    depth : int
        Items at most that are computed, or being computed, and not yet taken.
    stop_s : float
        Time that the item in work is given to end when the iterator is closed, in seconds.

    Raises
    ------
    ValueError
        ``depth`` is below 1.

    Notes
    -----
    An error of ``make`` or ``numbers`` is raised where the failing item would have come, after those before it.
    """

    def __init__(self, make: Callable[[int], T], numbers: Iterable[int], depth: int = 4, *, stop_s: float = 10.0) -> None:
        self._make = make
        self._numbers = numbers
        self._stop_s = stop_s
        self._channel: Channel[T] = Channel("ahead", depth, Overflow.WAIT)
        # The channel alone would let one more be computed while it is full.
        self._room = threading.Semaphore(depth)
        self._stage = Stage("ahead", self._work, [self._channel])
        self._closed = False

    def _work(self, stop: threading.Event) -> None:
        for number in self._numbers:
            self._room.acquire()
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
        """End the thread and forget what it computed; may be called twice, and from any thread.

        Raises
        ------
        PrefetchStuckError
            The item in work did not end within ``stop_s``; its thread ends with it.
        """
        self._closed = True
        self._stage.request_stop()
        self._room.release()
        self._channel.close()
        if not self._stage.join(self._stop_s):
            raise PrefetchStuckError(
                f"an item computed ahead did not end within {self._stop_s:g} s; make it smaller or wait longer"
            )

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        if not (self._closed or self._stage.running or self._channel.closed):
            raise RuntimeError("computing ahead starts on entering: use `with Prefetcher(...) as items`")
        try:
            item = self._channel.get()
        except ChannelClosedError:
            if self._stage.error is not None and not self._closed:
                raise self._stage.error from None  # also where `make` itself met a closed channel
            raise StopIteration from None
        if self._closed:
            raise StopIteration
        self._room.release()
        return item
