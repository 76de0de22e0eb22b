"""Phase retrieval from one frame by gradient descent through the calibrated fibre, without a network and without training.

Networks are compared with this result. The phase is a sum of images of increasing resolution, which are optimised together, so
that the large structures converge first. This matters because the speckles of two very different phases are uncorrelated: the
descent succeeds only from a phase that is close, even if blurred. It compares amplitudes, because their camera noise is the
same everywhere. The phase noise of every core during the shot can be an additional unknown, which a Gaussian prior keeps small.
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


@dataclass(frozen=True, kw_only=True)
class RetrievalConfig:
    """Settings of the gradient descent.

    Parameters
    ----------
    steps : int
        Steps of Adam (Kingma and Ba, ICLR 2015).
    rate_rad : float
        First step of every pixel at every resolution; it decreases to 0 as a cosine.
    finest_px : int
        Camera pixels per pixel of the finest image.
    levels : int
        Number of images; each has twice the pixels per side of the image before.
    smoothness : float
        Weight of the total variation, per radian between pixels of the finest image.
    core_noise_rad : float
        Root-mean-square phase noise of a core in one shot. 0 means that the cores keep their calibrated phases.
    noise_weight : float
        Weight of the prior of the core noise beside the data; used if ``core_noise_rad`` is positive.
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
class RetrievedPhase:
    """A retrieved phase.

    Parameters
    ----------
    phase_rad : ndarray of float32, shape (n, n)
        Phase on the camera's grid. Its lowest percentile in the fibre's disc is 0, because intensities do not depend on the
        absolute level.
    residual : float
        Mean square difference of amplitudes divided by the mean intensity. It does not detect a wrong calibration.
    """

    phase_rad: NDArray[np.float32]
    residual: float


def retrieve(
    intensity: NDArray[np.float32],
    optics: FibreOptics,
    background: float = 0.0,
    config: RetrievalConfig | None = None,
    start_rad: NDArray[np.float32] | None = None,
) -> RetrievedPhase:
    """Find the phase image whose predicted speckle agrees with the frame.

    Parameters
    ----------
    intensity : ndarray of float32, shape (n, n)
        The frame, in any unit of intensity.
    optics : FibreOptics
        The fibre with its calibrated response.
    background : float
        Intensity without speckle.
    config : RetrievalConfig, optional
        Settings.
    start_rad : ndarray of float32, shape (n, n), optional
        Phase to start from, such as the output of a network. Without it the start is flat.

    Raises
    ------
    ReconstructionError
        The frame or the start has the wrong shape, or the frame is dark.
    """
    config = config or RetrievalConfig()
    n = optics.config.image_px
    for name, image in (("frame", intensity), ("start", start_rad)):
        if image is not None and image.shape != (n, n):
            raise ReconstructionError(
                f"the {name} is {image.shape} px, the calibrated fibre {(n, n)} px; set the camera's ROI to this size"
            )
    mean = float(intensity.mean())
    if not mean > 0:
        raise ReconstructionError(f"the frame's mean is {mean:g} counts; is the light on?")
    amplitude = torch.from_numpy(intensity / np.float32(mean)).to(optics.device).clamp(min=0).sqrt()
    start = torch.zeros((n, n)) if start_rad is None else torch.from_numpy(np.array(start_rad, np.float32))
    start = start.to(optics.device)
    finest = math.ceil(n / config.finest_px)
    sides = [max(2, finest >> level) for level in range(config.levels)]
    images = [torch.zeros((1, 1, side, side), device=optics.device, requires_grad=True) for side in sides]
    noise = torch.zeros((1, optics.cores), device=optics.device, requires_grad=config.core_noise_rad > 0)
    unknowns = [*images, noise] if noise.requires_grad else images
    adam = torch.optim.Adam(unknowns, lr=config.rate_rad, betas=(0.9, 0.99))

    def change_of() -> torch.Tensor:
        coarser = (F.interpolate(image, (finest, finest), mode="bilinear") for image in images[1:])
        return torch.as_tensor(sum(coarser) + images[0])

    def phase_of(change: torch.Tensor) -> torch.Tensor:
        return start + F.interpolate(change, (n, n), mode="bicubic")[0, 0]

    with torch.enable_grad():
        for step in range(config.steps):
            adam.param_groups[0]["lr"] = config.rate_rad * 0.5 * (1 + math.cos(math.pi * step / config.steps))
            change = change_of()
            phase = phase_of(change)
            speckle = optics.intensity(phase[None], noise if noise.requires_grad else None)[0] + background
            # Only the distribution of the light counts: the laser may have become brighter or dimmer since the calibration.
            residual = ((speckle / speckle.detach().mean() + 1e-4).sqrt() - amplitude).square().mean()
            loss = residual + config.smoothness * _variation(change)
            if noise.requires_grad:
                loss = loss + config.noise_weight * (noise / config.core_noise_rad).square().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
    with torch.no_grad():
        phase = phase_of(change_of())
    return RetrievedPhase(with_piston(phase.cpu().numpy(), optics), float(residual.detach()))


def _variation(image: torch.Tensor) -> torch.Tensor:
    """Return the total variation (Rudin, Osher and Fatemi, Physica D 60, 259, 1992), smoothed below 0.03 rad."""
    down, right = image.diff(dim=-2)[..., :-1], image.diff(dim=-1)[..., :-1, :]
    return (down.square() + right.square() + 1e-3).sqrt().mean()


def with_piston(phase_rad: NDArray[np.float32], optics: FibreOptics) -> NDArray[np.float32]:
    """Return the phase shifted so that its lowest percentile inside the fibre's disc is 0."""
    n = optics.config.image_px
    axis = np.arange(n) - (n - 1) / 2
    disc = np.hypot(axis[:, None], axis[None, :]) * optics.config.pixel_um <= optics.config.field_radius_um
    return np.asarray(phase_rad - np.percentile(phase_rad[disc], 1), np.float32)
