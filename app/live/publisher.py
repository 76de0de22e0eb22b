"""Handing every item of a stage to those who subscribed, in the stage's own thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Publisher(Generic[T]):
    """The output of a stage that several others may take from.

    Any thread may subscribe and unsubscribe at any time. Subscribers are called one after another in the thread that
    publishes, so they must return quickly and must not raise; what needs time puts the item into a channel.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Replaced as a whole, never changed: `publish` needs no lock.
        self._subscribers: tuple[Callable[[T], None], ...] = ()

    def subscribe(self, subscriber: Callable[[T], None]) -> None:
        """Call ``subscriber`` with every item that is published from now on."""
        with self._lock:
            self._subscribers = (*self._subscribers, subscriber)

    def unsubscribe(self, subscriber: Callable[[T], None]) -> None:
        """Do not call ``subscriber`` any more; one that is not subscribed is ignored."""
        with self._lock:
            self._subscribers = tuple(other for other in self._subscribers if other != subscriber)

    def publish(self, item: T) -> None:
        """Hand ``item`` to all subscribers."""
        for subscriber in self._subscribers:
            subscriber(item)
