"""Transport of intensity gives back an analytic phase, from planes of one colour and of several."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from drivers.twin.imaging.chromatic_defocus import ChromaticConfig, colour_frames
from drivers.twin.imaging.fresnel import propagated
from reconstruction.base import ReconstructionError
from reconstruction.retrieval.transport_of_intensity import transport_of_intensity

PIXEL_UM, WAVELENGTH_UM, SIDE = 0.21, 0.55, 128


def phase() -> NDArray[np.float64]:
    """Return two smooth bumps in radians."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    return sum(
        height * np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * width**2))
        for row, column, width, height in ((50, 60, 12.0, 1.5), (80, 84, 9.0, -0.8))
    )


def planes(defocus_um: tuple[float, ...], amplitude: NDArray[np.float64] | float = 1.0) -> NDArray[np.float64]:
    field = torch.from_numpy(amplitude * np.exp(1j * phase()))
    return torch.stack([propagated(field, z, WAVELENGTH_UM, PIXEL_UM).abs().square() for z in defocus_um]).numpy()


def error(retrieved: NDArray[np.float32]) -> float:
    truth = phase() - phase().mean()
    return float(np.sqrt(np.mean((retrieved - truth) ** 2)) / truth.std())


@pytest.mark.parametrize("defocus_um", [(-0.5, 0.5), (-1.0, 0.0, 1.0), (-1.0, -0.5, 0.0, 0.5, 1.0)])
def test_it_recovers_an_analytic_phase_within_two_percent(defocus_um: tuple[float, ...]) -> None:
    assert error(transport_of_intensity(planes(defocus_um), defocus_um, PIXEL_UM, WAVELENGTH_UM)) < 0.02


def test_uneven_light_does_not_matter() -> None:
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    amplitude = 1 + 0.2 * np.cos(2 * math.pi * y) * np.cos(2 * math.pi * x)
    retrieved = transport_of_intensity(planes((-0.5, 0.0, 0.5), amplitude), (-0.5, 0.0, 0.5), PIXEL_UM, WAVELENGTH_UM)
    assert error(retrieved) < 0.03


def test_three_colours_are_three_planes() -> None:
    config = ChromaticConfig(response_um=(0.0, 0.0, 0.0), defocus_um=(-0.6, 0.0, 0.6), pixel_um=PIXEL_UM)
    frames = colour_frames(torch.from_numpy(phase().astype(np.float32))[None], config)[0].numpy()
    retrieved = transport_of_intensity(frames, config.defocus_um, PIXEL_UM, config.phase_wavelength_um)
    assert error(retrieved) < 0.03
    broad = replace(config, response_um=(0.03, 0.03, 0.03))
    frames = colour_frames(torch.from_numpy(phase().astype(np.float32))[None], broad)[0].numpy()
    assert error(transport_of_intensity(frames, config.defocus_um, PIXEL_UM, config.phase_wavelength_um)) < 0.04


def test_regularisation_damps_clouds_of_noise() -> None:
    noisy = planes((-0.5, 0.5)) + np.random.default_rng(2).normal(0, 0.02, (2, SIDE, SIDE))
    plain, damped = (
        transport_of_intensity(noisy, (-0.5, 0.5), PIXEL_UM, WAVELENGTH_UM, coarsest_um) for coarsest_um in (0.0, 30.0)
    )
    assert error(damped) < error(plain)


@pytest.mark.parametrize(
    ("images", "defocus_um", "message"),
    [
        (np.ones((1, 8, 8)), (1.0,), "two or more planes"),
        (np.ones((2, 8, 8)), (1.0, 1.0), "different distances"),
        (np.full((2, 8, 8), np.nan), (0.0, 1.0), "not finite"),
    ],
)
def test_planes_that_say_nothing_are_refused(images: NDArray[np.float64], defocus_um: tuple[float, ...], message: str) -> None:
    with pytest.raises(ReconstructionError, match=message):
        transport_of_intensity(images, defocus_um, PIXEL_UM, WAVELENGTH_UM)
