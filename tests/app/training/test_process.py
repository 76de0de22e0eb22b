"""A training in a process of its own: its command line, its progress from the run folder, and how it ends."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest
import yaml

from app.training.process import (
    KIND_DESCRIPTIONS,
    RunWatcher,
    TrainingOrder,
    TrainingProcess,
    TrainingState,
    can_resume,
    resume_arguments,
)
from drivers.base import SpeckleScopeError
from reconstruction.models.registry import KINDS
from reconstruction.training.run import CURVE, PICTURE, RESOLVED, RUN
from tests.helpers.small_instrument import until


def test_every_kind_is_explained() -> None:
    assert set(KIND_DESCRIPTIONS) == set(KINDS)


@pytest.mark.parametrize(
    ("order", "command"),
    [
        (
            TrainingOrder(folder=Path("m"), kind="unet", minutes=2.5, pairs=100, source="cells"),
            "train m --kind unet --source cells --pairs 100 --minutes 2.5",
        ),
        (
            TrainingOrder(folder=Path("m"), kind="unet", start="default-twin", dataset=Path("d"), config=Path("i.yaml")),
            "train m --from default-twin --dataset d --minutes 30 --config i.yaml",
        ),
    ],
    ids=["simulated", "fine-tuned on a dataset"],
)
def test_an_order_gives_a_command_line_that_the_command_accepts(order: TrainingOrder, command: str) -> None:
    from app.cli.main import app as program

    assert order.arguments() == command.split()
    _, bound, _ = program.parse_args(order.arguments(), exit_on_error=False, print_error=False)
    assert bound.arguments["folder"] == Path("m")
    assert bound.arguments["training"].minutes == order.minutes


def started_with(folder: Path, command: object) -> Path:
    (folder / RUN).mkdir(parents=True)
    (folder / RUN / RESOLVED).write_text(yaml.safe_dump({"environment": {"command": command}}), "utf-8")
    return folder


def test_a_run_is_resumed_as_it_was_started_wherever_it_lies_now(tmp_path: Path) -> None:
    folder = started_with(tmp_path / "moved" / "my model", "specklescope train 'old place/my model' --kind unet --batch 4")
    assert resume_arguments(folder) == ["train", str(folder), "--kind", "unet", "--batch", "4", "--resume"]
    again = started_with(tmp_path / "m", "specklescope train --resume m --kind unet")
    assert resume_arguments(again) == ["train", "--resume", str(again), "--kind", "unet"]


@pytest.mark.parametrize("command", ["rm -rf m", "specklescope bench m", "specklescope train other", "'", 5, None], ids=str)
def test_a_run_that_does_not_say_how_is_not_resumed(tmp_path: Path, command: object) -> None:
    with pytest.raises(SpeckleScopeError, match=r"does not say how the run was started.*--resume"):
        resume_arguments(started_with(tmp_path / "m", command))


def test_a_folder_without_a_run_cannot_be_resumed(tmp_path: Path) -> None:
    assert not can_resume(tmp_path)
    with pytest.raises(SpeckleScopeError, match="does not say how"):
        resume_arguments(tmp_path)


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
        b'{"step": Infinity}\n{"step": 1e999}\n' + b"[" * 100_000 + b"\n"
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


def ended(program: str) -> TrainingProcess:
    process = TrainingProcess([], (sys.executable, "-c", program))
    assert process.state is TrainingState.RUNNING
    assert process.wait(60)
    return process


def test_the_last_line_of_a_failure_is_its_error() -> None:
    process = ended("import sys; sys.exit('training: 3 of 9\\nspecklescope: no model at x; give one\\n')")
    assert process.state is TrainingState.FAILED
    assert not process.running
    assert process.last_line() == "no model at x; give one"
    assert process.log_file.exists()
    process.close()
    assert not process.log_file.exists()


def test_a_success_without_output_is_a_success() -> None:
    process = ended("pass")
    assert process.state is TrainingState.FINISHED
    assert process.last_line() == ""
    process.close()


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM is a POSIX signal")
@pytest.mark.parametrize(("handler", "timeout_s", "code"), [("lambda *_: sys.exit(3)", 30.0, 3), ("signal.SIG_IGN", 0.2, -9)])
def test_it_is_stopped_by_sigterm_and_killed_when_it_ignores_that(handler: str, timeout_s: float, code: int) -> None:
    program = f"import signal, sys\nsignal.signal(signal.SIGTERM, {handler})\nprint('ready', file=sys.stderr, flush=True)\n"
    process = TrainingProcess([], (sys.executable, "-c", program + "while True: signal.pause()"))
    until(lambda: process.last_line() == "ready", 60)
    assert process.running
    process.stop()
    assert process.state in (TrainingState.STOPPING, TrainingState.STOPPED)
    process.close(timeout_s)
    assert process.state is TrainingState.STOPPED
    assert process.exit_code == code
