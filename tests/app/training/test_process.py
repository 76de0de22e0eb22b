"""A training beside the window: the words of the command, what its run folder says, and how it ends."""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path

import pytest
import yaml

from app.training.process import KIND_WORDS, RunWatcher, TrainingOrder, TrainingProcess, can_resume, resume_words
from drivers.base import SpeckleScopeError
from reconstruction.models.registry import KINDS
from reconstruction.training.run import CURVE, PICTURE, RESOLVED, RUN


def test_every_kind_is_explained() -> None:
    assert set(KIND_WORDS) == set(KINDS)


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (
            TrainingOrder(Path("m"), "unet", 2.5, pairs=100, source="cells"),
            "train m --kind unet --source cells --pairs 100 --minutes 2.5",
        ),
        (
            TrainingOrder(Path("m"), "unet", start="default-twin", dataset=Path("d"), config=Path("i.yaml")),
            "train m --from default-twin --dataset d --minutes 30 --config i.yaml",
        ),
    ],
    ids=["simulated", "fine-tuned on a dataset"],
)
def test_an_order_is_the_command_and_the_command_takes_it(order: TrainingOrder, words: str) -> None:
    from app.cli.main import app as command

    assert order.words() == words.split()
    _, bound, _ = command.parse_args(order.words(), exit_on_error=False, print_error=False)
    assert bound.arguments["folder"] == Path("m")
    assert bound.arguments["minutes"] == order.minutes


def begun_with(folder: Path, command: object) -> Path:
    (folder / RUN).mkdir(parents=True)
    (folder / RUN / RESOLVED).write_text(yaml.safe_dump({"environment": {"command": command}}), "utf-8")
    return folder


def test_a_run_is_resumed_as_it_was_begun_wherever_it_lies_now(tmp_path: Path) -> None:
    folder = begun_with(tmp_path / "moved" / "my model", "specklescope train 'old place/my model' --kind unet --batch 4")
    assert resume_words(folder) == ["train", str(folder), "--kind", "unet", "--batch", "4", "--resume"]
    again = begun_with(tmp_path / "m", "specklescope train --resume m --kind unet")
    assert resume_words(again) == ["train", "--resume", str(again), "--kind", "unet"]


@pytest.mark.parametrize("command", ["rm -rf m", "specklescope bench m", "specklescope train other", "'", 5, None], ids=str)
def test_a_run_that_does_not_say_how_is_not_resumed(tmp_path: Path, command: object) -> None:
    with pytest.raises(SpeckleScopeError, match=r"does not say how the run was begun.*--resume"):
        resume_words(begun_with(tmp_path / "m", command))


def test_a_folder_without_a_run_cannot_be_resumed(tmp_path: Path) -> None:
    assert not can_resume(tmp_path)
    with pytest.raises(SpeckleScopeError, match="does not say how"):
        resume_words(tmp_path)


def lines(*steps: int) -> str:
    return "".join(json.dumps({"step": step, "loss": 1 / step, "lr": 1e-3, "seconds": step * 0.5}) + "\n" for step in steps)


def test_a_growing_curve_is_read_once_and_whole(tmp_path: Path) -> None:
    watcher = RunWatcher(tmp_path / "m")
    assert not watcher.poll()
    curve = tmp_path / "m" / RUN / CURVE
    curve.parent.mkdir(parents=True)
    curve.write_text(lines(10, 20) + '{"step": 30, "lo')
    assert watcher.poll()
    assert watcher.curve.steps == [10, 20]
    assert not watcher.poll()
    curve.write_text(lines(10, 20, 30) + '{"step": 30, "validation": {"ssim": 0.5, "correlation": null}}\n')
    assert watcher.poll()
    assert (watcher.curve.steps, watcher.curve.seconds) == ([10, 20, 30], 15.0)
    assert watcher.curve.ssim == [0.5]
    assert math.isnan(watcher.curve.correlation[0])  # not a number, but a point


def test_a_resumed_run_that_was_cut_is_read_anew(tmp_path: Path) -> None:
    curve = tmp_path / RUN / CURVE
    curve.parent.mkdir()
    curve.write_text(lines(10, 20, 30, 40))
    watcher = RunWatcher(tmp_path)
    watcher.poll()
    part = curve.with_name("part")
    part.write_text(lines(10, 20))
    part.replace(curve)
    assert watcher.poll()
    assert watcher.curve.steps == [10, 20]


def test_damaged_lines_cost_a_point_only(tmp_path: Path) -> None:
    curve = tmp_path / RUN / CURVE
    curve.parent.mkdir()
    damaged = (
        b'\xff\xfe\n[]\n5\n{"step": "x"}\n{"step": 3, "validation": 4}\n{"step": 4, "loss": null, "lr": 1, "seconds": 1}\n'
    )
    curve.write_bytes(damaged + lines(10).encode())
    watcher = RunWatcher(tmp_path)
    assert watcher.poll()
    assert (watcher.curve.steps, watcher.curve.loss, watcher.curve.validated) == ([10], [0.1], [])


def test_a_picture_is_given_once(tmp_path: Path) -> None:
    watcher = RunWatcher(tmp_path)
    assert watcher.new_picture() is None
    (tmp_path / RUN).mkdir()
    (tmp_path / RUN / PICTURE).write_bytes(b"png")
    assert watcher.new_picture() == b"png"
    assert watcher.new_picture() is None


def finished(program: str) -> TrainingProcess:
    process = TrainingProcess([], (sys.executable, "-c", program))
    process._process.wait(60)
    return process


def test_the_last_words_of_a_failure_are_its_error() -> None:
    process = finished("import sys; sys.exit('training: 3 of 9\\nspecklescope: no model at x; give one\\n')")
    assert (process.running, process.succeeded) == (False, False)
    assert process.last_words() == "no model at x; give one"
    process.close()
    assert not process._log.exists()


def test_a_success_without_words_is_a_success() -> None:
    process = finished("pass")
    assert process.succeeded
    assert process.last_words() == ""
    process.close()


@pytest.mark.skipif(sys.platform == "win32", reason="a polite kill is a POSIX signal")
@pytest.mark.parametrize("polite", [True, False])
def test_it_is_stopped_politely_and_killed_when_it_does_not_listen(terminate: bool) -> None:
    handler = "lambda *_: sys.exit(3)" if terminate else "signal.SIG_IGN"
    program = f"import signal, sys\nsignal.signal(signal.SIGTERM, {handler})\nprint('ready', file=sys.stderr, flush=True)\n"
    process = TrainingProcess([], (sys.executable, "-c", program + "while True: signal.pause()"))
    deadline_s = time.monotonic() + 60
    while process.last_words() != "ready" and time.monotonic() < deadline_s:
        pass
    assert process.running
    process.close(30.0 if terminate else 0.2)
    assert process._process.returncode == (3 if terminate else -9)
