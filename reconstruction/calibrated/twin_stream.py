"""Pairs that are simulated during training: new noise for every batch, several fibres, and realistic calibration errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from drivers.base import Pattern
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.sensor import SensorConfig, expose
from reconstruction.calibrated.few_step import FINE, FibreBatch
from reconstruction.calibrated.speckle_residual import SpeckleResidual
from reconstruction.field import to_grid

#: Largest number of pictures for training on pictures alone.
_PICTURES = 3000


@dataclass(frozen=True)
class StreamConfig:
    """How pairs are drawn.

    Parameters
    ----------
    error_rad : float
        Largest root-mean-square error of a core's calibrated phase in a mode. Every batch has an error between 0 and this
        value.
    noise_rad : (float, float)
        Range of the root-mean-square phase noise of a core in one shot.
    reference_shots : int
        Number of shots that are averaged into a reference, which every batch has anew. It is half of what the instrument uses,
        to save time.
    """

    error_rad: float = 0.15
    noise_rad: tuple[float, float] = (0.1, 0.3)
    reference_shots: int = 4


class TwinStream:
    """Simulates every batch when it is requested.

    Parameters
    ----------
    patterns : sequence of Pattern
        Drawn when needed, which takes little time compared with the propagation through the fibre.
    fibres : sequence of SpeckleResidual
        Fibres with their calibrated responses, all of the same size. Pictures larger than the fibre are cut at random.
    sensor : SensorConfig
        The camera's sensor.
    exposure_s : float
        Exposure in seconds.
    config : StreamConfig, optional
        Errors and noise.
    """

    def __init__(
        self,
        patterns: Sequence[Pattern],
        fibres: Sequence[SpeckleResidual],
        sensor: SensorConfig,
        exposure_s: float,
        config: StreamConfig | None = None,
    ) -> None:
        self.patterns = patterns
        self.fibres = list(fibres)
        self.config = config or StreamConfig()
        self._sensor = sensor
        self._exposure_s = exposure_s
        self._side = fibres[0].optics.config.image_px
        self._fine_px = self._side // fibres[0].grid_px // FINE

    @property
    def ready(self) -> int:
        """Number of pictures."""
        return len(self.patterns)

    def pictures_rad(self) -> NDArray[np.float32]:
        """Return whole pictures as phase on the fine grid, (n, g, g), 3000 at most."""
        drawn = (self.patterns[index].phase_rad for index in range(min(_PICTURES, self.ready)))
        return np.stack([to_grid(phase, len(phase) // self._fine_px) for phase in drawn])

    def batch(self, indices: NDArray[np.int64], seed: int) -> FibreBatch:
        """Simulate these pictures, cut, rotated and mirrored at random, with one of the fibres."""
        rng = np.random.default_rng((seed, 5))
        generator = torch.Generator().manual_seed(seed)
        fibre = self.fibres[int(rng.integers(len(self.fibres)))]
        phase = torch.from_numpy(np.stack([self._view(self.patterns[int(index)].phase_rad, rng) for index in indices]))
        drift = torch.randn(fibre.transmission.shape[:2], generator=generator) * rng.uniform(0, self.config.error_rad)
        optics = _moved(fibre, drift)
        noise_rad = rng.uniform(*self.config.noise_rad)
        noise = noise_rad * torch.randn((len(phase), optics.cores), generator=generator)
        flat = torch.zeros((self.config.reference_shots, *phase.shape[1:]))
        flat_noise = noise_rad * torch.randn((len(flat), optics.cores), generator=generator)
        reference = self._expose(optics, fibre.background, flat, flat_noise, generator).mean(0, keepdim=True)
        frames = self._expose(optics, fibre.background, phase, noise, generator)
        fine = F.avg_pool2d(phase[:, None], self._fine_px)
        return FibreBatch(frames, reference, fine, fibre, noise + drift.mean(0))

    def _view(self, picture: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        n = self._side
        top, left = (int(rng.integers(side - n + 1)) for side in picture.shape)
        view = np.rot90(picture[top : top + n, left : left + n], int(rng.integers(4)))
        if rng.random() < 0.5:
            view = np.fliplr(view)
        return np.ascontiguousarray(view)

    def _expose(
        self,
        optics: FibreOptics,
        background: float,
        phase: torch.Tensor,
        noise: torch.Tensor,
        generator: torch.Generator,
    ) -> torch.Tensor:
        with torch.no_grad():
            intensity = optics.intensity(phase, noise) + background
        counts = expose(intensity, self._exposure_s, 8, self._sensor, generator)
        return torch.from_numpy(counts.astype(np.float32))[:, None]


def _moved(fibre: SpeckleResidual, drift_rad: torch.Tensor) -> FibreOptics:
    """Return the fibre with other phases of the cores in every mode; its intensity is in the scaled unit."""
    gain = fibre.transmission.abs().square().sum(-1).sqrt()
    rows = fibre.transmission / gain.clamp(min=1e-12)[..., None]
    return fibre.optics.with_response(gain, drift_rad, rows)


def fresh_fibres(optics: OpticsConfig, window_px: int, cell_px: int, count: int, first_seed: int) -> list[SpeckleResidual]:
    """Draw fibres like ``optics`` on frames of ``window_px``, with a disc that is smaller by the same factor.

    The networks see only a neighbourhood. They learn as much from a quarter of a field, four times as fast.
    """
    radius_um = optics.field_radius_um * window_px / optics.image_px
    like = replace(optics, image_px=window_px, field_radius_um=radius_um)
    fibres = (FibreOptics(replace(like, seed=seed)) for seed in range(first_seed, first_seed + count))
    return [SpeckleResidual(fibre, optics.background, window_px // cell_px) for fibre in fibres]
