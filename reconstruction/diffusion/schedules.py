"""Noise schedules: the values of gamma, the fraction of the clean image's power in a noisy image, in training and sampling.

gamma is the cumulative product of 1 - beta. SpecDiffusion trains on 2,000 noise levels and samples on its own, coarser
schedules. Its schedule of 1,000 steps begins at gamma 6.6e-21, far below the smallest trained gamma of 4.4e-5. Its schedule of
100 steps begins at 0.0096 but starts from pure noise, which causes a bias. ``uniform-n`` covers the trained range in n steps of
equal change of log-SNR.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from reconstruction.base import ReconstructionError

#: Ends of ``uniform-n``: the smallest gamma of the training, and a gamma with invisible noise.
GAMMA_NOISIEST, GAMMA_CLEANEST = 4.4e-5, 0.9999
MOST_STEPS = 2000


@dataclass(frozen=True, eq=False)
class Schedule:
    """Noise levels to sample at.

    Parameters
    ----------
    name : str
        Name for :func:`preset`.
    gammas : ndarray of float64, shape (steps,)
        In the order of sampling, from noise to image, so increasing. Each is one evaluation; after the last gamma is 1.
    """

    name: str
    gammas: NDArray[np.float64]


def linear_gammas(first_beta: float, last_beta: float, levels: int) -> NDArray[np.float64]:
    """Return gamma of every noise level for a beta that increases linearly, from image to noise; shape (levels,)."""
    return np.cumprod(1 - np.linspace(first_beta, last_beta, levels, dtype=np.float64), dtype=np.float64)


TRAINING_GAMMAS = linear_gammas(1e-6, 1e-2, 2000)


def preset(name: str) -> Schedule:
    """Return the schedule ``paper-1000``, ``paper-100`` or ``uniform-n`` with n from 1 to 2000.

    Raises
    ------
    ReconstructionError
        No schedule has this name.
    """
    match = re.fullmatch(r"(paper-100|paper-1000|uniform-([1-9]\d{0,3}))", name, re.ASCII)
    if match is None or int(match[2] or 1) > MOST_STEPS:
        names = f"paper-1000, paper-100 or uniform-n with n from 1 to {MOST_STEPS}"
        raise ReconstructionError(f"no schedule has the name {name!r}; use {names}")
    if match[2]:
        first, last = (math.log(gamma / (1 - gamma)) for gamma in (GAMMA_NOISIEST, GAMMA_CLEANEST))
        gammas = 1 / (1 + np.exp(-np.linspace(first, last, int(match[2]))))
    else:
        gammas = linear_gammas(1e-4, 0.09, int(name.removeprefix("paper-")))[::-1].copy()
    gammas.setflags(write=False)
    return Schedule(name, gammas)


def draw_gamma(count: int) -> torch.Tensor:
    """Draw gammas for training with torch's global generator; (count,), float32.

    As published: t is uniform in 1..1999, and gamma is uniform between levels t and t - 1 of a linear beta from 1e-6 to 1e-2.
    """
    gammas = torch.from_numpy(TRAINING_GAMMAS)
    t = torch.randint(1, len(gammas), (count,))
    return torch.lerp(gammas[t], gammas[t - 1], torch.rand(count, dtype=torch.float64)).float()
