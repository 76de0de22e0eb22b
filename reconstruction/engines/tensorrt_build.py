"""Building and proving a TensorRT engine in a process of its own, which may crash without taking the live view along.

Run as a program, this file is that process: ``build`` makes a plan of a graph and writes what stage it is at, ``run`` makes
phases of frames with a plan. TensorRT for RTX builds without any card; both only run on one.
"""

from __future__ import annotations

import importlib
import io
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

from reconstruction.engines.base import EngineError
from reconstruction.engines.gate_frames import GateFrames

log = logging.getLogger(__name__)

#: ``(stage, steps done, steps in all)``.
Progress = Callable[[str, int, int], None]
_STAGE, _REFUSED = "stage\t", "refused\t"
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


def run_plan(library: str, plan: bytes, frames: GateFrames, grid_px: int) -> list[NDArray[np.float32]]:
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
    command = [sys.executable, "-m", "reconstruction.engines.tensorrt_build", *words]
    refused, pipe = "", subprocess.PIPE
    # Its own words go to a file: a pipe that nobody reads would stop it.
    with tempfile.TemporaryFile() as heard, subprocess.Popen(command, stdout=pipe, stderr=heard, text=True) as process:
        watch = threading.Timer(timeout_s, process.kill)
        watch.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith(_STAGE):
                    stage, done, total = line.rstrip("\n").split("\t")[1:4]
                    on_progress(stage, int(done), int(total))
                elif line.startswith(_REFUSED):
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


def _build(trt: Any, graph: Path, plan: Path) -> None:
    logger = _logger(trt)
    builder = trt.Builder(logger)
    # Version 11 has nothing else, version 10 has to be told: types lie in the graph, no flag may change them.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(graph.read_bytes()):
        raise EngineError(f"it does not understand the graph: {parser.get_error(0).desc()}")
    config = builder.create_builder_config()
    monitor = _monitor(trt)
    config.progress_monitor = monitor
    made = builder.build_serialized_network(network, config)
    if made is None:
        raise EngineError(logger.last or "it built nothing and gave no reason")
    plan.write_bytes(bytes(made))


def _logger(trt: Any) -> Any:
    """Return a logger that remembers the last error: the functions only say that there was one."""

    class Logger(trt.ILogger):  # type: ignore[misc]
        last = ""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                self.last = " ".join(msg.split())[:300]

    return Logger()


def _monitor(trt: Any) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._steps[phase_name] = num_steps
            self._tell(phase_name, 0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._tell(phase_name, step + 1)
            return True

        def phase_finish(self, phase_name: str) -> None:
            self._tell(phase_name, self._steps.pop(phase_name, 1))

        def _tell(self, stage: str, done: int) -> None:
            print(f"{_STAGE}{stage}\t{done}\t{self._steps.get(stage, done)}", flush=True)

    return Monitor()


def _run(library: str, plan: Path, frames: Path, made: Path, grid_px: int) -> None:
    from reconstruction.engines.tensorrt_run import TensorRtLoop

    stored = np.load(frames, allow_pickle=False)
    counts, reference = stored["frames"], stored["reference"]
    loop = TensorRtLoop(library, plan.read_bytes(), library, counts.shape[-1], grid_px)
    phases = np.stack([loop.run(frame, reference) for frame in counts])
    content = io.BytesIO()
    np.save(content, phases, allow_pickle=False)
    made.write_bytes(content.getvalue())


def _main(words: list[str]) -> int:
    try:
        if words[0] == "build":
            _build(load_library(words[1]), Path(words[2]), Path(words[3]))
        else:
            _run(words[1], Path(words[2]), Path(words[3]), Path(words[4]), int(words[5]))
    except EngineError as error:
        print(f"{_REFUSED}{error}", flush=True)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
