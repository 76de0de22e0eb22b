"""Point spread functions and blur by law: all light arrives, nothing beyond the cut-off, and the adjoint is the adjoint."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from drivers.twin.imaging.fresnel import frequencies_squared
from drivers.twin.imaging.microscope import Blur, Microscope, MicroscopeConfig, photons, psf_of

WIDE, CONFOCAL = (MicroscopeConfig(kind=kind) for kind in Microscope)
SHAPE = (96, 128)


@pytest.mark.parametrize("config", [WIDE, CONFOCAL], ids=lambda config: config.kind.value)
def test_it_sums_to_one_and_nothing_passes_beyond_the_cutoff(config: MicroscopeConfig) -> None:
    psf = psf_of(config, SHAPE)
    assert psf.min() >= -1e-18
    assert float(psf.sum()) == pytest.approx(1)
    assert psf.argmax() == 0, "its centre is at [0, 0]"
    transfer = torch.fft.fft2(psf).abs()
    frequency = frequencies_squared(SHAPE, config.pixel_um).sqrt()
    step = 1 / (min(SHAPE) * config.pixel_um)
    assert transfer[frequency > config.cutoff_per_um + step].max() < 1e-9
    assert transfer[(frequency > 0.7 * config.cutoff_per_um) & (frequency < 0.8 * config.cutoff_per_um)].max() > 1e-4


def test_a_confocal_microscope_resolves_more_and_a_large_pinhole_takes_the_gain_away() -> None:
    def width(config: MicroscopeConfig) -> float:
        psf = torch.fft.fftshift(psf_of(config, SHAPE))
        y = torch.arange(SHAPE[0]) - SHAPE[0] // 2
        near = y.abs() < 12
        row = psf[near][:, SHAPE[1] // 2]
        return float((row * y[near] ** 2).sum() / row.sum()) ** 0.5

    assert width(CONFOCAL) < 0.85 * width(WIDE)
    assert width(replace(CONFOCAL, pinhole_um=2.0)) > width(CONFOCAL)


def test_the_gradient_that_is_written_out_is_that_of_autograd() -> None:
    blur = Blur(psf_of(WIDE, (48, 64)))
    sample, image = (torch.rand((2, 1, 48, 64), generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    sample.requires_grad_()
    (0.5 * (blur(sample) - image).square().sum()).backward()
    assert sample.grad is not None
    assert torch.allclose(blur.gradient(sample.detach(), image), sample.grad, atol=1e-5)


def test_the_adjoint_is_the_adjoint_of_a_lopsided_blur() -> None:
    psf = torch.rand((16, 24), generator=torch.Generator().manual_seed(3))
    blur, (a, b) = Blur(psf), torch.rand((2, 16, 24), generator=torch.Generator().manual_seed(4))
    assert float((blur(a) * b).sum()) == pytest.approx(float((a * blur.adjoint(b)).sum()), rel=1e-5)


def test_photons_have_the_mean_and_variance_of_poisson() -> None:
    counts = photons(torch.full((200, 200), 7.0), 2.5, torch.Generator().manual_seed(5)).numpy()
    assert counts.mean() == pytest.approx(9.5, rel=0.01)
    assert counts.var() == pytest.approx(9.5, rel=0.03)
    assert np.array_equal(counts, counts.round())
    with pytest.raises(ValueError, match="0 or more photons"):
        photons(torch.ones((2, 2)), -1.0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"pixel_um": 0.3}, "resolves 3.08 periods a micrometre, so that a pixel has at most 0.162 um"),
        ({"emission_um": 0.0}, "more than 0"),
    ],
)
def test_microscopes_that_cannot_be_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MicroscopeConfig(**wrong)  # type: ignore[arg-type]
