"""An archive's writer in its own thread, so that the next pattern does not wait while a shard is sealed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from acquisition.archive.kinds import EventKind
from acquisition.archive.shards import Image
from acquisition.archive.writer import ArchiveWriter, PairRow

#: Pairs that may wait for the disk. When more come, the capture waits; no pair is dropped.
_WAITING = 64


class BackgroundWriter:
    """Stores pairs and events in the order in which they are given, without letting the caller wait for the disk.

    An error of the disk is raised by the next call of any method. Nothing is acknowledged after it.

    Parameters
    ----------
    writer : ArchiveWriter
        Must not be used by others until :meth:`close`, which leaves it open.
    """

    def __init__(self, writer: ArchiveWriter) -> None:
        self._writer = writer
        self._jobs: queue.Queue[Callable[[], object] | None] = queue.Queue(_WAITING)
        self._error: BaseException | None = None
        self._next = writer.next_index
        self._thread = threading.Thread(target=self._work, name="store pairs", daemon=True)
        self._thread.start()

    @property
    def path(self) -> Path:
        """The archive's folder."""
        return self._writer.path

    @property
    def next_index(self) -> int:
        """Index that the next appended pair will get."""
        return self._next

    @property
    def acknowledged(self) -> int:
        """Pairs that are safe on disk now."""
        return self._writer.acknowledged

    def append(self, images: Mapping[str, Image], row: PairRow) -> None:
        """Queue one pair; the caller must not change the images afterwards."""
        self._raise()
        self._jobs.put(lambda: self._writer.append(images, row))
        self._next += 1

    def event(self, kind: EventKind | str, text: str) -> None:
        """Queue an event."""
        self._raise()
        self._jobs.put(lambda: self._writer.event(kind, text))

    def flush(self) -> None:
        """Wait until everything queued is acknowledged."""
        self._wait(self._writer.flush)

    def quarantine(self, index: int, reason: str) -> int:
        """Acknowledge everything queued, then withdraw the pairs from ``index`` on; return how many pairs these are."""
        count: list[int] = []

        def withdraw() -> None:
            self._writer.flush()
            count.append(self._writer.quarantine(min(index, self._writer.next_index), reason))

        self._wait(withdraw)
        self._next = self._writer.next_index
        return count[0]

    def close(self) -> None:
        """Store everything queued and end the thread; may be called twice, and raises nothing."""
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()

    def _wait(self, action: Callable[[], object]) -> None:
        done = threading.Event()

        def work() -> None:
            try:
                action()
            finally:
                done.set()

        self._raise()
        self._jobs.put(work)
        while not done.wait(0.1) and self._error is None:
            pass
        self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if self._error is None:
                try:
                    job()
                except BaseException as error:  # noqa: BLE001 - raised by the next call of the caller
                    self._error = error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
