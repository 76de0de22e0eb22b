"""Sampling in few steps: the noise turns into a picture along a quarter of a circle.

A noisy picture is ``x(t) = cos(t) z + sin(t) n``, where ``z`` is the picture, ``n`` the noise, and ``t`` an angle from pi / 2,
pure noise, to 0, the picture. Both have unit variance, so ``x`` has it at every angle: this is the preconditioning of EDM
(Karras et al., NeurIPS 2022) in the form of TrigFlow (Lu and Song, ICLR 2025). A network estimates the mean of the velocity
``dx / dt = cos(t) n - sin(t) z``, and the sample is the solution of this equation at angle 0.

Where the network knows nothing of ``z``, its estimate is 0, and the sample is the noise itself. Few steps are exact there, for
any number of them. They have to be small only where the network knows much.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

#: From a state (b, c, h, w) and its angle to the velocity (b, c, h, w).
Velocity = Callable[[torch.Tensor, float], torch.Tensor]

#: The angle of pure noise.
NOISE_ANGLE = math.pi / 2


def angles(steps: int) -> list[float]:
    """Return the angles at which the velocity is evaluated: they fall from that of pure noise in equal steps, without 0."""
    return [NOISE_ANGLE * (1 - step / steps) for step in range(steps)]


def sampled(velocity: Velocity, noise: torch.Tensor, steps: int) -> torch.Tensor:
    """Return a sample, with one evaluation of the velocity for each step.

    The first step is Euler's. Each later one uses the velocity before it too (Adams and Bashforth, 1883), which makes the
    method one of second order.

    Parameters
    ----------
    velocity : callable
        The network.
    noise : tensor, shape (b, c, h, w)
        Unit normal.
    steps : int
        Number of evaluations, 1 or more.
    """
    size, state, before = NOISE_ANGLE / steps, noise, None
    for angle in angles(steps):
        now = velocity(state, angle)
        state = state - size * (now if before is None else 1.5 * now - 0.5 * before)
        before = now
    return state
