"""Jobs in the background of a session, such as exports: started, shown with their progress, and waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from acquisition.streams.channel import Stage
from app.status import JobState, JobStatus

#: Called with how many steps are done, and how many there are.
Progress = Callable[[int, int], None]
#: The work of a job: it reports its progress, and ends soon when the event is set.
Work = Callable[[Progress, threading.Event], None]
#: The most finished jobs that are kept.
_MOST_FINISHED = 100


@dataclass
class _Job:
    name: str
    stage: Stage
    started_s: float
    steps: tuple[int, int] = (0, 0)  # replaced as a whole
    ended_s: float | None = None

    def status(self) -> JobStatus:
        if self.ended_s is None and not self.stage.running:
            self.ended_s = time.monotonic()
        done, total = self.steps
        end_s = time.monotonic() if self.ended_s is None else self.ended_s
        return JobStatus(
            name=self.name, state=self._state(), done=done, total=total, seconds=float(int(end_s - self.started_s))
        )

    def _state(self) -> JobState:
        if self.stage.running:
            return JobState.RUNNING
        if self.stage.error is not None:
            return JobState.FAILED
        return JobState.FINISHED


class Jobs:
    """The jobs of one session, oldest first."""

    def __init__(self) -> None:
        self._jobs: list[_Job] = []

    def start(self, name: str, work: Work) -> Stage:
        """Start a job in a thread of its own.

        Parameters
        ----------
        name : str
            What it does, for people: ``Export liver``.
        work : callable
            The work; it is called with a function for its progress and with the event that asks it to stop.

        Returns
        -------
        Stage
            Its thread; an error of the job is the error of this stage.
        """

        def run(stop: threading.Event) -> None:
            work(report, stop)

        def report(done: int, total: int) -> None:
            job.steps = (done, total)

        job = _Job(name, Stage(name, run), time.monotonic())
        self._jobs = [*self._jobs[-_MOST_FINISHED:], job]
        job.stage.start()
        return job.stage

    def statuses(self) -> tuple[JobStatus, ...]:
        """Return what every job is doing."""
        return tuple(job.status() for job in self._jobs)
