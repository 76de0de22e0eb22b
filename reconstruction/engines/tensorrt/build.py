"""Building and verifying a TensorRT plan in a child process: if TensorRT crashes there, the live view goes on.

The child process is :mod:`reconstruction.engines.tensorrt.worker`.
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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconstruction.engines.base import EngineError, Sizes
from reconstruction.engines.check_frames import CheckFrames

log = logging.getLogger(__name__)

#: Called with ``(stage, steps done, steps in total)``.
Progress = Callable[[str, int, int], None]
#: Beginnings of the lines that the child process prints.
STAGE, REFUSED = "stage\t", "refused\t"
_BUILD_TIMEOUT_S, _RUN_TIMEOUT_S = 1800.0, 180.0


def build_plan(library: str, graph: Path, on_progress: Progress = lambda stage, done, total: None) -> bytes:
    """Build a plan in a child process.

    Parameters
    ----------
    library : str
        ``tensorrt`` or ``tensorrt_rtx``.
    graph : Path
        Strongly typed ONNX graph.
    on_progress : callable
        Called at every stage of the build.

    Raises
    ------
    EngineError
        The graph is refused, the process crashes, or takes longer than half an hour.
    """
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan"
        _child(["build", library, str(graph), str(plan)], _BUILD_TIMEOUT_S, on_progress)
        return plan.read_bytes()


def run_plan(
    library: str, plan: bytes, frames: CheckFrames, sizes: Sizes, noises: list[NDArray[np.float32]] | None = None
) -> list[NDArray[np.float32]]:
    """Reconstruct check frames with a plan in a child process; return the planes of each.

    Parameters
    ----------
    library : str
        ``tensorrt`` or ``tensorrt_rtx``.
    plan : bytes
        Serialised engine.
    frames : CheckFrames
        The frames.
    sizes : Sizes
        Sizes of frame and planes.
    noises : list of ndarray, optional
        The noise for each frame, where noise is an input.

    Raises
    ------
    EngineError
        The process fails or crashes.
    """
    with tempfile.TemporaryDirectory() as folder:
        plan_file, frames_file, planes_file = (Path(folder) / name for name in ("plan", "frames.npz", "planes.npy"))
        plan_file.write_bytes(plan)
        counts = np.stack([np.asarray(frame, np.float32) for frame in frames.frames])
        arrays: dict[str, Any] = {"frames": counts, "reference": frames.reference}
        np.savez(frames_file, **arrays | ({} if noises is None else {"noises": np.stack(noises)}))
        numbers = [str(number) for number in (sizes.grid_px, sizes.planes, sizes.noise_channels, sizes.channels)]
        arguments = ["run", library, str(plan_file), str(frames_file), str(planes_file), *numbers]
        _child(arguments, _RUN_TIMEOUT_S, lambda stage, done, total: None)
        return list(np.load(planes_file, allow_pickle=False))


def _child(arguments: list[str], timeout_s: float, on_progress: Progress) -> None:
    """Run the worker, and raise EngineError unless it succeeds in time."""
    command = [sys.executable, "-P", "-m", f"{__package__}.worker", *arguments]
    task, library = arguments[:2]
    # Errors go to a file: the process would stop at a full pipe that nobody reads.
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        timeout = threading.Timer(timeout_s, process.kill)
        timeout.start()
        try:
            refused = _follow(process, on_progress)
            code = process.wait()
            late = code != 0 and timeout.finished.is_set()
        finally:
            timeout.cancel()
            process.kill()
        errors.seek(0)
        last_line = errors.read().decode(errors="replace").strip().splitlines()[-1:]
    if late:
        raise EngineError(f"{library} did not {task} the model within {timeout_s:g} s; choose another engine")
    if code:
        why = refused or ": ".join([f"its process ended with {code}", *last_line])
        raise EngineError(f"{library} could not {task} the model ({why}); choose another engine or update the driver")


def _follow(process: subprocess.Popen[str], on_progress: Progress) -> str:
    """Report the stages that the process prints until it ends; return its reason for refusing, if it gives one."""
    refused = ""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(STAGE):
            stage, done, total = line.rstrip("\n").split("\t")[1:4]
            on_progress(stage, int(done), int(total))
        elif line.startswith(REFUSED):
            refused = line.rstrip("\n").split("\t", 1)[1]
    return refused


def load_library(library: str) -> ModuleType:
    """Import TensorRT or TensorRT for RTX.

    Raises
    ------
    EngineError
        The library is not installed.
    """
    try:
        return importlib.import_module(library)
    except ImportError as error:
        package = library.replace("_", "-")
        raise EngineError(f"{package} is not installed ({error}); pip install {package}") from error
