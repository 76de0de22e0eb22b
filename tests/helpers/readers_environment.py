"""The virtual environment with Python packages of others, and how to ask them about a file."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PYTHON = Path(sys.prefix) / "readers" / "bin" / "python"
SCRIPT = Path(__file__).with_name("readers_of_others.py")
needs_readers = pytest.mark.skipif(
    not PYTHON.is_file(),
    reason=f"no readers of others at {PYTHON.parent}: run `make test-slow`, or `make .venv/.ready-readers`",
)


def asked(reader: str, *paths: Path) -> list[Any]:
    """Return what a function of ``readers_of_others.py`` says about each file."""
    command = [str(PYTHON), str(SCRIPT), reader, *map(str, paths)]
    process = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    assert process.returncode == 0, process.stderr[-2000:]
    # Some readers print on the standard output too.
    return json.loads(process.stdout.splitlines()[-1])


def same_values(said: dict[str, Any], expected: np.ndarray) -> bool:
    """Whether a reader found these values, byte by byte, in any shape."""
    sha256 = hashlib.sha256(np.ascontiguousarray(expected).tobytes()).hexdigest()
    return (said["dtype"], said["sha256"]) == (expected.dtype.name, sha256)
