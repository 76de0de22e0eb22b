"""Building and verifying a TensorRT engine in a process of its own, which may crash without taking the live view along.

Run as a program, this file is that process: ``build`` makes a plan of a graph and writes what stage it is at, ``run`` makes
phases of frames with a plan. TensorRT for RTX builds without any card; both only run on one.
"""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from reconstruction.engines.base import EngineError
from reconstruction.engines.check_frames import CheckFrames

log = logging.getLogger(__name__)

#: ``(stage, steps done, steps in all)``.
Progress = Callable[[str, int, int], None]
STAGE, REFUSED = "stage\t", "refused\t"
_BUILD_TIMEOUT_S, _RUN_TIMEOUT_S = 1800.0, 180.0


def build_plan(library: str, graph: Path, on_progress: Progress = lambda stage, done, total: None) -> bytes:
    """Build in a child process.

    Parameters
    ----------
    library : str
        ``tensorrt`` or ``tensorrt_rtx``.
    graph : Path
        Strongly typed ONNX.

    Raises
    ------
    EngineError
        It is refused, crashes, or takes half an hour.
    """
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan"
        _child(["build", library, str(graph), str(plan)], _BUILD_TIMEOUT_S, on_progress)
        return plan.read_bytes()


def run_plan(library: str, plan: bytes, frames: CheckFrames, grid_px: int) -> list[NDArray[np.float32]]:
    """Reconstruct the gate's frames in a child process; raises EngineError where that fails or crashes."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "plan").write_bytes(plan)
        counts = np.stack([np.asarray(frame, np.float32) for frame in frames.frames])
        np.savez(place / "frames.npz", frames=counts, reference=frames.reference)
        words = ["run", library, str(place / "plan"), str(place / "frames.npz"), str(place / "made.npy"), str(grid_px)]
        _child(words, _RUN_TIMEOUT_S, lambda stage, done, total: None)
        return list(np.load(place / "made.npy", allow_pickle=False))


def _child(words: list[str], timeout_s: float, on_progress: Progress) -> None:
    command = [sys.executable, "-P", "-m", f"{__package__}.worker", *words]
    refused, pipe = "", subprocess.PIPE
    # Its own words go to a file: a pipe that nobody reads would stop it.
    with tempfile.TemporaryFile() as heard, subprocess.Popen(command, stdout=pipe, stderr=heard, text=True) as process:
        watch = threading.Timer(timeout_s, process.kill)
        watch.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith(STAGE):
                    stage, done, total = line.rstrip("\n").split("\t")[1:4]
                    on_progress(stage, int(done), int(total))
                elif line.startswith(REFUSED):
                    refused = line.rstrip("\n").split("\t", 1)[1]
            code = process.wait()
            late = code != 0 and watch.finished.is_set()
        finally:
            watch.cancel()
            process.kill()
        heard.seek(0)
        tail = heard.read().decode(errors="replace").strip().splitlines()[-1:]
    if late:
        raise EngineError(f"{words[1]} did not {words[0]} the model within {timeout_s:g} s; choose another engine")
    if code:
        why = refused or f"its process ended with {code}" + (f": {tail[0]}" if tail else "")
        raise EngineError(f"{words[1]} could not {words[0]} the model ({why}); choose another engine or update the driver")


def load_library(library: str) -> ModuleType:
    """Import TensorRT.

    Raises
    ------
    EngineError
        It is not installed.
    """
    try:
        return importlib.import_module(library)
    except ImportError as error:
        package = library.replace("_", "-")
        raise EngineError(f"{package} is not installed ({error}); pip install {package}") from error
