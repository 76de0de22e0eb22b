"""Classical phase retrieval: alternating projections between the amplitudes on the camera and at the facet, without gradients.

This is the algorithm of Gerchberg and Saxton, Optik 35, 237 (1972), between two planes that the calibrated fibre connects;
Fienup, Appl. Opt. 21, 2758 (1982), calls it error reduction. On the camera the field gets the measured amplitude. At the facet
the field is projected on the cores' modes, and every core gets its calibrated amplitude. The phase of a core minus its
calibrated phase is the object's phase at this place. The algorithm requires one mode and no coupling. Otherwise the light of
one core does not come from one place of the object.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import spatial
from skimage.restoration import unwrap_phase

from drivers.twin.optics import FibreOptics
from reconstruction.base import ReconstructionError
from reconstruction.retrieval.gradient import RetrievedPhase, with_piston


def retrieve_amplitude_only(
    intensity: NDArray[np.float32], optics: FibreOptics, background: float = 0.0, iterations: int = 100, core_smooth: int = 7
) -> RetrievedPhase:
    """Find the phase by alternating projections; the start is a flat phase.

    Parameters
    ----------
    intensity : ndarray of float32, shape (n, n)
        The frame, in the unit of the calibration.
    optics : FibreOptics
        The fibre with its calibrated response; it has one mode and no coupling.
    background : float
        Intensity without speckle.
    iterations : int
        Number of iterations to the camera and back.
    core_smooth : int
        Number of cores, the core itself and its nearest neighbours, over which the result is averaged to reduce noise.

    Raises
    ------
    ReconstructionError
        The fibre has several modes or coupling, or the frame has the wrong shape.
    """
    n, modes = optics.config.image_px, len(optics.core_phase)
    if modes > 1 or optics.neighbours.shape[1] > 1:
        raise ReconstructionError(
            f"alternating projections need one mode without coupling, this fibre has {modes} modes and "
            f"{optics.neighbours.shape[1]} neighbours; use gradient retrieval"
        )
    if intensity.shape != (n, n):
        raise ReconstructionError(
            f"the frame is {intensity.shape} px, the calibrated fibre {(n, n)} px; set the camera's ROI to this size"
        )
    amplitude = torch.from_numpy(np.sqrt(np.maximum(intensity - background, 0))).to(optics.device)
    response = torch.polar(optics.core_gain.expand_as(optics.core_phase), optics.core_phase)
    with torch.no_grad():
        light = torch.ones(optics.cores, dtype=torch.complex64, device=optics.device)
        for _ in range(iterations):
            field = optics.propagate((light * response)[None])[0, 0]
            corrected = amplitude * field / field.abs().clamp(min=1e-12)
            light = optics.collect(corrected[None, None])[0, 0] * response[0].conj()
            light = light / light.abs().clamp(min=1e-12)
        predicted = optics.propagate((light * response)[None])[0, 0].abs()
        residual = (predicted - amplitude).square().mean() / amplitude.square().mean()
    return RetrievedPhase(with_piston(_image(light.cpu().numpy(), optics, core_smooth), optics), float(residual))


def _image(light: NDArray[np.complex64], optics: FibreOptics, core_smooth: int) -> NDArray[np.float32]:
    """Return the unwrapped phase image (n, n) of the cores' light, averaged over neighbours and interpolated between cores."""
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
