"""A phase object is invisible in focus, and what its colours show out of focus is what transport of intensity says."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from drivers.twin.imaging.chromatic_defocus import ChromaticConfig, colour_frames
from drivers.twin.imaging.fresnel import propagated

CONFIG = ChromaticConfig()
SIDE = 64


def bump() -> torch.Tensor:
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    return torch.from_numpy((1.5 * np.exp(-(y**2 + x**2) / (2 * 7.0**2))).astype(np.float32))[None]


def test_in_focus_a_phase_object_is_invisible() -> None:
    frames = colour_frames(bump(), replace(CONFIG, defocus_um=(0.0, 0.0, 0.0)))
    assert frames.shape == (1, 3, SIDE, SIDE)
    assert torch.allclose(frames, torch.ones_like(frames), atol=1e-4)


def test_light_is_gathered_behind_a_phase_that_bulges() -> None:
    frames = colour_frames(bump(), replace(CONFIG, defocus_um=(3.0, 0.0, -3.0)))[0]
    middle = SIDE // 2
    assert frames[0, middle, middle] > 1.05
    assert frames[2, middle, middle] < 0.95
    assert frames.mean((1, 2)).numpy() == pytest.approx([1, 1, 1], abs=0.01)


def test_light_of_one_wavelength_is_that_of_one_propagation() -> None:
    config = replace(CONFIG, response_um=(0.0, 0.0, 0.0), defocus_um=(2.0, 0.0, 0.0))
    phase = bump() * (config.phase_wavelength_um / 0.63)
    field = propagated(torch.polar(torch.ones_like(phase), phase), 2.0, 0.63, config.pixel_um)
    inner = slice(16, -16)
    assert torch.allclose(colour_frames(bump(), config)[0, 0, inner, inner], field[0, inner, inner].abs().square(), atol=2e-3)


def test_a_broad_response_blurs_the_rings() -> None:
    edge = torch.zeros((1, SIDE, SIDE))
    edge[:, :, SIDE // 2 :] = 2.0
    sharp, broad = (
        colour_frames(edge, replace(CONFIG, response_um=(width, 0.03, 0.03), defocus_um=(3.0, 0.0, 0.0)))[0, 0]
        for width in (0.001, 0.1)
    )
    assert broad.std() < sharp.std()


def test_the_edge_of_the_field_diffracts_nothing() -> None:
    frames = colour_frames(torch.full((1, 40, 52), 2.0), replace(CONFIG, defocus_um=(3.0, -3.0, 1.0)))
    assert torch.allclose(frames, torch.ones((1, 3, 40, 52)), atol=1e-4)


def test_drawn_microscopes_lie_in_the_published_ranges() -> None:
    drawn = [ChromaticConfig.drawn(np.random.default_rng(seed)) for seed in range(50)]
    assert all(0.01 <= each <= 3 for config in drawn for each in config.defocus_um)
    assert all(0.01 <= each <= 0.1 for config in drawn for each in config.response_um)
    assert ChromaticConfig.drawn(np.random.default_rng(3)) == drawn[3]


@pytest.mark.parametrize(
    "wrong", [{"pixel_um": 0.0}, {"spectrum_um": (0.7, 0.4)}, {"centre_um": (0.9, 0.55, 0.45)}, {"wavelengths": 0}]
)
def test_microscopes_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="spectrum"):
        ChromaticConfig(**wrong)  # type: ignore[arg-type]


def test_the_path_of_light_is_the_same_at_every_wavelength() -> None:
    """The weak-phase transfer is sin(pi lambda z f^2) times the phase at that wavelength."""
    period_px = 16
    wave = torch.from_numpy(np.cos(2 * np.pi * np.arange(64) / period_px).astype(np.float32)).expand(1, 64, 64) * 0.05
    config = replace(CONFIG, response_um=(0.0, 0.0, 0.0), defocus_um=(1.0, 1.0, 1.0))
    frames = colour_frames(wave, config)[0, :, 32, 16:48].numpy()
    squared = (1 / (period_px * config.pixel_um)) ** 2
    for row, wavelength_um in zip(frames, config.centre_um, strict=True):
        expected = 2 * math.sin(math.pi * wavelength_um * squared) * 0.05 * config.phase_wavelength_um / wavelength_um
        assert np.ptp(row) / 2 == pytest.approx(expected, rel=0.03)
