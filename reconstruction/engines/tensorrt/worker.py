"""The process that builds or runs a TensorRT engine: if TensorRT crashes, only this process ends.

``build`` makes a plan from a graph and reports its stages; ``run`` reconstructs frames with a plan. TensorRT for RTX builds
without a GPU; running a plan always needs one.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reconstruction.engines.base import EngineError, Sizes, planes_of
from reconstruction.engines.tensorrt.build import REFUSED, STAGE, load_library


def _build(library: str, graph: str, plan: str) -> None:
    trt = load_library(library)
    logger = _logger(trt)
    builder = trt.Builder(logger)
    # Types come from the graph. Version 11 always works so; version 10 needs the flag.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(Path(graph).read_bytes()):
        raise EngineError(f"it cannot parse the graph: {parser.get_error(0).desc()}")
    config = builder.create_builder_config()
    monitor = _monitor(trt)
    config.progress_monitor = monitor
    content = builder.build_serialized_network(network, config)
    if content is None:
        raise EngineError(logger.last or "it built nothing and gave no reason")
    Path(plan).write_bytes(bytes(content))


def _logger(trt: Any) -> Any:
    """Return a logger that keeps the last error message: the functions only return that there was an error."""

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
            self._report(phase_name, 0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._report(phase_name, step + 1)
            return True

        def phase_finish(self, phase_name: str) -> None:
            self._report(phase_name, self._steps.pop(phase_name, 1))

        def _report(self, stage: str, done: int) -> None:
            print(f"{STAGE}{stage}\t{done}\t{self._steps.get(stage, done)}", flush=True)

    return Monitor()


def _run(library: str, plan: str, frames: str, output: str, *sizes: str) -> None:
    from reconstruction.engines.tensorrt.run import TensorRtLoop

    stored = np.load(frames, allow_pickle=False)
    counts, reference = stored["frames"], stored["reference"]
    loop = TensorRtLoop(library, Path(plan).read_bytes(), library, Sizes(counts.shape[-1], *map(int, sizes)))
    if "noises" in stored:
        pairs = zip(counts, stored["noises"], strict=True)
        planes = np.stack([loop.drawn(frame, reference, noise) for frame, noise in pairs])
    else:
        planes = np.stack([planes_of(loop.run_with_sigma(frame, reference)) for frame in counts])
    content = io.BytesIO()
    np.save(content, planes, allow_pickle=False)
    Path(output).write_bytes(content.getvalue())


_TASKS: Mapping[str, Callable[..., None]] = {"build": _build, "run": _run}


def _main(task: str, *arguments: str) -> int:
    try:
        _TASKS[task](*arguments)
    except EngineError as error:
        print(f"{REFUSED}{error}", flush=True)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
