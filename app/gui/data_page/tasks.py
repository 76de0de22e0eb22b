"""Work that may take long, such as on a slow disk: done in a thread, one after the other; its end is told when a page polls."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from drivers.base import SpeckleScopeError

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class _Task:
    future: Future[Any]
    then: Callable[[Any], object]
    failed: Callable[[SpeckleScopeError], object]


class Tasks:
    """Work in one thread. Its owner polls; then the outcome of each task is told, in the owner's thread.

    Parameters
    ----------
    name : str
        Name of the thread.
    """

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, name)
        self._waiting: deque[_Task] = deque()

    @property
    def busy(self) -> bool:
        """Whether the outcome of a task is not told yet."""
        return bool(self._waiting)

    def do(
        self,
        work: Callable[[], _Result],
        then: Callable[[_Result], object],
        failed: Callable[[SpeckleScopeError], object],
    ) -> None:
        """Do some work after what was asked for before; returns at once.

        Parameters
        ----------
        work : callable
            The work.
        then : callable
            Called with its result.
        failed : callable
            Called with the error that explains why there is none. Any other error is raised by :meth:`poll`.
        """
        self._waiting.append(_Task(self._pool.submit(work), then, failed))

    def poll(self) -> None:
        """Tell the outcomes of the tasks that have ended, in their order."""
        while self._waiting and self._waiting[0].future.done():
            task = self._waiting.popleft()
            try:
                tell = partial(task.then, task.future.result())
            except SpeckleScopeError as error:
                tell = partial(task.failed, error)
            tell()
