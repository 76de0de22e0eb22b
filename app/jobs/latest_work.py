"""Short work in a thread, of which only the newest result counts: a preview, a look into a folder."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from acquisition.streams.channel import Stage
from drivers.base import SpeckleScopeError

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Outcome(Generic[T]):
    """What a piece of work has found.

    Parameters
    ----------
    value : object, optional
        What it returned; None when it failed.
    problem : str
        Why it failed, for the operator; empty when it did not.
    """

    value: T | None
    problem: str = ""


def outcome_of(error: BaseException | None, results: list[T]) -> Outcome[T]:
    """Return the outcome of work that has ended with an error, or has found something."""
    if error is None:
        return Outcome(results[0] if results else None)
    return Outcome(None, str(error) if isinstance(error, SpeckleScopeError) else f"{type(error).__name__}: {error}")


class LatestWork(Generic[T]):
    """Works on what was asked last. One thread calls this, and polls.

    Parameters
    ----------
    name : str
        Name of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._stage: Stage | None = None
        self._results: list[T] = []
        self._next: Callable[[threading.Event], T] | None = None

    def ask(self, work: Callable[[threading.Event], T]) -> None:
        """Begin with a piece of work; an older one is asked to end, and its result is forgotten.

        Parameters
        ----------
        work : callable
            Called in a thread with the event that asks it to end.
        """
        self._next = work
        if self._stage is None:
            self._begin()
        else:
            self._stage.request_stop()

    @property
    def busy(self) -> bool:
        """Whether a result will come."""
        return self._stage is not None

    def poll(self) -> Outcome[T] | None:
        """Return the result of what was asked last, once; None while there is none."""
        stage = self._stage
        if stage is None or stage.running:
            return None
        self._stage = None
        if self._next is not None:
            self._begin()
            return None
        return outcome_of(stage.error, self._results)

    def forget(self) -> None:
        """Ask the work to end; no result will come of it."""
        self._next = None
        if self._stage is not None:
            self._stage.request_stop()
            self._stage = None

    def _begin(self) -> None:
        work, self._next = self._next, None
        assert work is not None
        results: list[T] = []

        def run(stop: threading.Event) -> None:
            results.append(work(stop))

        self._results = results
        self._stage = Stage(self._name, run)
        self._stage.start()
