"""Sampling along angles: exact for noise that nothing is known of, and of second order for a known distribution."""

from __future__ import annotations

import math

import pytest
import torch

from reconstruction.diffusion.angle_sampler import NOISE_ANGLE, Velocity, angles, sampled

NOISE = torch.randn((1, 1, 8, 8), generator=torch.Generator().manual_seed(0))


def normal_velocity(mean: float, std: float) -> Velocity:
    """Return the exact velocity for pictures of this normal distribution."""

    def velocity(state: torch.Tensor, angle: float) -> torch.Tensor:
        cos, sin = math.cos(angle), math.sin(angle)
        variance = cos**2 * std**2 + sin**2
        clean = mean + cos * std**2 / variance * (state - cos * mean)
        noise = sin / variance * (state - cos * mean)
        return cos * noise - sin * clean

    return velocity


def test_the_angles_begin_at_pure_noise_and_never_reach_the_picture() -> None:
    assert angles(1) == [NOISE_ANGLE]
    assert angles(4) == pytest.approx([math.pi / 2, 3 * math.pi / 8, math.pi / 4, math.pi / 8])


@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_where_nothing_is_known_the_sample_is_the_noise_after_any_number_of_steps(steps: int) -> None:
    sample = sampled(normal_velocity(0.0, 1.0), NOISE, steps)
    assert torch.allclose(sample, NOISE, atol=1e-5)


def test_more_steps_come_nearer_to_the_exact_sample_with_the_square_of_their_number() -> None:
    mean, std = 0.5, 0.7
    exact = mean + std * NOISE
    errors = [float((sampled(normal_velocity(mean, std), NOISE, steps) - exact).abs().max()) for steps in (8, 16, 32)]
    assert errors[0] < 0.05
    assert errors[0] / errors[1] > 3
    assert errors[1] / errors[2] > 3


def test_every_step_evaluates_once() -> None:
    seen: list[float] = []

    def velocity(state: torch.Tensor, angle: float) -> torch.Tensor:
        seen.append(angle)
        return torch.zeros_like(state)

    assert torch.equal(sampled(velocity, NOISE, 3), NOISE)
    assert seen == angles(3)
