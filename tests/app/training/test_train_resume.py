"""kill -9 of the real ``train`` at random moments, then ``--resume``: the same weights; and what ``train`` refuses."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app.instrument.config import to_yaml
from reconstruction.models.model import WEIGHTS, load_model
from reconstruction.training.checkpoint import CHECKPOINT
from reconstruction.training.run import CURVE, RUN
from tests.conftest import ROOT
from tests.helpers.small_instrument import small_instrument

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is a POSIX signal")

#: A network for the small instrument.
SMALL = ("--set", "grid_px=32", "--set", "multipliers=1,2,4", "--front-end", "fold", "--base-channels", 4)
DATA = ("--source", "cells", "--pairs", 64, "--batch", 4)


@pytest.fixture
def instrument(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(to_yaml(small_instrument(tmp_path)), "utf-8")
    return path


def command(folder: str, *more: object) -> list[str]:
    arguments = ("train", folder, *SMALL, *DATA, "--config", "small.yaml", *more)
    return [sys.executable, "-m", "specklescope", *map(str, arguments)]


def environment() -> dict[str, str]:
    # One thread: a sum over several may be taken in another order, which is another last bit.
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "200", "TMPDIR": "."}


def run(folder: str, *more: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, *more), cwd=cwd, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )


def refused(folder: str, *more: object, cwd: Path) -> str:
    done = run(folder, *more, cwd=cwd)
    assert done.returncode == 1, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("specklescope: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


def curve(folder: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (folder / RUN / CURVE).read_text("utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_three_kills_change_no_bit(instrument: Path, tmp_path: Path) -> None:
    length = ("--steps", 90, "--validate-every", 6)
    whole = run("whole", *length, cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    moments, never, resume = random.Random(5), threading.Event(), ()
    checkpoint = tmp_path / "killed" / RUN / CHECKPOINT
    for kill in range(3):
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        with subprocess.Popen(
            command("killed", *length, *resume), cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL
        ) as child:
            try:
                # A moment counts from the first checkpoint of this process.
                while child.poll() is None and not (checkpoint.exists() and checkpoint.stat().st_mtime_ns > before):
                    never.wait(0.01)
                assert child.poll() is None, f"it finished before kill {kill}; ask for more steps"
                never.wait(moments.uniform(0, 0.4))
            finally:
                child.kill()
        resume = ("--resume",)
    last = run("killed", *length, "--resume", cwd=tmp_path)
    assert last.returncode == 0, last.stderr
    assert (tmp_path / "killed" / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()
    assert curve(tmp_path / "killed") == curve(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_sigterm_says_how_to_continue_and_the_options_must_stay(instrument: Path, tmp_path: Path) -> None:
    length = ("--steps", 10**6, "--validate-every", 10)
    with subprocess.Popen(command("m", *length), cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True) as child:
        try:
            never = threading.Event()
            while child.poll() is None and not (tmp_path / "m" / WEIGHTS).exists():
                never.wait(0.05)
            child.send_signal(signal.SIGTERM)
            errors = child.communicate(timeout=60)[1]
        finally:
            child.kill()
    assert child.returncode == 143
    assert "continue with: specklescope train m " in errors
    assert errors.rstrip().endswith("--resume")
    assert load_model(tmp_path / "m").card.scores.keys() == {"stopped_at_step"}
    assert "not empty" in refused("m", *length, cwd=tmp_path)
    changed = refused("m", "--steps", 20, "--validate-every", 10, "--resume", cwd=tmp_path)
    assert "started with training.steps = 1000000, not 20" in changed
    path = tmp_path / "m" / RUN / CHECKPOINT
    path.write_bytes(path.read_bytes()[:1000])
    assert "is no checkpoint of this run" in refused("m", *length, "--resume", cwd=tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_fine_tuning_starts_with_the_weights_of_a_model(instrument: Path, tmp_path: Path) -> None:
    length = ("--steps", 40, "--validate-every", 40)
    arguments = ("train", "fine", "--from", "small-model", *DATA, *length, "--config", "small.yaml")
    done = subprocess.run(
        [sys.executable, "-m", "specklescope", *map(str, arguments)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    fine, start = load_model(tmp_path / "fine"), load_model(tmp_path / "small-model")
    assert fine.card.training["learning_rate"] == pytest.approx(2e-4)
    assert start.id in fine.card.data
    moved = (fine.network.head.weight - start.network.head.weight).abs().max()
    assert 1e-4 < moved < 2e-2
