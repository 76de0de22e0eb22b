"""The live stage: camera frame in, reconstruction out, with the times that count."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.base import Frame
from reconstruction.base import Reconstruction, ReconstructionError
from reconstruction.engines.base import Engine
from reconstruction.model import Model
from reconstruction.segment import segment

#: What a latency is measured between, shown wherever it is shown.
LATENCY_LABEL = "software path"


@dataclass(frozen=True, eq=False)
class Inferred:
    """What the engine made of a frame, before masking and segmentation."""

    frame: Frame
    phase_rad: NDArray[np.float32]
    inference_s: float


class LiveReconstructor:
    """Reconstructs one frame after another against a reference.

    Parameters
    ----------
    model : Model
        Its card's mask and identity.
    engine : Engine
        Runs it; used only by the thread that calls.
    reference : ndarray of float32, shape (frame_px, frame_px)
        Mean speckle under the flat pattern, in counts.

    Raises
    ------
    ReconstructionError
        The reference has the wrong shape or is dark.
    """

    def __init__(self, model: Model, engine: Engine, reference: NDArray[np.float32]) -> None:
        model.check_frame((reference.shape[0], reference.shape[1]))
        if not reference.mean() > 0:
            raise ReconstructionError("the reference speckle is dark; switch the laser on and take it again")
        self._model = model
        self._engine = engine
        self._reference = np.ascontiguousarray(reference, np.float32)
        self._counts = np.empty_like(self._reference)
        self._mask = model.mask
        self._gauge = self._sparse(self._reference)
        self.correlations: deque[float] = deque(maxlen=16)
        self.latencies_s: deque[float] = deque(maxlen=2048)
        self.inferences_s: deque[float] = deque(maxlen=2048)

    def __call__(self, frame: Frame) -> Reconstruction:
        """Reconstruct and segment one frame; raises ReconstructionError when it does not fit the model."""
        return self.finish(self.infer(frame))

    def infer(self, frame: Frame) -> Inferred:
        """Run the engine on one frame: the engine's own thread does only this."""
        self._model.check_frame(frame.shape)
        np.copyto(self._counts, frame.pixels)
        start = time.perf_counter()
        phase = self._engine.run(self._counts, self._reference)
        return Inferred(frame, phase, time.perf_counter() - start)

    def finish(self, inferred: Inferred) -> Reconstruction:
        """Mask, segment and gauge what the engine made; may run in another thread, while the engine takes the next frame."""
        frame, inference_s = inferred.frame, inferred.inference_s
        phase = np.where(self._mask, inferred.phase_rad, np.float32(0))
        labels = segment(phase, self._mask)
        self.correlations.append(float(self._sparse(frame.pixels) @ self._gauge))
        latency_s = (time.monotonic_ns() - frame.t_ns) * 1e-9
        self.latencies_s.append(latency_s)
        self.inferences_s.append(inference_s)
        return Reconstruction(phase, frame.index, latency_s, inference_s, self._model.id, self._engine.name, labels)

    def latency_s(self, *percentiles: float) -> tuple[float, ...]:
        """Percentiles of recent latencies in seconds; NaN before the first frame."""
        return tuple(float(v) for v in np.percentile(list(self.latencies_s) or [np.nan], percentiles))

    def inference_s(self) -> float:
        """Median of recent inference times in seconds; NaN before the first frame."""
        return float(np.median(list(self.inferences_s) or [np.nan]))

    @property
    def reference_correlation(self) -> float:
        """How far recent speckle still belongs to the reference: mean correlation, 1 is identical."""
        recent = list(self.correlations)
        return float(np.mean(recent)) if recent else float("nan")

    @staticmethod
    def _sparse(counts: NDArray[Any]) -> NDArray[np.float32]:
        # Every third pixel in both directions: coarser than a grain, so hardly a statistic is lost.
        values = counts[::3, ::3].astype(np.float32).ravel()
        values = values - values.mean()
        return np.asarray(values / max(float(np.linalg.norm(values)), 1e-9), np.float32)
