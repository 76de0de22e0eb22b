"""What every engine on an NVIDIA card shares: buffers that stay, a stream of its own, one upload and one download a frame.

Counts go up as the camera gave them and become floats on the card; everything that is launched for a frame is recorded once
as a CUDA graph and then replayed, so that nothing is allocated in the steady state.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from reconstruction.engines.base import Counts, EngineError

log = logging.getLogger(__name__)

_WARM_RUNS = 3
#: Between a replay and what was recorded; both do the same arithmetic.
_REPLAY_TOLERANCE_RAD = 1e-3


def no_cuda() -> str:
    """Why no NVIDIA card can be used here; empty where one can."""
    return "" if torch.cuda.is_available() else "there is no NVIDIA card, or no driver for it"


def gpu_facts() -> dict[str, object]:
    """Return what a built engine depends on: card, its capability, driver."""
    if not torch.cuda.is_available():
        return {"device": "none", "capability": [], "driver": 0}
    driver = getattr(torch._C, "_cuda_getDriverVersion", lambda: 0)()
    return {"device": torch.cuda.get_device_name(), "capability": list(torch.cuda.get_device_capability()), "driver": driver}


class CudaLoop:
    """Runs ``launch``, which turns :attr:`frame` and :attr:`reference` into :attr:`phase`.

    Parameters
    ----------
    name : str
        For status lines.
    frame_px, grid_px : int
        Sides of frame and phase.

    Raises
    ------
    EngineError
        No card, or not enough memory on it.
    """

    def __init__(self, name: str, frame_px: int, grid_px: int) -> None:
        if why := no_cuda():
            raise EngineError(f"{name} needs an NVIDIA card: {why}")
        self.name = name
        try:
            self.frame, self.reference = (torch.zeros((1, 1, frame_px, frame_px), device="cuda") for _ in range(2))
            self.phase = torch.zeros((1, 1, grid_px, grid_px), device="cuda")
            self._down = torch.zeros((grid_px, grid_px)).pin_memory()
        except RuntimeError as error:
            raise EngineError(f"{name}: {str(error).splitlines()[0]}") from error
        self.stream = torch.cuda.Stream()
        self._up: dict[np.dtype[np.generic], tuple[torch.Tensor, torch.Tensor]] = {}
        self._launch: Callable[[], None] | None = None
        self._known: NDArray[np.float32] | None = None

    def record(self, launch: Callable[[], None]) -> None:
        """Warm up, record what ``launch`` does on the current stream, and compare its replay.

        What cannot be recorded (it draws random numbers on the processor, for instance) is launched anew for every frame.

        Raises
        ------
        EngineError
            It does not run, or replays something else.
        """
        speckle = torch.rand(self.frame.shape, generator=torch.Generator().manual_seed(0)) * 72
        try:
            with torch.cuda.stream(self.stream):
                self.frame.copy_(speckle)
                self.reference.copy_(speckle.flip(-1))
                for _ in range(_WARM_RUNS):
                    launch()
                expected = self.phase.clone()
            self.stream.synchronize()
        except RuntimeError as error:
            raise EngineError(f"{self.name} does not run: {str(error).splitlines()[0]}") from error
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self.stream):
                launch()
            with torch.cuda.stream(self.stream):
                self.phase.zero_()
                graph.replay()
            self.stream.synchronize()
        except RuntimeError as error:
            log.info("%s is launched anew for every frame, it could not be recorded: %s", self.name, str(error).splitlines()[0])
            self._launch = launch
            return
        away = float((self.phase - expected).abs().max())
        if not away <= _REPLAY_TOLERANCE_RAD:
            raise EngineError(f"{self.name} replays something else than was recorded: {away:.2g} rad away")
        self._launch = graph.replay

    def run(self, frame: Counts, reference: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reconstruct one frame; see :class:`reconstruction.engines.base.Engine`."""
        if self._launch is None:
            raise EngineError(f"{self.name} was not recorded")
        with torch.cuda.stream(self.stream):
            if reference is not self._known:
                self._upload(np.asarray(reference, np.float32), self.reference)
                self._known = reference
                self.stream.synchronize()  # the same pinned memory may hold the frame next
            self._upload(frame, self.frame)
            self._launch()
            self._down.copy_(self.phase[0, 0], non_blocking=True)
        self.stream.synchronize()
        return np.array(self._down.numpy())

    def _upload(self, counts: Counts, to: torch.Tensor) -> None:
        """Send bytes as they are; floats are made on the card. 16 bits travel as signed ones, which torch can convert."""
        raw = np.ascontiguousarray(counts)
        raw = raw.view(np.int16) if raw.dtype == np.uint16 else raw
        if raw.dtype not in self._up:
            pinned = torch.from_numpy(raw.copy()).pin_memory()
            self._up[raw.dtype] = pinned, pinned.cuda()
        pinned, there = self._up[raw.dtype]
        pinned.copy_(torch.from_numpy(raw))
        there.copy_(pinned, non_blocking=True)
        to[0, 0].copy_(there.int().bitwise_and_(0xFFFF) if raw.dtype == np.int16 else there)
