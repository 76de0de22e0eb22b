"""Live reconstruction: from a camera frame to phase, with its latency and inference time."""

from __future__ import annotations

import time
from collections import deque
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from acquisition.streams.times import TimeHistogram, TimeStats
from drivers.base import Frame, FrameMark
from reconstruction.base import Reconstruction, ReconstructionError
from reconstruction.engines.base import Counts, Engine, Estimate, drawn, draws_from_noise, estimate, noise_of, own_seed
from reconstruction.live.reference_gauge import ReferenceGauge
from reconstruction.models.base import Reconstructor
from reconstruction.models.model import Model
from reconstruction.sampling import SamplerChoices, Sampling, Shown

#: Label of the latency wherever it is displayed: from the time of the frame to the reconstruction.
LATENCY_LABEL = "software path"


class LiveMethod(Protocol):
    """A method that computes phase from counts, fast enough for live use."""

    @property
    def name(self) -> str:
        """Name for people: that of the model or of the method."""

    @property
    def id(self) -> str:
        """Identifies what the result depends on, such as the hash of the model."""

    @property
    def engine(self) -> str:
        """Name of the engine that computes it."""

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The fibre's disc on the grid of the phase."""

    def check_frame(self, shape: tuple[int, ...]) -> None:
        """Raise ReconstructionError if frames of ``shape`` do not fit."""

    def run(self, frame: Counts, reference: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the phase in radians, shape (grid, grid), for counts and reference, both (H, W) or (C, H, W)."""


@runtime_checkable
class UncertainMethod(LiveMethod, Protocol):
    """A method that also gives the standard deviation of the phase."""

    @property
    def has_sigma(self) -> bool:
        """Whether the standard deviation is not None."""

    def run_with_sigma(self, frame: Counts, reference: NDArray[np.float32]) -> Estimate:
        """Return the phase and its standard deviation in radians, both (grid, grid)."""


def own_sampling(network: Reconstructor) -> Sampling | None:
    """Return how a network draws samples as it was configured, with its present number of steps; None if it draws none."""
    return Sampling(steps=network.step_count, seed=own_seed(network)) if draws_from_noise(network) else None


def sampler_choices(network: Reconstructor) -> SamplerChoices | None:
    """Return what can be chosen of a network that was just loaded; None if it draws no samples."""
    if not draws_from_noise(network):
        return None
    steps = tuple(sorted({*network.step_choices, network.step_count}))
    return SamplerChoices(steps=steps, has_mean=network.gives_sigma)


class ModelMethod:
    """A trained model on an engine.

    Parameters
    ----------
    model : Model
        The model, with the number of steps that ``engine`` was opened for.
    engine : Engine
        Runs it.
    sampling : Sampling, optional
        How samples are drawn, if the model draws some; by default as it was configured.
    """

    def __init__(self, model: Model, engine: Engine, sampling: Sampling | None = None) -> None:
        self.name = model.card.name
        self.id = model.id
        self.mask = model.mask
        self.check_frame = model.check_frame
        self.has_sigma = model.network.gives_sigma
        self._model = model
        self._engine = engine
        own = own_sampling(model.network)
        self.sampling = None if own is None else sampling or own
        #: The same array for every frame: so the picture does not boil.
        self._noise = None if self.sampling is None else noise_of(model.network, self.sampling.seed)

    @property
    def engine(self) -> str:
        """Name of the engine that runs now: a failing engine is replaced while it runs."""
        return self._engine.name

    def run(self, frame: Counts, reference: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the phase; see :class:`LiveMethod`."""
        return self._engine.run(frame, reference) if self._noise is None else self._drawn(frame, reference, self._noise)[0]

    def run_with_sigma(self, frame: Counts, reference: NDArray[np.float32]) -> Estimate:
        """Return the phase and its standard deviation, where the model gives one."""
        if self._noise is None:
            return estimate(self._model, self._engine, frame, reference)
        return self._drawn(frame, reference, self._noise)

    def _drawn(self, frame: Counts, reference: NDArray[np.float32], noise: NDArray[np.float32]) -> Estimate:
        assert self.sampling is not None
        sample, mean, sigma = drawn(self._engine, frame, reference, noise)
        return mean if self.sampling.shown is Shown.MEAN else sample, sigma if self.has_sigma else None


class LiveReconstructor:
    """Reconstructs one frame after another against a reference.

    Parameters
    ----------
    method : LiveMethod
        Used only by the thread that calls the reconstructor.
    reference : ndarray of float32, shape (H, W) or (C, H, W)
        Mean frame under the flat pattern, in counts.

    Raises
    ------
    ReconstructionError
        The reference has the wrong shape, or is dark.
    """

    def __init__(self, method: LiveMethod, reference: NDArray[np.float32]) -> None:
        method.check_frame(reference.shape)
        if not reference.mean() > 0:
            raise ReconstructionError("the reference speckle is dark; switch the laser on and measure it again")
        #: May be replaced by one of the same model, for other samples.
        self.method = method
        self._reference = np.ascontiguousarray(reference, np.float32)
        self._mask = method.mask
        self._gauge = ReferenceGauge(self._reference)
        self.correlations: deque[float] = deque(maxlen=16)
        self._latencies = TimeHistogram()
        self._inferences = TimeHistogram()

    def __call__(self, frame: Frame) -> Reconstruction:
        """Reconstruct one frame; raises ReconstructionError if it does not fit."""
        self.method.check_frame(frame.pixels.shape)
        start = time.perf_counter()
        phase, sigma = self._estimate(frame)
        inference_s = time.perf_counter() - start
        phase = np.where(self._mask, phase, np.float32(0))
        sigma = None if sigma is None else np.where(self._mask, sigma, np.float32(0))
        if FrameMark.DARK not in frame.marks:  # a frame without light says nothing about the fibre
            self.correlations.append(self._gauge.correlation(frame.pixels))
        latency_s = (time.monotonic_ns() - frame.t_ns) * 1e-9
        self._latencies.add(latency_s)
        self._inferences.add(inference_s)
        return Reconstruction(
            phase,
            frame.index,
            latency_s,
            inference_s,
            self.method.id,
            self.method.engine,
            self._mask,
            sigma,
            model_name=self.method.name,
            sampling=self.method.sampling if isinstance(self.method, ModelMethod) else None,
        )

    def _estimate(self, frame: Frame) -> Estimate:
        if isinstance(self.method, UncertainMethod):
            return self.method.run_with_sigma(frame.pixels, self._reference)
        return self.method.run(frame.pixels, self._reference), None

    @property
    def latency(self) -> TimeStats:
        """The recent latencies, from the end of the exposure to the reconstruction."""
        return self._latencies.stats()

    @property
    def inference(self) -> TimeStats:
        """The recent times inside the engine."""
        return self._inferences.stats()

    @property
    def reference_correlation(self) -> float:
        """Mean correlation of the recent speckle with the reference; 1 is identical, NaN before the first frame."""
        recent = list(self.correlations)
        return float(np.mean(recent)) if recent else float("nan")
