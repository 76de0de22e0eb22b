"""A disk that stalls: from a moment on, the system call that waits for it does not return, until the disk goes on."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock


class Stall:
    """A stall of the disk; any thread may use it."""

    def __init__(self) -> None:
        self._goes_on = threading.Event()
        self._goes_on.set()
        self._reached = threading.Event()

    def begin(self) -> None:
        """Let every sync wait from now on."""
        self._reached.clear()
        self._goes_on.clear()

    def end(self) -> None:
        """Let the disk go on."""
        self._goes_on.set()

    def wait_until_reached(self, timeout_s: float) -> bool:
        """Wait until a sync waits for the disk; return whether one does."""
        return self._reached.wait(timeout_s)

    def pass_through(self) -> None:
        """Wait for the end of the stall, if there is one."""
        if not self._goes_on.is_set():
            self._reached.set()
            self._goes_on.wait()


@contextmanager
def stalling_disk() -> Iterator[Stall]:
    """Yield the stall of every disk that this process syncs to; at the end of the block the disk goes on.

    SQLite and TensorStore sync in C and do not stall; a shard of camera frames does.
    """
    stall, sync = Stall(), os.fsync

    def fsync(file: int) -> None:
        stall.pass_through()
        sync(file)

    with mock.patch.object(os, "fsync", fsync):
        try:
            yield stall
        finally:
            stall.end()
