"""Two processes under torchrun learn the same as one, and one that fails ends both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from app.instrument.config import to_yaml
from reconstruction.models.model import load_model
from reconstruction.training.run import CURVE, RUN
from tests.conftest import ROOT
from tests.helpers.small_instrument import small_instrument

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PYTHON = (sys.executable, "-W", "ignore")
TORCHRUN = (*PYTHON, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")
NETWORK = ("--set", "grid_px=32", "--set", "multipliers=1,2,4", "--front-end", "fold", "--base-channels", "4")


@pytest.fixture
def instrument(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(to_yaml(small_instrument(tmp_path)), "utf-8")
    return path


def train(start: tuple[str, ...], folder: str, *more: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = ("specklescope", "train", folder, *NETWORK, "--source", "cells", "--pairs", "64", "--config", "small.yaml", *more)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "200", "TMPDIR": str(cwd)}
    return subprocess.run(
        [*start, *command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def losses(folder: Path) -> np.ndarray:
    lines = [json.loads(line) for line in (folder / RUN / CURVE).read_text("utf-8").splitlines()]
    return np.array([line["loss"] for line in lines if "loss" in line])


def test_two_processes_learn_as_one(instrument: Path, tmp_path: Path) -> None:
    more = ("--steps", "120", "--batch", "8", "--validate-every", "60")
    for start, folder in (((*PYTHON, "-m"), "one"), (TORCHRUN, "two")):
        done = train(start, folder, *more, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert done.stdout.count("held-out scores") == 1
    assert not list(tmp_path.glob("specklescope-pool-*"))
    difference = np.abs(one - two)
    print(f"losses {one} and {two}: differ by {difference.mean():.4f} on average, {difference.max():.4f} at most")
    assert one[0] - one[-1] > 5 * difference.mean(), "learning is to be seen above the difference"
    assert difference.mean() < 0.02
    scores = [load_model(tmp_path / name).card.scores["mae_rad"] for name in ("one", "two")]
    assert scores[0] == pytest.approx(scores[1], abs=0.03)  # type: ignore[arg-type]
    resumed = train(TORCHRUN, "two", *more, "--resume", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr


def test_a_process_that_fails_ends_all(instrument: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "import os, sys\n"
        "from app.cli.main import main\n"
        "from reconstruction.training.loop import Trainer\n"
        "whole = Trainer.train\n"
        "def train(self, pairs, validation):\n"
        "    if os.environ['RANK'] == '1':\n"
        "        pairs.batch = None\n"
        "    return whole(self, pairs, validation)\n"
        "Trainer.train = train\n"
        "if __name__ == '__main__':\n"
        "    main(sys.argv[2:])\n"
    )
    start = (*TORCHRUN[:-1], "broken.py")
    done = train(start, "m", "--steps", "100000", cwd=tmp_path)
    assert done.returncode != 0
    assert "'NoneType' object is not callable" in done.stderr


def test_a_batch_of_an_odd_number_is_refused(instrument: Path, tmp_path: Path) -> None:
    done = train(TORCHRUN, "m", "--steps", "2", "--batch", "3", cwd=tmp_path)
    assert done.returncode != 0
    assert "a batch of 3 pairs is no multiple of 2 processes; change --batch" in done.stderr
