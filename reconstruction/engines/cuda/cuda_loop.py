"""What all engines on an NVIDIA GPU share: fixed buffers, their own stream, one upload and one download per frame.

Counts are uploaded as the camera gave them and converted to floats on the GPU. All operations of a frame are recorded once as
a CUDA graph and then replayed, so that no memory is allocated in the steady state.
"""

from __future__ import annotations

import ctypes
import logging
import sys
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from reconstruction.engines.base import Counts, EngineError, Estimate, Sizes, estimate_of, first_line

log = logging.getLogger(__name__)

_WARM_RUNS = 3
#: Largest difference between a replay and the recorded operations, which do the same arithmetic.
_REPLAY_TOLERANCE_RAD = 1e-3


def no_cuda() -> str:
    """Return why no NVIDIA GPU can be used here; empty if one can."""
    return "" if torch.cuda.is_available() else "there is no NVIDIA GPU, or no driver for it"


def gpu_facts() -> dict[str, object]:
    """Return the facts that a built engine depends on: GPU, compute capability, driver."""
    if not torch.cuda.is_available():
        return {"device": "none", "capability": [], "driver": 0}
    return {
        "device": torch.cuda.get_device_name(),
        "capability": list(torch.cuda.get_device_capability()),
        "driver": _driver_version(),
    }


def _driver_version() -> int:
    """Return the CUDA version of the driver, 13000 for 13.0; 0 if it cannot be read."""
    version = ctypes.c_int(0)
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        driver.cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError):
        return 0
    return version.value


class CudaLoop:
    """Runs a function on the GPU that computes :attr:`planes` from :attr:`frame`, :attr:`reference` and :attr:`noise`.

    Parameters
    ----------
    name : str
        Name for status lines.
    sizes : Sizes
        Sizes of frame and planes: the phase, and its standard deviation where the model gives one.
    noise : ndarray of float32, optional
        That of the model's own seed, where :attr:`noise` is an input too.

    Raises
    ------
    EngineError
        There is no GPU, or not enough memory on it.
    """

    def __init__(self, name: str, sizes: Sizes, noise: NDArray[np.float32] | None = None) -> None:
        if why := no_cuda():
            raise EngineError(f"{name} needs an NVIDIA GPU: {why}")
        self.name = name
        try:
            self.frame = torch.zeros((1, sizes.channels, sizes.frame_px, sizes.frame_px), device="cuda")
            self.reference = torch.zeros_like(self.frame)
            self.noise = torch.zeros((1, sizes.noise_channels, sizes.grid_px, sizes.grid_px), device="cuda")
            self.planes = torch.zeros((1, sizes.planes, sizes.grid_px, sizes.grid_px), device="cuda")
            self._down = torch.zeros(self.planes.shape[1:]).pin_memory()
        except RuntimeError as error:
            raise EngineError(f"{name}: {first_line(error)}") from error
        self.stream = torch.cuda.Stream()
        self._up: dict[np.dtype[np.generic], tuple[torch.Tensor, torch.Tensor]] = {}
        self._launch: Callable[[], None] | None = None
        self._own_noise = noise
        self._known: NDArray[np.float32] | None = None
        self._known_noise: NDArray[np.float32] | None = None

    def record(self, launch: Callable[[], None]) -> None:
        """Warm up, record the operations of ``launch`` on the current stream, and compare a replay with them.

        A function that cannot be recorded, because it draws random numbers on the processor for instance, is called again for
        every frame.

        Raises
        ------
        EngineError
            ``launch`` fails, or its replay gives another result.
        """
        generator = torch.Generator().manual_seed(0)
        speckle = torch.rand(self.frame.shape, generator=generator) * 72
        noise = torch.randn(self.noise.shape, generator=generator)
        try:
            with torch.cuda.stream(self.stream):
                self.frame.copy_(speckle)
                self.reference.copy_(speckle.flip(-1))
                self.noise.copy_(noise)
                for _ in range(_WARM_RUNS):
                    launch()
                expected = self.planes.clone()
            self.stream.synchronize()
        except RuntimeError as error:
            raise EngineError(f"{self.name} does not run: {first_line(error)}") from error
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self.stream):
                launch()
            with torch.cuda.stream(self.stream):
                self.planes.zero_()
                graph.replay()
            self.stream.synchronize()
        except RuntimeError as error:
            log.info("%s is launched again for every frame, because it could not be recorded: %s", self.name, first_line(error))
            self._launch = launch
            return
        difference_rad = float((self.planes - expected).abs().max())
        if not difference_rad <= _REPLAY_TOLERANCE_RAD:
            raise EngineError(f"the replay of {self.name} differs by {difference_rad:.2g} rad from the recorded result")
        self._launch = graph.replay

    def run(self, frame: Counts, reference: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reconstruct one frame; see :class:`reconstruction.engines.base.Engine`."""
        return self.run_with_sigma(frame, reference)[0]

    def run_with_sigma(self, frame: Counts, reference: NDArray[np.float32]) -> Estimate:
        """Reconstruct one frame; see :class:`reconstruction.engines.base.UncertainEngine`."""
        return estimate_of(self._run(frame, reference, self._own_noise))

    def drawn(self, frame: Counts, reference: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reconstruct one frame; see :class:`reconstruction.engines.base.DrawingEngine`."""
        return np.array(self._run(frame, reference, noise))

    def _run(self, frame: Counts, reference: NDArray[np.float32], noise: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """Return the planes, which the next call overwrites."""
        if self._launch is None:
            raise EngineError(f"{self.name} was not recorded")
        with torch.cuda.stream(self.stream):
            if reference is not self._known:
                self._upload(np.asarray(reference, np.float32), self.reference)
                self._known = reference
                self.stream.synchronize()  # the same pinned memory may hold the frame next
            if noise is not None and noise is not self._known_noise:
                self.noise.copy_(torch.from_numpy(noise))
                self._known_noise = noise
            self._upload(frame, self.frame)
            self._launch()
            self._down.copy_(self.planes[0], non_blocking=True)
        self.stream.synchronize()
        return self._down.numpy()

    def _upload(self, counts: Counts, to: torch.Tensor) -> None:
        """Upload counts as they are and convert them on the GPU; uint16 travels as int16, which torch can convert."""
        raw = np.ascontiguousarray(counts)
        raw = raw.view(np.int16) if raw.dtype == np.uint16 else raw
        if raw.dtype not in self._up:
            pinned = torch.from_numpy(raw.copy()).pin_memory()
            self._up[raw.dtype] = pinned, pinned.cuda()
        pinned, there = self._up[raw.dtype]
        pinned.copy_(torch.from_numpy(raw))
        there.copy_(pinned, non_blocking=True)
        to[0].copy_(there.int().bitwise_and_(0xFFFF) if raw.dtype == np.int16 else there)
