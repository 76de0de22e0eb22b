"""The queue of trainings: kept in a file, shared by windows, and what it does with trainings whose program was killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from acquisition.archive.folder import WriterLock
from app.training.process import TrainingOrder, stop_run
from app.training.training_queue import QueueError, QueueState, TrainingQueue, check_folder
from drivers.base import SpeckleScopeError
from reconstruction.training.checkpoint import CHECKPOINT
from reconstruction.training.run import RESOLVED, RUN
from tests.helpers.rights import read_only


def order(folder: Path, **values: object) -> TrainingOrder:
    return replace(TrainingOrder(folder=folder), **values)  # type: ignore[arg-type]


def states(queue: TrainingQueue) -> list[tuple[str, QueueState]]:
    return [(one.name, one.state) for one in queue.trainings]


def test_the_queue_is_there_again_after_a_restart(tmp_path: Path) -> None:
    queue = TrainingQueue(tmp_path / "q.json")
    asked = order(tmp_path / "a", dataset=tmp_path / "d", minutes=2.5, start="default-twin")
    queue.add(asked)
    queue.add(order(tmp_path / "b", kind="unet", config=tmp_path / "i.yaml", response=tmp_path / "r"))
    queue.move(tmp_path / "b", -1)
    again = TrainingQueue(tmp_path / "q.json")
    assert states(again) == [("b", QueueState.WAITING), ("a", QueueState.WAITING)]
    assert again.trainings[1].order == asked
    assert again.warnings == []


def test_what_one_window_changes_another_one_sees(tmp_path: Path) -> None:
    one, other = TrainingQueue(tmp_path / "q.json"), TrainingQueue(tmp_path / "q.json")
    one.add(order(tmp_path / "a"))
    other.add(order(tmp_path / "b"))
    assert one.refresh()
    assert not one.refresh()
    assert [training.name for training in one.trainings] == ["a", "b"]
    one.begin(tmp_path / "a")
    with pytest.raises(QueueError, match="a is training; b begins when it has ended"):
        other.begin(tmp_path / "b")


def test_a_folder_is_used_once(tmp_path: Path) -> None:
    queue = TrainingQueue()
    queue.add(order(tmp_path / "a"))
    with pytest.raises(QueueError, match="a is in the queue already"):
        queue.add(order(tmp_path / "a"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("all of it")
    with pytest.raises(QueueError, match="full is not empty; choose another name"):
        queue.add(order(tmp_path / "full"))
    assert [training.name for training in queue.trainings] == ["a"]


def test_a_folder_without_rights_is_refused(tmp_path: Path) -> None:
    with read_only(tmp_path), pytest.raises(QueueError, match="cannot be written; choose another folder"):
        check_folder(tmp_path / "models" / "a")


def test_the_running_one_stays_and_the_others_can_be_moved_and_removed(tmp_path: Path) -> None:
    queue = TrainingQueue()
    for name in "abc":
        queue.add(order(tmp_path / name))
    queue.begin(tmp_path / "a")
    with pytest.raises(QueueError, match="a is training; stop it first"):
        queue.remove(tmp_path / "a")
    queue.remove(tmp_path / "b")
    queue.move(tmp_path / "c", -5)
    assert states(queue) == [("c", QueueState.WAITING), ("a", QueueState.RUNNING)]
    queue.end(tmp_path / "a", QueueState.STOPPED, "Stopped")
    queue.resume(tmp_path / "a")
    assert queue.trainings[1].state is QueueState.WAITING
    with pytest.raises(QueueError, match="a is waiting; only a training that was stopped or has failed"):
        queue.resume(tmp_path / "a")


def killed_program() -> int:
    """Return the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def marked_as_running(tmp_path: Path, program: int) -> Path:
    """Store a queue whose only training runs in another program."""
    file = tmp_path / "q.json"
    queue = TrainingQueue(file)
    queue.add(order(tmp_path / "m"))
    queue.begin(tmp_path / "m")
    content = json.loads(file.read_text())
    content["trainings"][0]["program"] = program
    file.write_text(json.dumps(content))
    return file


def test_after_a_crash_a_training_can_be_resumed(tmp_path: Path) -> None:
    file = marked_as_running(tmp_path, killed_program())
    (tmp_path / "m" / RUN).mkdir(parents=True)
    (tmp_path / "m" / RUN / CHECKPOINT).write_bytes(b"")
    queue = TrainingQueue(file)
    assert states(queue) == [("m", QueueState.STOPPED)]
    assert queue.trainings[0].note == "The program ended while it trained. Resume continues from its checkpoint"
    queue.resume(tmp_path / "m")
    assert states(TrainingQueue(file)) == [("m", QueueState.WAITING)]


def test_a_process_that_outlives_its_program_goes_on(tmp_path: Path) -> None:
    file = marked_as_running(tmp_path, killed_program())
    (tmp_path / "m" / RUN).mkdir(parents=True)
    with WriterLock(tmp_path / "m" / RUN):
        queue = TrainingQueue(file)
        assert states(queue) == [("m", QueueState.RUNNING)]
    assert queue.refresh()
    assert states(queue) == [("m", QueueState.STOPPED)]
    assert "Resume starts it again" in queue.trainings[0].note


@pytest.mark.parametrize("text", ["", "[]", "{", '{"version": 9, "trainings": []}', '{"version": 1}', "[" * 100_000])
def test_a_damaged_file_gives_an_empty_queue_and_a_warning(tmp_path: Path, text: str) -> None:
    (tmp_path / "q.json").write_text(text)
    queue = TrainingQueue(tmp_path / "q.json")
    assert queue.trainings == ()
    assert "cannot be read" in queue.warnings[0]
    queue.add(order(tmp_path / "a"))
    assert [training.name for training in TrainingQueue(tmp_path / "q.json").trainings] == ["a"]


def test_a_damaged_entry_costs_itself_only(tmp_path: Path) -> None:
    queue = TrainingQueue(tmp_path / "q.json")
    for name in "ab":
        queue.add(order(tmp_path / name))
    content = json.loads((tmp_path / "q.json").read_text())
    content["trainings"][0]["state"] = "asleep"
    (tmp_path / "q.json").write_text(json.dumps(content))
    again = TrainingQueue(tmp_path / "q.json")
    assert [training.name for training in again.trainings] == ["b"]
    assert "is left out" in again.warnings[0]


def test_a_run_from_a_terminal_is_added_with_what_it_trains(tmp_path: Path) -> None:
    run = tmp_path / "friday" / RUN
    run.mkdir(parents=True)
    queue = TrainingQueue(tmp_path / "q.json")
    with pytest.raises(SpeckleScopeError, match="holds no training that can be resumed"):
        queue.add_run(tmp_path / "friday")
    (run / CHECKPOINT).write_bytes(b"")
    command = f"specklescope train friday --kind unet --steps 900 --dataset {tmp_path}/d"
    configuration = {"kind": "unet", "training": {"minutes": None, "steps": 900}, "data": {"dataset": "d", "pairs": 80}}
    (run / RESOLVED).write_text(yaml.safe_dump({"configuration": configuration, "environment": {"command": command}}))
    queue.add_run(tmp_path / "friday")
    added = TrainingQueue(tmp_path / "q.json").trainings[0]
    assert (added.name, added.state) == ("friday", QueueState.STOPPED)
    assert added.order == TrainingOrder(
        folder=tmp_path / "friday", kind="unet", minutes=0, dataset=tmp_path / "d", source="", pairs=80
    )


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM is a POSIX signal")
def test_a_process_that_outlives_its_program_can_be_stopped(tmp_path: Path) -> None:
    run = tmp_path / "m" / RUN
    run.mkdir(parents=True)
    assert not stop_run(tmp_path / "m")
    program = (
        "import signal, sys; from pathlib import Path; from acquisition.archive.folder import WriterLock\n"
        "lock = WriterLock(Path(sys.argv[1])); print('ready', flush=True); signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(run)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert stop_run(tmp_path / "m")
        assert process.wait(30) == -signal.SIGTERM
