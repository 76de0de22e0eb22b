"""Reads frames in a thread, those that will be wanted next before they are; keeps what was read as far as memory allows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

from acquisition.streams.channel import Stage


class Kept(Protocol):
    """What is read for a frame."""

    @property
    def nbytes(self) -> int:
        """Its size in memory, in bytes."""

    @property
    def is_whole(self) -> bool:
        """Whether all of it could be read."""


K = TypeVar("K", bound=Kept)
#: Name of the thread of a reader.
READER: Final = "player"


class FrameReader(Generic[K]):
    """Reads what is wanted, the first of it first; any thread may call its methods.

    Parameters
    ----------
    wake : callable
        Called in the thread of the reader whenever something was read.
    most_bytes : int
        Frames are kept up to this size together; the wanted ones always.
    """

    def __init__(self, wake: Callable[[], None], most_bytes: int = 256 << 20) -> None:
        self._wake = wake
        self._most_bytes = most_bytes
        self._condition = threading.Condition()
        self._load: Callable[[int], K] | None = None
        self._wanted: tuple[int, ...] = ()
        self._kept: dict[int, K] = {}  # the one that was used last is at the end
        self._bytes = 0
        self.stage = Stage(READER, self._work)
        self.stage.start()

    def use(self, load: Callable[[int], K] | None, *, keep: bool = False) -> None:
        """Read with another function from now on; with ``keep``, frames that were read as a whole stay."""
        with self._condition:
            self._load = load
            self._wanted = ()
            for position in [position for position, frame in self._kept.items() if not (keep and frame.is_whole)]:
                self._forget(position)

    def forget_broken(self) -> None:
        """Read frames again that could not be read as a whole, when they are wanted: a disk may be back."""
        with self._condition:
            for position in [position for position, frame in self._kept.items() if not frame.is_whole]:
                self._forget(position)

    def want(self, positions: Sequence[int]) -> None:
        """Read these frames, in this order, and nothing else that waits."""
        with self._condition:
            self._wanted = tuple(positions)
            self._condition.notify_all()

    def get(self, position: int) -> K | None:
        """Return a frame; None until it is read."""
        with self._condition:
            frame = self._kept.pop(position, None)
            if frame is not None:
                self._kept[position] = frame
            return frame

    def newest(self, after: int, until: int) -> K | None:
        """Return the last frame that is read among those after one and up to another; None where there is none."""
        with self._condition:
            between = [position for position in self._kept if after < position <= until]
            return self._kept[max(between)] if between else None

    def close(self) -> None:
        """Read nothing any more; a frame that is being read is finished in the thread."""
        self.stage.request_stop()
        with self._condition:
            self._load = None
            self._wanted = ()
            self._condition.notify_all()

    def _work(self, stop: threading.Event) -> None:
        while not stop.is_set():
            with self._condition:
                load, position = self._load, self._next()
                if load is None or position is None:
                    self._condition.wait()
                    continue
            frame = load(position)
            with self._condition:
                if load is not self._load:  # of something that is not played any more
                    continue
                self._keep(position, frame)
            self._wake()

    def _next(self) -> int | None:
        return next((position for position in self._wanted if position not in self._kept), None)

    def _keep(self, position: int, frame: K) -> None:
        self._kept[position] = frame
        self._bytes += frame.nbytes
        others = [other for other in self._kept if other not in self._wanted]
        while self._bytes > self._most_bytes and others:
            self._forget(others.pop(0))

    def _forget(self, position: int) -> None:
        self._bytes -= self._kept.pop(position).nbytes
