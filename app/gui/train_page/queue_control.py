"""Starts the trainings of the queue, one after another, as jobs."""

from __future__ import annotations

from collections.abc import Sequence

from app.jobs.job_list import Job, JobConflictError, JobList, JobOrder, Need
from app.training.process import PROGRAM
from app.training.time_left import TrainingProgress
from app.training.training_job import TrainingJob
from app.training.training_queue import QueuedTraining, QueueError, TrainingQueue

NEEDS = frozenset({Need.COMPUTER})


class QueueControl:
    """Runs the queue while it is not paused. A new one is paused: nothing begins unasked when the program starts.

    Parameters
    ----------
    queue : TrainingQueue
        The trainings.
    jobs : JobList
        Runs them.
    program : sequence of str
        The program that trains; see :class:`app.training.process.TrainingProcess`.
    """

    def __init__(self, queue: TrainingQueue, jobs: JobList, program: Sequence[str] = PROGRAM) -> None:
        self.paused = True
        self.obstacle = ""  # why the next training cannot begin yet, as a sentence
        self.program = program
        self._queue = queue
        self._jobs = jobs
        self._running: tuple[Job, TrainingJob] | None = None

    @property
    def training(self) -> QueuedTraining | None:
        """The training that this program runs now."""
        return self._running[1].training if self._running is not None and self._running[0].running else None

    @property
    def progress(self) -> TrainingProgress | None:
        """How far it is."""
        return self._running[1].progress if self.training is not None and self._running is not None else None

    def go_on(self) -> None:
        """Run the queue from now on."""
        self.paused = False
        self.look()

    def stop(self) -> None:
        """Stop the training that runs, which writes a checkpoint, and pause the queue; returns at once."""
        self.paused = True
        if self._running is not None:
            self._running[0].stop()

    def look(self) -> None:
        """Start the next training if it can begin; call it again and again."""
        if self._running is not None and not self._running[0].running:
            if self._running[1].stopped:  # by the drawer, or by the window that closes
                self.paused = True
            self._running = None
        waiting = self._queue.next_waiting
        self.obstacle = "" if waiting is None or self._running is not None else self._obstacle()
        if waiting is not None and self._running is None and not self.paused and not self.obstacle:
            self._start(waiting)

    def _obstacle(self) -> str:
        other = self._queue.running
        if other is not None:
            return (
                f"{other.name} is trained by another window, or by one that was closed; the next one begins when it has ended"
            )
        return self._jobs.conflict(NEEDS)

    def _start(self, waiting: QueuedTraining) -> None:
        try:
            begun = self._queue.begin(waiting.folder)
        except QueueError as error:  # another window was faster
            self.obstacle = str(error)
            return
        work = TrainingJob(self._queue, begun, self.program)
        order = JobOrder(name=f"Train {begun.name}", work=work, needs=NEEDS, folders=frozenset({begun.folder}), resumable=True)
        try:
            self._running = (self._jobs.start(order), work)
        except JobConflictError as error:
            self.obstacle = str(error)
            self._queue.give_back(begun.folder)
