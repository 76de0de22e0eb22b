"""The simulated sensor: shot noise with the configured gain, full well, read noise, quantisation, saturation, seeds."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from numpy.typing import NDArray

from drivers.twin.sensor import SensorConfig, expose

CHIP = SensorConfig()
SILENT = replace(CHIP, read_noise_e=0.0)
PIXELS = (400, 500)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def even_light(electrons: float, exposure_s: float, chip: SensorConfig) -> torch.Tensor:
    """Intensity that gives every pixel ``electrons`` on average."""
    return torch.full(PIXELS, electrons / (chip.electrons_per_s * exposure_s))


def in_electrons(counts: NDArray[np.uint8] | NDArray[np.uint16], bit_depth: int, chip: SensorConfig) -> NDArray[np.float64]:
    return counts.astype(np.float64) * chip.full_well_e / (2**bit_depth - 1)


@pytest.mark.parametrize("electrons", [100.0, 1_000.0, 6_000.0])
@pytest.mark.parametrize("read_noise_e", [0.0, 3.0, 12.0])
def test_mean_and_variance_follow_poisson_and_read_noise(electrons: float, read_noise_e: float) -> None:
    chip = replace(CHIP, read_noise_e=read_noise_e)
    measured_e = in_electrons(expose(even_light(electrons, 0.01, chip), 0.01, 12, chip, generator()), 12, chip)
    step_e = chip.full_well_e / 4095
    variance = electrons + read_noise_e**2 + step_e**2 / 12
    count = measured_e.size
    # Four standard errors of a mean and of a normal's variance.
    assert measured_e.mean() == pytest.approx(electrons, abs=4 * math.sqrt(variance / count))
    assert measured_e.var() == pytest.approx(variance, rel=4 * math.sqrt(2 / count))


def test_the_photon_transfer_curve_has_the_stated_gain() -> None:
    # The photon transfer method: variance against mean in counts is a line whose slope is counts per electron.
    levels_e = np.linspace(500, 7_000, 8)
    frames = [expose(even_light(e, 0.01, CHIP), 0.01, 12, CHIP, generator(i)).astype(float) for i, e in enumerate(levels_e)]
    slope, _ = np.polyfit([frame.mean() for frame in frames], [frame.var() for frame in frames], 1)
    assert slope == pytest.approx(4095 / CHIP.full_well_e, rel=0.01)


def test_noise_is_independent_between_pixels_and_shots() -> None:
    noise = generator()
    light = even_light(2_000.0, 0.01, SILENT)
    first, second = (expose(light, 0.01, 12, SILENT, noise).astype(float) for _ in range(2))
    limit = 4 / math.sqrt(first.size)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < limit
    assert abs(np.corrcoef(first[:, 1:].ravel(), first[:, :-1].ravel())[0, 1]) < limit
    assert abs(np.corrcoef(first[1:].ravel(), first[:-1].ravel())[0, 1]) < limit


def test_twice_the_time_is_as_good_as_twice_the_light() -> None:
    light = torch.rand(PIXELS, generator=generator(1))
    longer = expose(light, 0.02, 12, CHIP, generator())
    brighter = expose(2 * light, 0.01, 12, CHIP, generator())
    assert np.abs(longer.astype(int) - brighter.astype(int)).max() <= 1  # float32 rounding at a step's edge


def test_the_mean_speckle_lies_at_the_real_captures_level() -> None:
    counts = expose(torch.ones(PIXELS), 0.01, 8, CHIP, generator())
    assert counts.mean() / 255 == pytest.approx(0.14, abs=0.001)


@pytest.mark.parametrize(("bit_depth", "dtype"), [(8, np.uint8), (10, np.uint16), (12, np.uint16), (16, np.uint16)])
def test_counts_are_right_justified_and_clip_at_the_full_well(bit_depth: int, dtype: type[np.generic]) -> None:
    top = 2**bit_depth - 1
    at_well = CHIP.full_well_e / (CHIP.electrons_per_s * 0.01)
    light = torch.stack([torch.zeros(PIXELS), torch.full(PIXELS, at_well / 2), torch.full(PIXELS, 3 * at_well)])
    counts = expose(light, 0.01, bit_depth, CHIP, generator())
    assert counts.dtype == np.dtype(dtype)
    assert counts.shape == (3, *PIXELS)
    assert (counts[2] == top).all()
    assert counts[1].mean() == pytest.approx(top / 2, rel=0.002)
    assert counts[1].max() < top


def test_half_of_the_pixels_saturate_at_exactly_the_full_well() -> None:
    at_well = CHIP.full_well_e / (CHIP.electrons_per_s * 0.01)
    counts = expose(torch.full(PIXELS, at_well), 0.01, 16, CHIP, generator())
    assert np.mean(counts == 65535) == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / counts.size) + 0.001)


def test_darkness_holds_only_read_noise_and_never_wraps_below_zero() -> None:
    dark = expose(torch.zeros(PIXELS), 0.01, 12, CHIP, generator())
    assert dark.max() < 6 * CHIP.read_noise_e * 4095 / CHIP.full_well_e
    assert np.mean(dark == 0) > 0.5
    assert not expose(torch.zeros(PIXELS), 0.01, 12, SILENT, generator()).any()


def test_the_same_generator_gives_the_same_frame() -> None:
    light = torch.rand(PIXELS, generator=generator(1))
    frame = expose(light, 0.01, 8, CHIP, generator(5))
    assert np.array_equal(expose(light, 0.01, 8, CHIP, generator(5)), frame)
    assert not np.array_equal(expose(light, 0.01, 8, CHIP, generator(6)), frame)


@examples(max_examples=25)
@given(
    intensity=st.floats(0, 1e4),
    exposure_s=st.floats(20e-6, 1.0),
    bit_depth=st.sampled_from((8, 10, 12, 16)),
    seed=st.integers(0, 2**31),
)
def test_counts_never_leave_their_range(intensity: float, exposure_s: float, bit_depth: int, seed: int) -> None:
    counts = expose(torch.full((8, 8), intensity), exposure_s, bit_depth, CHIP, generator(seed))
    mean_e = intensity * CHIP.electrons_per_s * exposure_s
    tolerance_e = 6 * math.sqrt(mean_e + CHIP.read_noise_e**2)
    low, high = ((mean_e + side * tolerance_e) * (2**bit_depth - 1) / CHIP.full_well_e for side in (-1, 1))
    top = 2**bit_depth - 1
    assert min(max(low - 1, 0), top) <= counts.min() <= counts.max() <= min(high + 1, top)
