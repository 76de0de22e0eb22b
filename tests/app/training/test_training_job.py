"""The work of a training job: it watches the process to its end, stops it, and the queue has the outcome."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from app.instrument.config import save_config
from app.training.compile_job import CompileFailedError, CompileJob
from app.training.compiled_engines import EngineState
from app.training.model_comparison import ComparisonOrder, compare_models
from app.training.model_list import listed_models
from app.training.process import TrainingOrder
from app.training.time_left import Stage, TrainingProgress
from app.training.training_job import TrainingFailedError, TrainingJob
from app.training.training_queue import QueueState, TrainingQueue
from app.training.verdict import Verdict
from reconstruction.training.checkpoint import CHECKPOINT
from reconstruction.training.run import RESOLVED, RUN
from tests.helpers.small_instrument import small_instrument, until

#: Stands for the command: says how far it is, and works until it is asked to stop.
PATIENT = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit("specklescope: interrupted; the run is kept"))
print(*sys.argv[1:], file=sys.stderr)
print("simulating pairs: 30 of 100", file=sys.stderr, flush=True)
while True: signal.pause()
"""
FAILING = "import sys; sys.exit('specklescope: the disk is full; free space')"


def runs(program: str) -> tuple[str, ...]:
    return (sys.executable, "-c", program)


@pytest.fixture
def queue(tmp_path: Path) -> TrainingQueue:
    queue = TrainingQueue(tmp_path / "q.json")
    queue.add(TrainingOrder(folder=tmp_path / "m", pairs=100))
    return queue


def job_of(queue: TrainingQueue, tmp_path: Path, program: str) -> TrainingJob:
    return TrainingJob(queue, queue.begin(tmp_path / "m"), runs(program))


def nothing(done: int, total: int) -> None:
    """A report that nobody reads."""


def test_a_training_that_ends_by_itself_is_finished(queue: TrainingQueue, tmp_path: Path) -> None:
    job_of(queue, tmp_path, "pass")(nothing, threading.Event())
    assert queue.trainings[0].state is QueueState.FINISHED
    assert TrainingQueue(tmp_path / "q.json").trainings[0].state is QueueState.FINISHED


def test_the_reason_of_a_failure_is_kept_in_the_queue(queue: TrainingQueue, tmp_path: Path) -> None:
    with pytest.raises(TrainingFailedError, match="m was not trained: the disk is full; free space"):
        job_of(queue, tmp_path, FAILING)(nothing, threading.Event())
    failed = TrainingQueue(tmp_path / "q.json").trainings[0]
    assert (failed.state, failed.note) == (QueueState.FAILED, "the disk is full; free space")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM is a POSIX signal")
def test_it_is_watched_and_stopped_with_a_checkpoint(queue: TrainingQueue, tmp_path: Path) -> None:
    job, stop, reports = job_of(queue, tmp_path, PATIENT), threading.Event(), []
    thread = threading.Thread(target=job, args=(lambda done, total: reports.append((done, total)), stop))
    thread.start()
    until(lambda: job.progress.stage is Stage.SIMULATING)
    assert (job.progress.done, job.progress.total) == (30, 100)
    assert job.progress.seconds_left > 60
    (tmp_path / "m" / RUN).mkdir(parents=True)
    (tmp_path / "m" / RUN / CHECKPOINT).write_bytes(b"")
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    assert job.stopped
    assert reports[-1][1] == 1000
    stopped = queue.trainings[0]
    assert (stopped.state, stopped.note) == (QueueState.STOPPED, "Stopped. Resume continues from its checkpoint")


def test_a_run_with_a_checkpoint_is_continued(queue: TrainingQueue, tmp_path: Path) -> None:
    run = tmp_path / "m" / RUN
    run.mkdir(parents=True)
    (run / CHECKPOINT).write_bytes(b"")
    (run / RESOLVED).write_text(f"environment:\n  command: specklescope train {tmp_path}/m --pairs 99\n")
    program = f"import sys; print(*sys.argv[1:], file=open({str(tmp_path / 'commands')!r}, 'a'))"
    job_of(queue, tmp_path, program)(nothing, threading.Event())
    commands = (tmp_path / "commands").read_text().splitlines()
    assert commands == [f"train {tmp_path}/m --pairs 99 --resume", f"compile {tmp_path}/m --here"]


def test_a_model_that_cannot_be_compiled_is_trained_all_the_same(queue: TrainingQueue, tmp_path: Path) -> None:
    program = "import sys; sys.exit('specklescope: every engine was refused' if sys.argv[1] == 'compile' else 0)"
    job_of(queue, tmp_path, program)(nothing, threading.Event())
    trained = queue.trainings[0]
    assert trained.state is QueueState.FINISHED
    assert trained.note == "It was not compiled: m was not compiled: every engine was refused"


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM is a POSIX signal")
def test_a_compilation_says_how_far_it_is_and_can_be_stopped(tmp_path: Path) -> None:
    stop, reports = threading.Event(), []

    def report(done: int, total: int) -> None:
        reports.append((done, total))
        stop.set()

    job = CompileJob(model="default-twin", config=tmp_path / "i.yaml", program=runs(PATIENT))
    assert job.arguments() == ["compile", "default-twin", "--here", "--config", str(tmp_path / "i.yaml")]
    job(report, stop)
    assert reports == [(30, 100)]


def test_a_compilation_that_fails_says_why() -> None:
    with pytest.raises(CompileFailedError, match="default-twin was not compiled: the disk is full"):
        CompileJob(model="default-twin", program=runs(FAILING))(nothing, threading.Event())


@pytest.mark.slow
def test_a_model_is_trained_compiled_and_judged_by_the_real_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECKLESCOPE_CACHE", str(tmp_path / "cache"))
    config = small_instrument(tmp_path)
    save_config(config, tmp_path / "i.yaml")
    order = TrainingOrder(
        folder=tmp_path / "m", minutes=0.1, start=config.model, source="cells", pairs=16, config=tmp_path / "i.yaml"
    )
    queue = TrainingQueue(tmp_path / "q.json")
    queue.add(order)
    job = TrainingJob(queue, queue.begin(order.folder))
    progress: list[TrainingProgress] = []
    job(lambda done, total: progress.append(job.progress), threading.Event())
    assert (queue.trainings[0].state, queue.trainings[0].note) == (QueueState.FINISHED, "")
    stages = list(dict.fromkeys(one.stage for one in progress))
    assert stages[0] is Stage.STARTING
    assert {Stage.TRAINING, Stage.COMPILING} <= set(stages)
    model = listed_models([order.folder])[-1]
    assert model.compilation is not None
    assert model.compilation.fastest is not None
    assert not any(row.state is EngineState.BUILT for row in model.compilation.rows)  # for another computer
    comparison = compare_models(
        ComparisonOrder(new=model.reference, present=config.model, config=config), nothing, threading.Event()
    )
    assert comparison.present_name == "small-model"
    assert comparison.judgement.verdict is Verdict.LEARNED_NOTHING  # six seconds are not enough
