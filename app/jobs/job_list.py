"""Jobs in the background: started, shown with their progress, stopped; two that need the same thing do not run together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from acquisition.streams.channel import Stage
from app.status import JobState, JobStatus
from drivers.base import SpeckleScopeError

#: Called with how many steps are done, and how many there are.
Progress = Callable[[int, int], None]
#: The work of a job: it reports its progress, and ends soon when the event is set.
Work = Callable[[Progress, threading.Event], None]
#: What stopping means for a job that goes on where it stopped, and for one of which nothing is kept.
GOES_ON = "Nothing that it has written is lost, and it goes on where it stopped."
BEGINS_AGAIN = "Nothing of it is kept: it has to be started again."
#: The most finished jobs that are kept.
_MOST_FINISHED = 100


class Need(StrEnum):
    """What only one job at a time can use."""

    #: Camera and SLM: acquisitions, calibrations, tests of the devices.
    DEVICES = "the camera and the SLM"
    #: The processor or the graphics card for a long time: trainings, compilations.
    COMPUTER = "most of the processor"


class JobConflictError(SpeckleScopeError):
    """Another job uses what this one needs."""


@dataclass(frozen=True, kw_only=True)
class JobOrder:
    """What a job shall do.

    Parameters
    ----------
    name : str
        What it does, for people: ``Export liver``.
    work : callable
        The work; it is called with a function for its progress and with the event that asks it to stop.
    needs : frozenset of Need
        What no other job may use meanwhile.
    folders : frozenset of Path
        Folders that no other job may use meanwhile, such as the recording that is exported.
    resumable : bool
        Whether it can go on, or be done again, at another time. A window that closes stops it; for any other job it waits.
    if_stopped : str
        What becomes of it when it is stopped, in a sentence: the operator decides by it.
    """

    name: str
    work: Work
    needs: frozenset[Need] = frozenset()
    folders: frozenset[Path] = frozenset()
    resumable: bool = False
    if_stopped: str = GOES_ON


@dataclass
class Job:
    """A job that was started.

    Attributes
    ----------
    order : JobOrder
        What it does.
    stage : Stage
        Its thread; an error of the job is the error of this stage.
    """

    order: JobOrder
    stage: Stage = field(init=False)
    _started_s: float = field(default_factory=time.monotonic)
    _steps: tuple[int, int] = (0, 0)  # replaced as a whole
    _ended_s: float | None = None
    _stopped: bool = False

    def __post_init__(self) -> None:
        self.stage = Stage(self.order.name, self._run)

    def _run(self, stop: threading.Event) -> None:
        self.order.work(self._report, stop)

    def _report(self, done: int, total: int) -> None:
        self._steps = (done, total)

    @property
    def running(self) -> bool:
        """Whether it is running."""
        return self.stage.running

    def stop(self) -> None:
        """Ask it to end; returns at once. What it has written so far is handled as its work says."""
        self._stopped = True
        self.stage.request_stop()

    def status(self) -> JobStatus:
        """Return what it is doing."""
        if self._ended_s is None and not self.stage.running:
            self._ended_s = time.monotonic()
        done, total = self._steps
        end_s = time.monotonic() if self._ended_s is None else self._ended_s
        return JobStatus(
            name=self.order.name, state=self._state(), done=done, total=total, seconds=float(int(end_s - self._started_s))
        )

    def _state(self) -> JobState:
        if self.stage.running:
            return JobState.RUNNING
        if self.stage.error is not None:
            return JobState.FAILED
        return JobState.STOPPED if self._stopped else JobState.FINISHED


class JobList:
    """The jobs of one window or of one session, oldest first. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: tuple[Job, ...] = ()  # replaced as a whole

    def start(self, order: JobOrder) -> Job:
        """Start a job in a thread of its own.

        Raises
        ------
        JobConflictError
            Another job uses what this one needs; nothing is started.
        """
        with self._lock:
            conflict = self.conflict(order.needs, order.folders)
            if conflict:
                raise JobConflictError(f"{order.name} was not started: {conflict}")
            job = Job(order)
            kept = [*self._jobs, job]
            ended = [one for one in kept if one is not job and not one.running]
            forgotten = set(map(id, ended[: max(0, len(ended) - _MOST_FINISHED)]))
            self._jobs = tuple(one for one in kept if id(one) not in forgotten)
            job.stage.start()
        return job

    def conflict(self, needs: frozenset[Need] = frozenset(), folders: frozenset[Path] = frozenset()) -> str:
        """Return why a job with these needs cannot be started now, as a sentence; empty when it can."""
        for job in self.running:
            shared = sorted(needs & job.order.needs)
            if shared:
                return f"{job.order.name} is running and uses {' and '.join(shared)}; wait for its end, or stop it"
            for folder in sorted(folders & job.order.folders):
                return f"{job.order.name} is running and uses {folder.name}; wait for its end, or stop it"
        return ""

    def free(self, needs: frozenset[Need], timeout_s: float = 20.0) -> None:
        """Ask every job to end that uses one of these and can go on at another time, and wait for it.

        Raises
        ------
        JobConflictError
            Another job still uses one of them.
        """
        users = [job for job in self.running if needs & job.order.needs and job.order.resumable]
        for job in users:
            job.stop()
        for job in users:
            job.stage.join(timeout_s)
        conflict = self.conflict(needs)
        if conflict:
            raise JobConflictError(conflict)

    @property
    def running(self) -> tuple[Job, ...]:
        """The jobs that are running."""
        return tuple(job for job in self._jobs if job.running)

    def stop_resumable(self) -> None:
        """Ask every job to end that can go on at another time; returns at once."""
        for job in self.running:
            if job.order.resumable:
                job.stop()

    def statuses(self) -> tuple[JobStatus, ...]:
        """Return what every job is doing."""
        return tuple(job.status() for job in self._jobs)
