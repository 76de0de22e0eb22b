"""Trainings of the experiment in processes of their own, each on one core, with a low priority."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.benchmarks.papers.plan import PaperModel
from app.benchmarks.papers.trainings import PapersFolder
from app.instrument.kinds import InstrumentName
from app.progress import Report
from app.training.process import TrainingProcess
from drivers.base import SpeckleScopeError

_POLL_S = 1.0
#: How long a process may take to write its checkpoint after it was asked to stop, in seconds.
_STOP_S = 120.0


def train_missing(
    instrument: InstrumentName, folder: PapersFolder, models: Sequence[PaperModel], processes: int, report: Report
) -> None:
    """Train all models that are not trained yet; a signal stops the trainings with a checkpoint.

    Parameters
    ----------
    instrument : InstrumentName
        The small fibre.
    folder : PapersFolder
        Where pairs, stages and models are; the pairs have to be there.
    models : sequence of PaperModel
        In the order of their training: a model comes after that which it is fine-tuned from.
    processes : int
        Number of trainings at once.
    report : Report
        Called with the progress.

    Raises
    ------
    SpeckleScopeError
        A training failed.
    """
    waiting = [model for model in models if not folder.is_trained(model)]
    total, done = len(models), len(models) - len(waiting)
    with _processes() as running:
        while waiting or running:
            for model in _next(waiting, running, models)[: processes - len(running)]:
                waiting.remove(model)
                running[model.name] = TrainingProcess(_arguments(instrument, folder.path.parent, model))
            for name, process in list(running.items()):
                report("training models", done, total, f"{name}: {process.last_line()}")
                if not process.running:
                    if process.exit_code:
                        raise SpeckleScopeError(f"the training of {name} failed: {process.last_line()}")
                    process.close()
                    del running[name]
                    done += 1
            time.sleep(_POLL_S)
    report("training models", done, total)


def _next(
    waiting: Sequence[PaperModel], running: Mapping[str, TrainingProcess], models: Sequence[PaperModel]
) -> list[PaperModel]:
    """Return the models whose base is trained."""
    finished = {model.name for model in models if model not in waiting and model.name not in running}
    return [model for model in waiting if not model.base or model.base in finished]


def _arguments(instrument: InstrumentName, root: Path, model: PaperModel) -> list[str]:
    return ["bench", "papers", "--train", model.name, "--instrument", instrument.value, "--folder", str(root)]


@contextmanager
def _processes() -> Iterator[dict[str, TrainingProcess]]:
    """Yield a place for processes; those that are still in it at the end are stopped."""
    running: dict[str, TrainingProcess] = {}
    try:
        yield running
    finally:
        for process in running.values():  # all are asked before the first is waited for
            process.stop()
        for process in running.values():
            process.close(_STOP_S)
