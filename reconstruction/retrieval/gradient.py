"""Phase from one frame by descent through the calibrated fibre: no network, no training, the bound that networks are judged by.

The phase is a sum of images of rising resolution, all descended on at once, so that the large structure falls into place first:
speckle is lost between distant phases, and a start that is blurred but near finds its way. What is compared are amplitudes,
whose camera noise is the same everywhere. Every core's own phase during the shot can be an unknown of its own, small by a
Gaussian prior, as a real fibre's is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from drivers.twin.optics import FibreOptics
from reconstruction.base import ReconstructionError


@dataclass(frozen=True)
class RetrievalConfig:
    """How the descent goes.

    Parameters
    ----------
    steps : int
        Of Adam (Kingma and Ba, ICLR 2015).
    rate_rad : float
        First step of every pixel of every level; it falls to 0 as a cosine.
    finest_px : int
        Camera pixels per pixel of the finest level.
    levels : int
        Each has twice the pixels of the one before.
    smoothness : float
        Weight of total variation, per radian between pixels of the finest level.
    core_noise_rad : float
        Phase noise of a core in one shot, root mean square; 0 takes the fibre as it was calibrated.
    noise_weight : float
        Of that prior beside the data, where it is taken.
    """

    steps: int = 150
    rate_rad: float = 0.1
    finest_px: int = 2
    levels: int = 5
    smoothness: float = 0.003
    core_noise_rad: float = 0.0
    noise_weight: float = 0.0001

    def __post_init__(self) -> None:
        if min(self.steps, self.finest_px, self.levels) < 1 or self.rate_rad <= 0:
            raise ValueError(f"steps, finest_px, levels and rate_rad must be positive: {self}")
        if min(self.smoothness, self.core_noise_rad, self.noise_weight) < 0:
            raise ValueError(f"weights and noise cannot be negative: {self}")


@dataclass(frozen=True, eq=False)
class Retrieved:
    """A retrieved phase.

    Parameters
    ----------
    phase_rad : ndarray of float32, shape (n, n)
        On the camera's grid. Its lowest percentile in the fibre's disc is 0: no intensity tells the absolute level.
    residual : float
        Mean square difference of amplitudes over the mean intensity. It does not tell a wrong calibration from a right one.
    """

    phase_rad: NDArray[np.float32]
    residual: float


def retrieve(
    intensity: NDArray[np.float32],
    optics: FibreOptics,
    background: float = 0.0,
    config: RetrievalConfig | None = None,
    start_rad: NDArray[np.float32] | None = None,
) -> Retrieved:
    """Find the phase image whose speckle is the one that was seen.

    Parameters
    ----------
    intensity : ndarray of float32, shape (n, n)
        The frame in the unit of the calibration, such as counts per second.
    optics : FibreOptics
        With the calibrated response.
    background : float
        Intensity that carries no speckle.
    config : RetrievalConfig
        Settings.
    start_rad : ndarray of float32, shape (n, n), optional
        Phase to start from, such as a network's; flat when left out.

    Raises
    ------
    ReconstructionError
        The frame or the start is not of the optics' shape, or is dark.
    """
    config = config or RetrievalConfig()
    n = optics.config.image_px
    for name, image in (("frame", intensity), ("start", start_rad)):
        if image is not None and image.shape != (n, n):
            raise ReconstructionError(f"the {name} is {image.shape}, the calibrated fibre {(n, n)}; crop the camera")
    mean = float(intensity.mean())
    if not mean > 0:
        raise ReconstructionError(f"the frame's mean is {mean:g}; is the light on?")
    amplitude = torch.from_numpy(intensity / np.float32(mean)).to(optics.device).clamp(min=0).sqrt()
    still = torch.zeros((n, n)) if start_rad is None else torch.from_numpy(np.array(start_rad, np.float32))
    still = still.to(optics.device)
    finest = math.ceil(n / config.finest_px)
    sides = [max(2, finest >> level) for level in range(config.levels)]
    images = [torch.zeros((1, 1, side, side), device=optics.device, requires_grad=True) for side in sides]
    noise = torch.zeros((1, optics.cores), device=optics.device, requires_grad=config.core_noise_rad > 0)
    moved = [*images, noise] if noise.requires_grad else images
    adam = torch.optim.Adam(moved, lr=config.rate_rad, betas=(0.9, 0.99))
    with torch.enable_grad():
        for step in range(config.steps):
            adam.param_groups[0]["lr"] = config.rate_rad * 0.5 * (1 + math.cos(math.pi * step / config.steps))
            change = sum(F.interpolate(image, (finest, finest), mode="bilinear") for image in images[1:]) + images[0]
            phase = still + F.interpolate(change, (n, n), mode="bicubic")[0, 0]
            speckle = optics.intensity(phase[None], noise if noise.requires_grad else None)[0] + background
            residual = ((speckle / mean + 1e-4).sqrt() - amplitude).square().mean()
            loss = residual + config.smoothness * _variation(change)
            if noise.requires_grad:
                loss = loss + config.noise_weight * (noise / config.core_noise_rad).square().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
    with torch.no_grad():
        change = sum(F.interpolate(image, (finest, finest), mode="bilinear") for image in images[1:]) + images[0]
        phase = still + F.interpolate(change, (n, n), mode="bicubic")[0, 0]
    return Retrieved(with_piston(phase.cpu().numpy(), optics), float(residual.detach()))


def _variation(image: torch.Tensor) -> torch.Tensor:
    """Total variation (Rudin, Osher and Fatemi, Physica D 60, 259, 1992), rounded off at 0.03 rad."""
    down, right = image.diff(dim=-2)[..., :-1], image.diff(dim=-1)[..., :-1, :]
    return (down.square() + right.square() + 1e-3).sqrt().mean()


def with_piston(phase_rad: NDArray[np.float32], optics: FibreOptics) -> NDArray[np.float32]:
    """Return the phase with its lowest percentile inside the fibre's disc at 0."""
    n = optics.config.image_px
    axis = np.arange(n) - (n - 1) / 2
    disc = np.hypot(axis[:, None], axis[None, :]) * optics.config.pixel_um <= optics.config.field_radius_um
    return np.asarray(phase_rad - np.percentile(phase_rad[disc], 1), np.float32)
