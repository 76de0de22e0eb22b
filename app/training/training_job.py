"""The work of a job that trains a model and compiles it: it starts the processes, watches them, and notes how they end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from app.training.compile_job import CompileJob
from app.training.process import (
    PROGRAM,
    RunWatcher,
    TrainingProcess,
    TrainingState,
    can_resume,
    resume_arguments,
)
from app.training.time_left import TimeLeft, TrainingProgress
from app.training.training_queue import QueuedTraining, QueueState, TrainingQueue
from drivers.base import SpeckleScopeError

_LOOK_S: Final = 0.2
_PARTS: Final = 1000
#: How long a process may take to write its checkpoint when it is stopped, in seconds.
_STOP_S: Final = 60.0
_SILENT_END: Final = "the process ended without a message; check the free space of the disk and the memory"


class TrainingFailedError(SpeckleScopeError):
    """A training has ended without a model. The message is that of its process."""


class TrainingJob:
    """Trains one training of the queue; called in the thread of a job.

    Parameters
    ----------
    queue : TrainingQueue
        Notes how it ends.
    training : QueuedTraining
        What is trained; :meth:`TrainingQueue.begin` has marked it.
    program : sequence of str
        The program that trains; see :class:`app.training.process.TrainingProcess`.
    """

    def __init__(self, queue: TrainingQueue, training: QueuedTraining, program: Sequence[str] = PROGRAM) -> None:
        self.training = training
        self.stopped = False
        self._queue = queue
        self._program = program
        self._progress = TrainingProgress()  # replaced as a whole
        self._time_left = TimeLeft(training.order, time.monotonic())

    @property
    def progress(self) -> TrainingProgress:
        """How far it is."""
        return self._progress

    def __call__(self, report: Callable[[int, int], None], stop: threading.Event) -> None:
        """Train until the model is written.

        Raises
        ------
        TrainingFailedError
            No model was trained; the queue has the reason too.
        """
        folder = self.training.folder
        try:
            state, line = self._run(report, stop)
        except (SpeckleScopeError, OSError) as error:
            self._queue.end(folder, QueueState.FAILED, str(error))
            raise TrainingFailedError(f"{self.training.name}: {error}") from error
        if state is TrainingState.FINISHED:
            self._queue.end(folder, QueueState.FINISHED, self._compile(report, stop))
        elif state is TrainingState.STOPPED:
            self.stopped = True
            way = "Resume continues from its checkpoint" if can_resume(folder) else "Resume starts it again"
            self._queue.end(folder, QueueState.STOPPED, f"Stopped. {way}")
        else:
            self._queue.end(folder, QueueState.FAILED, line or _SILENT_END)
            raise TrainingFailedError(f"{self.training.name} was not trained: {line or _SILENT_END}")

    def _run(self, report: Callable[[int, int], None], stop: threading.Event) -> tuple[TrainingState, str]:
        """Run the process to its end; return how it has ended, and its last line."""
        order = self.training.order
        arguments = resume_arguments(order.folder) if can_resume(order.folder) else order.arguments()
        watcher = RunWatcher(order.folder)
        watcher.poll()
        self._time_left = TimeLeft(order, time.monotonic(), watcher.curve.seconds)
        process = TrainingProcess(arguments, self._program)
        try:
            while process.running and not stop.wait(_LOOK_S):
                watcher.poll()
                self._progress = self._time_left.update(time.monotonic(), process.last_line(), watcher.curve.seconds)
                report(int(_PARTS * self._progress.fraction), _PARTS)
            process.stop()
            process.wait(_STOP_S)
            line = process.last_line()
            process.close(0.0)
            return process.state, line
        finally:
            process.close(0.0)

    def _compile(self, report: Callable[[int, int], None], stop: threading.Event) -> str:
        """Compile the new model, so that the live view begins at once with it; return what to say if it was not compiled."""
        order = self.training.order

        def progress(done: int, total: int) -> None:
            self._progress = self._time_left.compiling(time.monotonic(), done, total)
            report(int(_PARTS * self._progress.fraction), _PARTS)

        progress(0, 0)
        job = CompileJob(
            model=str(order.folder),
            config=order.config,
            response=order.response,
            dataset=order.dataset,
            program=self._program,
        )
        try:
            job(progress, stop)
        except (SpeckleScopeError, OSError) as error:
            return f"It was not compiled: {error}"
        self.stopped = stop.is_set()
        return "It is not compiled yet" if self.stopped else ""
