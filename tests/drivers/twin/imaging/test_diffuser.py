"""The speckle of a diffuser has the size lambda z / D and the statistics of speckle; each place has its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from drivers.twin.imaging.diffuser import Diffuser, DiffuserConfig

CONFIG = DiffuserConfig()


def width_um(diffuser: Diffuser) -> float:
    """Return the full width at half maximum of the intensity's autocovariance, a mean over places."""
    side, sums = 256, np.zeros((256, 256))
    for place in range(12):
        intensity = diffuser.illumination(side, (37 * place, 91 * place)).abs().square().numpy()
        spectrum = np.abs(np.fft.fft2(intensity - intensity.mean())) ** 2
        sums += np.fft.ifft2(spectrum).real
    row = (sums[0] + sums[:, 0]) / (2 * sums[0, 0])
    beyond = int(np.argmax(row < 0.5))
    half = beyond - 1 + (row[beyond - 1] - 0.5) / (row[beyond - 1] - row[beyond])
    return 2 * half * diffuser.config.pixel_um


@pytest.mark.parametrize(
    "change", [{}, {"beam_um": 400.0}, {"distance_um": 6000.0, "correlation_um": 60.0}, {"correlation_um": 25.0}]
)
def test_the_size_of_a_speckle_follows_wavelength_distance_and_beam(change: dict[str, float]) -> None:
    """Behind a round beam the autocovariance is (2 J1(x) / x)^2, x = pi r / size: half of it at r = 0.514 sizes."""
    config = replace(CONFIG, **change)  # type: ignore[arg-type]
    assert width_um(Diffuser(config, 3)) == pytest.approx(1.029 * config.speckle_um, rel=0.06)


def test_speckle_is_fully_developed() -> None:
    intensity = torch.stack([Diffuser(CONFIG, seed).illumination(96, (0, 0)).abs().square() for seed in range(12)]).numpy()
    assert intensity.std() / intensity.mean() == pytest.approx(1, abs=0.12)
    assert (intensity > intensity.mean()).mean() == pytest.approx(np.exp(-1), abs=0.04)


def test_the_screen_has_its_depth_and_correlation_length() -> None:
    screen = Diffuser(CONFIG, 5).screen_rad
    assert screen.std() == pytest.approx(CONFIG.phase_std_rad, rel=1e-3)
    spectrum = np.abs(np.fft.fft2(screen)) ** 2
    correlation = np.fft.ifft2(spectrum).real[0] / np.fft.ifft2(spectrum).real[0, 0]
    beyond = int(np.argmax(correlation < np.exp(-1)))
    assert beyond * CONFIG.screen_pixel_um == pytest.approx(CONFIG.correlation_um, abs=1.2 * CONFIG.screen_pixel_um)


def test_each_place_and_each_diffuser_has_a_speckle_of_its_own() -> None:
    here, there = (Diffuser(CONFIG, 1).illumination(128, place).abs().square() for place in ((0, 0), (120, 60)))
    other, again = (Diffuser(CONFIG, seed).illumination(128, (0, 0)).abs().square() for seed in (2, 1))
    assert torch.equal(here, again)
    for each in (there, other):
        assert abs(float(torch.corrcoef(torch.stack([here.flatten(), each.flatten()]))[0, 1])) < 0.25


def test_a_sample_is_seen_through_the_aperture() -> None:
    diffuser, ones = Diffuser(CONFIG, 1), torch.ones((128, 128))
    plain = diffuser.seen(ones, 0 * ones, (0, 0))
    inner = slice(20, -20)  # the patch goes on periodically
    lit = diffuser.illumination(128, (0, 0)).abs().square()
    assert torch.corrcoef(torch.stack([plain[inner, inner].flatten(), lit[inner, inner].flatten()]))[0, 1] > 0.995
    y, x = np.mgrid[:128, :128]
    phase = torch.from_numpy((2 * (np.hypot(y - 64, x - 64) < 20)).astype(np.float32))
    change = (diffuser.seen(ones, phase, (0, 0)) - plain).abs()
    edge = torch.from_numpy(np.abs(np.hypot(y - 64, x - 64) - 20) < 3)
    far = torch.from_numpy(np.hypot(y - 64, x - 64) > 35)
    assert change[edge].mean() > 5 * change[far].mean()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"beam_um": 2500.0}, "wider than half of the screen"),
        ({"correlation_um": 10.0}, "less than two pixels of the screen"),
        ({"phase_std_rad": 3.0}, "deeper than 2 pi"),
    ],
)
def test_what_the_sampling_cannot_hold_is_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DiffuserConfig(**wrong)
    with pytest.raises(ValueError, match="at most 256 px"):
        Diffuser(CONFIG, 1).illumination(300, (0, 0))
