"""A process of its own that holds a writer's lock."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from acquisition.archive.folder import LOCK
from tests.conftest import ROOT

_PROGRAM = """
import sys
from pathlib import Path
from acquisition.archive.folder import WriterLock
with WriterLock(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def lock_holder(folder: Path, file: str = LOCK) -> Iterator[subprocess.Popen[str]]:
    """Hold the lock of a folder in another process until the end of this block."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command, pipe = [sys.executable, "-c", _PROGRAM, str(folder), file], subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
