"""Jobs that run in several threads, and whose results come in the order in which the jobs came."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class OrderedJobs(Generic[T]):
    """Runs jobs; one thread at a time may call it.

    Parameters
    ----------
    threads : int
        Jobs that run at a time; with 0 a job runs where it is added.
    """

    def __init__(self, threads: int = 0) -> None:
        self._threads = ThreadPoolExecutor(threads, "shards") if threads else None
        self._jobs: deque[Future[T]] = deque()

    @property
    def unfinished(self) -> int:
        """Number of jobs that still run or wait."""
        return sum(not job.done() for job in self._jobs)

    def add(self, job: Callable[[], T]) -> None:
        """Run a job; its error is raised when its result is taken."""
        if self._threads is not None:
            self._jobs.append(self._threads.submit(job))
            return
        done: Future[T] = Future()
        self._jobs.append(done)
        try:
            done.set_result(job())
        except Exception as error:  # noqa: BLE001 - raised when the result is taken
            done.set_exception(error)

    def results(self, most_left: int) -> Iterator[T]:
        """Yield the results of the oldest jobs that have ended; wait until at most so many jobs are left.

        Raises
        ------
        Exception
            The error of a job, after the results of the jobs before it.
        """
        while self._jobs and (len(self._jobs) > most_left or self._jobs[0].done()):
            yield self._jobs.popleft().result()

    def close(self) -> None:
        """Wait for the jobs that run; those that wait are not begun."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
