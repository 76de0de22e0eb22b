"""Pairs made while training: fresh noise for every batch, several fibres, and calibrations with the errors they have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from drivers.optics import FibreOptics, OpticsConfig
from drivers.sensor import SensorConfig, expose
from reconstruction.calibrated.few_step import FINE, FibreBatch
from reconstruction.calibrated.speckle_residual import SpeckleResidual
from reconstruction.data import REFERENCE_SHOTS


@dataclass(frozen=True)
class StreamConfig:
    """How pairs are drawn.

    Parameters
    ----------
    window_px : int
        Side of the frames; the fibre's disc shrinks with it. Steps that see only their neighbourhood learn as much from a
        quarter of a field, four times as fast.
    fibres : int
        How many different ones, of seeds from ``first_seed`` on.
    error_rad : float
        Largest error of a core's calibrated phase in a mode, root mean square; each batch has one up to it.
    noise_rad : (float, float)
        Range of the phase noise of a core in one shot, root mean square.
    """

    window_px: int = 256
    fibres: int = 8
    first_seed: int = 100
    error_rad: float = 0.2
    noise_rad: tuple[float, float] = (0.1, 0.3)


class TwinStream:
    """Simulates a batch when asked for it.

    Parameters
    ----------
    patterns : ndarray of uint8, shape (n, S, S)
        Grey of the pictures, 255 is ``range_rad``.
    optics : OpticsConfig
        What all fibres have in common.
    """

    def __init__(
        self,
        patterns: NDArray[np.uint8],
        optics: OpticsConfig,
        sensor: SensorConfig,
        exposure_s: float,
        range_rad: float,
        cell_px: int,
        config: StreamConfig,
    ) -> None:
        self.patterns, self.config = patterns, config
        self._sensor, self._exposure_s, self._range_rad = sensor, exposure_s, range_rad
        n = config.window_px
        self._fine_px = cell_px // FINE
        radius_um = optics.field_radius_um * n / optics.image_px
        seeds = range(config.first_seed, config.first_seed + config.fibres)
        self._fibres = [FibreOptics(replace(optics, image_px=n, field_radius_um=radius_um, seed=seed)) for seed in seeds]
        self._residuals = [SpeckleResidual(fibre, optics.background, n // cell_px) for fibre in self._fibres]

    @property
    def ready(self) -> int:
        """Number of pictures."""
        return len(self.patterns)

    def pictures_rad(self) -> NDArray[np.float32]:
        """All pictures as phase on the fine grid, (n, g, g): whole, not cut."""
        side = self.patterns.shape[1] // self._fine_px
        size = (side, side)
        small = [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in self.patterns]
        return np.stack(small).astype(np.float32) * np.float32(self._range_rad / 255)

    def batch(self, indices: NDArray[np.int64], seed: int) -> FibreBatch:
        """Show these pictures, cut and turned at random, to one of the fibres."""
        rng = np.random.default_rng((seed, 5))
        generator = torch.Generator().manual_seed(seed)
        number = int(rng.integers(len(self._fibres)))
        phase = torch.from_numpy(np.stack([self._view(self.patterns[index], rng) for index in indices]))
        drift = rng.uniform(0, self.config.error_rad) * torch.randn(self._fibres[number].core_phase.shape, generator=generator)
        optics = _moved(self._fibres[number], drift)
        noise_rad = rng.uniform(*self.config.noise_rad)
        noise = noise_rad * torch.randn((len(phase), optics.cores), generator=generator)
        flat = torch.zeros((REFERENCE_SHOTS, *phase.shape[1:]))
        still = noise_rad * torch.randn((len(flat), optics.cores), generator=generator)
        reference = self._expose(optics, flat, still, generator).mean(0, keepdim=True)
        frames = self._expose(optics, phase, noise, generator)
        fine = torch.nn.functional.avg_pool2d(phase[:, None], self._fine_px)
        return FibreBatch(frames, reference, fine, self._residuals[number], noise + drift.mean(0))

    def _view(self, picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float32]:
        n = self.config.window_px
        top, left = (int(rng.integers(side - n + 1)) for side in picture.shape)
        view = np.rot90(picture[top : top + n, left : left + n], int(rng.integers(4)))
        if rng.random() < 0.5:
            view = np.fliplr(view)
        return view.astype(np.float32) * np.float32(self._range_rad / 255)

    def _expose(
        self, optics: FibreOptics, phase: torch.Tensor, noise: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        with torch.no_grad():
            intensity = optics.intensity(phase, noise) + optics.config.background
        counts = expose(intensity, self._exposure_s, 8, self._sensor, generator)
        return torch.from_numpy(counts.astype(np.float32))[:, None]


def _moved(optics: FibreOptics, drift_rad: torch.Tensor) -> FibreOptics:
    """Return the fibre with every core's phase moved in every mode."""
    transmission = optics.transmission()
    gain = transmission.abs().square().sum(-1).sqrt()
    rows = transmission / gain.clamp(min=1e-12)[..., None]
    return optics.with_response(gain, drift_rad, rows)


def grey_pictures(patterns: Sequence[NDArray[np.float32]], range_rad: float) -> NDArray[np.uint8]:
    """Phase images as grey of 8 bit, a quarter of the room."""
    return np.stack([np.round(np.clip(phase / range_rad, 0, 1) * 255).astype(np.uint8) for phase in patterns])
