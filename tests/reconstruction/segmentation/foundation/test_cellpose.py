"""Cellpose's own network with random weights gives the same cells through our segmenter as alone."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tests.helpers.cellpose_run as program

ROOT = Path(__file__).resolve().parents[4]
PLACE = Path(sys.prefix) / "cellpose"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(
    not PLACE.is_dir() and importlib.util.find_spec("cellpose") is None,
    reason=f"no Cellpose in {PLACE}: run `make test-slow`, or `make .venv/.ready-cellpose`",
)
def test_cells_are_those_of_cellpose_alone(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PLACE), str(ROOT)])}
    command = [sys.executable, str(program.__file__), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=880, check=False, env=environment)
    (tmp_path / "weights").unlink(missing_ok=True)  # 1.2 GB
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["count"] == said["expected"] > 5
    assert said["background_alike"]
    assert said["pairs"] == said["count"] + 1, "every label is one of Cellpose's"
    assert 0.5 < said["scores"][0] <= said["scores"][1] <= 1
    assert said["settings"]["segmenter"] == "cellpose"
    assert len(said["settings"]["weights_sha256"]) == 64
    assert "weights of Cellpose 4, such as" in said["refused"]
