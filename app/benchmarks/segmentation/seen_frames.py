"""Frames of the configured twin, exposed, judged and reconstructed as in the live view."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from app.instrument.config import InstrumentConfig
from app.instrument.opening import fibre_name
from app.instrument.responses import attach
from app.live.frame_judge import FrameJudge
from drivers.base import Frame, FrameMark
from drivers.twin.optics import FibreOptics
from reconstruction.data.pairs import TwinExposure
from reconstruction.engines.base import estimate
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.models.model import load_model

Phase = NDArray[np.float32]


@dataclass(frozen=True, eq=False, kw_only=True)
class SeenFrame:
    """What the live view has of one frame.

    Parameters
    ----------
    phase_rad : ndarray of float32, shape (grid, grid)
        Reconstructed phase in radians; 0 outside the disc.
    std_rad : ndarray of float32, shape (grid, grid), optional
        Its standard deviation, where the model gives one.
    readable : bool
        Whether the frame still shows the object. If not, it is not segmented.
    marks : tuple of FrameMark
        What is wrong with it.
    """

    phase_rad: Phase
    std_rad: Phase | None
    readable: bool
    marks: tuple[FrameMark, ...]


def labels_in_disc(labels: NDArray[np.uint16], mask: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Return labels (side, side) on the grid of a disc (grid, grid), with their numbers; 0 outside the disc."""
    grid = cv2.resize(labels, mask.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(np.where(mask, grid, 0), np.uint16)


class FrameSource:
    """Exposes patterns on the twin of an instrument, against a reference that was measured at first.

    Parameters
    ----------
    config : InstrumentConfig
        The instrument, on a twin; its model reconstructs.
    seed : int
        Seed of all noise.
    """

    def __init__(self, config: InstrumentConfig, seed: int) -> None:
        self.model = load_model(config.model)
        attach(self.model, config.response, fibre_name(config.twin.optics))
        self.mask = self.model.mask
        self.side_px = config.twin.optics.image_px
        self._engine = TorchEngine(self.model)
        self._sensor, self._exposure_s, self._seed = config.twin.camera.sensor, config.twin.camera.exposure_s, seed
        self._optics = config.twin.optics
        self._exposure = TwinExposure(FibreOptics(self._optics), self._sensor, self._exposure_s, seed)
        self._reference = self._exposure.reference()
        self._judge = FrameJudge()
        self._judge.set_reference(self._reference)
        self._count = 0

    @property
    def blank(self) -> Phase:
        """The flat pattern."""
        return np.zeros((self.side_px, self.side_px), np.float32)

    @contextmanager
    def light(self, fraction: float) -> Iterator[None]:
        """Expose for a fraction of the usual time."""
        usual = self._exposure
        self._seed += 1
        self._exposure = TwinExposure(usual.optics, self._sensor, fraction * self._exposure_s, self._seed)
        yield
        self._exposure = usual

    @contextmanager
    def drifted(self, drift_rad: float, drift_seed: int) -> Iterator[None]:
        """Let the phases of the cores move by so much, rms, in a direction of their own."""
        usual = self._exposure
        self._seed += 1
        moved = FibreOptics(replace(self._optics, drift_rad=drift_rad, drift_seed=drift_seed))
        self._exposure = TwinExposure(moved, self._sensor, self._exposure_s, self._seed)
        yield
        self._exposure = usual

    def see(self, phase_rad: Phase) -> SeenFrame:
        """Return what the live view has of a pattern (side, side)."""
        pixels = self._exposure(phase_rad[None])[0]
        frame = self._judge(Frame(pixels, self._count, self._count, self._exposure_s))
        self._count += 1
        phase, std = estimate(self.model, self._engine, pixels, self._reference)
        return SeenFrame(
            phase_rad=np.where(self.mask, phase, np.float32(0)),
            std_rad=None if std is None else np.where(self.mask, std, np.float32(0)),
            readable=frame.readable,
            marks=frame.marks,
        )
