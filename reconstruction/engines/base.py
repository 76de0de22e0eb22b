"""What every engine must do: take frames of one fixed shape, give the same phase as torch, and work on any device."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from reconstruction.base import ReconstructionError
from reconstruction.models.base import Reconstructor
from reconstruction.models.model import Model

#: Camera counts, as the camera gave them or averaged.
Counts = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]


class Precision(StrEnum):
    """Number format in which an engine computes its networks. Counts, front end and phase are always 32-bit floats."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"


class EngineError(ReconstructionError):
    """An engine cannot be built, or its result differs from that of torch."""


#: How the name of an engine begins that runs a network in parts.
IN_PARTS = "torch + "

#: Exceptions of a failing engine: torch, OpenVINO and ONNX Runtime raise nothing more specific.
FAILURES = (EngineError, RuntimeError, MemoryError, ValueError, OSError)


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, or the exception's name where it has no message."""
    return (str(error).splitlines() or [type(error).__name__])[0]


@dataclass(frozen=True)
class Sizes:
    """The sizes of what goes through an engine.

    Parameters
    ----------
    frame_px, grid_px : int
        Sides of frame and phase.
    planes : int
        1 for the phase alone, 2 with its standard deviation, 3 for sample, mean and standard deviation.
    noise_channels : int
        Number of noise images that go in; 0 for models that draw no samples from noise.
    channels : int
        Colours or planes of a frame.
    """

    frame_px: int
    grid_px: int
    planes: int
    noise_channels: int = 0
    channels: int = 1

    @classmethod
    def of(cls, model: Model) -> Self:
        """Return the sizes of a model."""
        network = model.network
        if draws_from_noise(network):
            return cls(model.frame_px, model.grid_px, DRAWN_PLANES, network.noise_channels, network.channels)
        return cls(model.frame_px, model.grid_px, network.planes, channels=network.channels)


#: Sample, mean and standard deviation.
DRAWN_PLANES = 3


def draws_from_noise(network: Reconstructor) -> bool:
    """Whether noise is an input of a network, and with it of the engines that run it: see :class:`DrawingEngine`."""
    return network.gives_samples and network.noise_channels > 0


def noise_of(network: Reconstructor, seed: int) -> NDArray[np.float32]:
    """Return the noise of a seed, (1, noise_channels, grid_px, grid_px)."""
    return np.asarray(network.noise(seed).numpy(), np.float32)


def own_noise(network: Reconstructor) -> NDArray[np.float32] | None:
    """Return the noise of the seed that a network was configured with; None where noise is no input."""
    return noise_of(network, own_seed(network)) if draws_from_noise(network) else None


def own_seed(network: Reconstructor) -> int:
    """Return the seed that a network was configured with."""
    return int(getattr(network.config, "seed", 0))


def network_input(counts: Counts) -> NDArray[np.float32]:
    """Return counts (H, W) or (C, H, W) as the input of a network, float32, (1, C, H, W)."""
    batch = counts.astype(np.float32, copy=False)[None]
    return batch if batch.ndim == 4 else batch[None]


class Engine(Protocol):
    """Runs one model, one frame at a time. One thread creates, uses and destroys it."""

    @property
    def name(self) -> str:
        """Short name with precision, for status lines: ``onnxruntime fp32``."""

    def run(self, frame: Counts, reference: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reconstruct one frame.

        Parameters
        ----------
        frame : ndarray of uint8, uint16 or float32, shape (frame_px, frame_px) or (channels, frame_px, frame_px)
            Camera counts.
        reference : ndarray of float32, shaped as the frame
            Mean frame under the flat pattern, in counts. The caller does not change the array in place while it is in use,
            because an engine copies the same array only once.

        Returns
        -------
        ndarray of float32, shape (grid_px, grid_px)
            Phase in radians. Every call returns a new array.
        """


#: A phase (grid_px, grid_px) in radians, and its standard deviation; None where the model gives none.
Estimate = tuple[NDArray[np.float32], NDArray[np.float32] | None]


@runtime_checkable
class UncertainEngine(Engine, Protocol):
    """An engine that gives the standard deviation of the phase where its model does."""

    def run_with_sigma(self, frame: Counts, reference: NDArray[np.float32]) -> Estimate:
        """Reconstruct one frame; see :meth:`Engine.run`. Every call returns new arrays."""


@runtime_checkable
class DrawingEngine(Engine, Protocol):
    """An engine that draws samples where its model does. Without a noise it uses that of the model's own seed."""

    def drawn(self, frame: Counts, reference: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reconstruct one frame; see :meth:`Engine.run`.

        Parameters
        ----------
        frame, reference : ndarray, shape (frame_px, frame_px) or (channels, frame_px, frame_px)
            Counts.
        noise : ndarray of float32, shape (1, noise_channels, grid_px, grid_px)
            From :func:`noise_of`. Like the reference, the same array is copied only once.

        Returns
        -------
        ndarray of float32, shape (3, grid_px, grid_px)
            Sample, mean and standard deviation in radians. Every call returns a new array.
        """


def run_with_sigma(engine: Engine, frame: Counts, reference: NDArray[np.float32]) -> Estimate:
    """Reconstruct one frame with its standard deviation, if the engine gives one."""
    return (
        engine.run_with_sigma(frame, reference) if isinstance(engine, UncertainEngine) else (engine.run(frame, reference), None)
    )


def estimate(model: Model, engine: Engine, frame: Counts, reference: NDArray[np.float32]) -> Estimate:
    """Reconstruct one frame of a model as the live view does: with its standard deviation, if the model gives one."""
    return run_with_sigma(engine, frame, reference) if model.network.gives_sigma else (engine.run(frame, reference), None)


def drawn(engine: Engine, frame: Counts, reference: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return sample, mean and standard deviation of one frame; raises EngineError if the engine draws no samples."""
    if not isinstance(engine, DrawingEngine):
        raise EngineError(f"{engine.name} draws no samples; use another engine")
    return engine.drawn(frame, reference, noise)


def estimate_of(planes: NDArray[np.float32]) -> Estimate:
    """Return copies of the first plane, which is the phase, and of the last of several, which is its standard deviation."""
    return np.array(planes[0]), np.array(planes[-1]) if len(planes) > 1 else None


def planes_of(estimated: Estimate) -> NDArray[np.float32]:
    """Return the planes (1 or 2, grid_px, grid_px) of an estimate."""
    return np.stack([plane for plane in estimated if plane is not None])
