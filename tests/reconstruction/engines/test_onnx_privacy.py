"""ONNX Runtime reports nothing to its maker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def test_onnx_runtime_opens_no_session_of_its_telemetry(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in ("ORT_DISABLE_TELEMETRY", "CI")}
    environment |= {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    code = "import reconstruction.engines.onnx, onnxruntime; print(onnxruntime.__version__)"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip()
    # The telemetry keeps the number of its session in this file.
    assert not list(tmp_path.iterdir())
