"""A job that finds something: who has started it fetches the result when it has ended."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from app.jobs.job_list import Job, JobList, JobOrder, Progress
from app.jobs.latest_work import Outcome, outcome_of
from app.status import JobStatus
from drivers.base import SpeckleScopeError

T = TypeVar("T")


class JobStoppedError(SpeckleScopeError):
    """The work was asked to stop, and has undone what it began."""


@dataclass(frozen=True)
class ResultJob(Generic[T]):
    """A job that was started by :meth:`start`."""

    _job: Job
    _results: list[T]

    @classmethod
    def start(
        cls, jobs: JobList, name: str, work: Callable[[Progress, threading.Event], T], folders: frozenset[Path] = frozenset()
    ) -> ResultJob[T]:
        """Start a job.

        Parameters
        ----------
        jobs : JobList
            Where it is listed.
        name : str
            What it does, for people.
        work : callable
            Takes a function for its progress and the event that asks it to stop; returns what it has found. It raises
            JobStoppedError when it was stopped.
        folders : frozenset of Path
            Folders that no other job may use meanwhile.

        Raises
        ------
        JobConflictError
            Another job uses what this one needs; nothing is started.
        """
        results: list[T] = []

        def run(progress: Progress, stop: threading.Event) -> None:
            try:
                results.append(work(progress, stop))
            except JobStoppedError:
                if not stop.is_set():
                    raise

        return cls(jobs.start(JobOrder(name=name, work=run, folders=folders)), results)

    @property
    def running(self) -> bool:
        """Whether it is running."""
        return self._job.running

    def status(self) -> JobStatus:
        """Return what it is doing."""
        return self._job.status()

    def stop(self) -> None:
        """Ask it to end; returns at once."""
        self._job.stop()

    def outcome(self) -> Outcome[T]:
        """Return what it has found when it has ended; neither a value nor a problem where it was stopped."""
        return outcome_of(self._job.stage.error, self._results)
