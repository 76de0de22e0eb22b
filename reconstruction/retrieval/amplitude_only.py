"""The classical way: alternate between the camera's amplitude and what the facet allows, no gradients.

Gerchberg and Saxton, Optik 35, 237 (1972), between two planes that the calibrated fibre connects; Fienup, Appl. Opt. 21, 2758
(1982), calls it error reduction. On the camera the field takes the measured amplitude; at the facet it is projected on the
cores' modes, and every core takes the amplitude that the calibration gave it. What is left in a core beside its calibrated
phase is the object's phase there. It works for one mode without coupling only: elsewhere a core's light is not one pixel's.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import spatial
from skimage.restoration import unwrap_phase

from drivers.twin.optics import FibreOptics
from reconstruction.base import ReconstructionError
from reconstruction.retrieval.gradient import Retrieved, with_piston


def retrieve_amplitude_only(
    intensity: NDArray[np.float32], optics: FibreOptics, background: float = 0.0, iterations: int = 100, core_smooth: int = 7
) -> Retrieved:
    """Find the phase by alternating projections from a flat start.

    Parameters
    ----------
    intensity : ndarray of float32, shape (n, n)
        The frame in the unit of the calibration.
    optics : FibreOptics
        With the calibrated response, of one mode and without coupling.
    background : float
        Intensity that carries no speckle.
    iterations : int
        To the camera and back.
    core_smooth : int
        Cores averaged over, the core and its nearest, which takes off noise.

    Raises
    ------
    ReconstructionError
        The fibre has modes or coupling, or the frame does not fit it.
    """
    n, modes = optics.config.image_px, len(optics.core_phase)
    if modes > 1 or optics.neighbours.shape[1] > 1:
        raise ReconstructionError(
            f"alternating projections need one mode without coupling, this fibre has {modes} modes and "
            f"{optics.neighbours.shape[1]} neighbours; use gradient retrieval"
        )
    if intensity.shape != (n, n):
        raise ReconstructionError(f"the frame is {intensity.shape}, the calibrated fibre {(n, n)}; crop the camera")
    amplitude = torch.from_numpy(np.sqrt(np.maximum(intensity - background, 0))).to(optics.device)
    response = torch.polar(optics.core_gain.expand_as(optics.core_phase), optics.core_phase)
    with torch.no_grad():
        light = torch.ones(optics.cores, dtype=torch.complex64, device=optics.device)
        for _ in range(iterations):
            field = optics.propagate((light * response)[None])[0, 0]
            seen = amplitude * field / field.abs().clamp(min=1e-12)
            light = optics.collect(seen[None, None])[0, 0] * response[0].conj()
            light = light / light.abs().clamp(min=1e-12)
        left = (optics.propagate((light * response)[None])[0, 0].abs() - amplitude).square().mean() / amplitude.square().mean()
    return Retrieved(with_piston(_image(light.cpu().numpy(), optics, core_smooth), optics), float(left))


def _image(light: NDArray[np.complex64], optics: FibreOptics, core_smooth: int) -> NDArray[np.float32]:
    """Phase image (n, n) from the cores' light: averaged over neighbours, nearest core on each pixel, unwrapped."""
    n = optics.config.image_px
    tree = spatial.cKDTree(optics.core_positions_px)
    _, near = tree.query(optics.core_positions_px, k=np.arange(1, core_smooth + 1))
    smooth = light[near].mean(axis=1)
    axis = np.arange(n) - (n - 1) / 2
    pixels = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1)
    distance, owners = tree.query(pixels.reshape(-1, 2), k=3)
    weight = 1 / (distance + 0.5)
    wrapped = np.angle((smooth[owners] * weight).sum(axis=1)).reshape(n, n)
    return np.asarray(unwrap_phase(wrapped), np.float32)
