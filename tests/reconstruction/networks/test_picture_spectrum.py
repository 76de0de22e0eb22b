"""The spectrum of a picture, estimated from its reconstruction, and samples that get it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from reconstruction.evaluation.spectrum import RadialSpectrum
from reconstruction.field import field_mask
from reconstruction.networks.picture_spectrum import PictureSpectrum

SIDE_PX = 64
MASK = field_mask(SIDE_PX, 0.95)
INSIDE = torch.from_numpy(MASK)[None, None].float()


def pictures(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return pictures of two kinds, smooth and rough, and reconstructions that blur the rough ones and add noise to both."""
    generator = torch.Generator().manual_seed(seed)
    white = torch.randn((count, 1, SIDE_PX, SIDE_PX), generator=generator)
    smooth = F.avg_pool2d(F.avg_pool2d(white, 9, 1, 4), 9, 1, 4) * 9
    rough = F.avg_pool2d(white, 3, 1, 1)
    is_smooth = (torch.arange(count) % 2 == 0)[:, None, None, None]
    truth = 1.4 + 0.3 * torch.where(is_smooth, smooth, rough)
    noise = 0.005 * torch.randn(white.shape, generator=generator)
    return torch.where(is_smooth, truth, F.avg_pool2d(truth, 3, 1, 1)) + noise, truth


@pytest.fixture(scope="module")
def trained() -> PictureSpectrum:
    torch.manual_seed(0)
    spectrum = PictureSpectrum(INSIDE, 2.85)
    adam = torch.optim.Adam(spectrum.parameters(), 3e-3)
    estimates, truth = pictures(64, 0)
    for step in range(150):
        some = slice(step % 4 * 16, step % 4 * 16 + 16)
        loss = spectrum.loss(estimates[some], truth[some])
        adam.zero_grad()
        loss.backward()
        adam.step()
    return spectrum.eval()


def test_white_noise_has_the_same_power_in_all_bands() -> None:
    noise = torch.randn((40, 1, SIDE_PX, SIDE_PX), generator=torch.Generator().manual_seed(0)) * 0.5
    power = PictureSpectrum(INSIDE, 2.85).log_power(noise).exp().mean(0)
    assert power[4:].numpy() == pytest.approx(np.full(len(power) - 4, 0.25), rel=0.15)


def test_before_training_samples_stay_as_they_are() -> None:
    estimates, _ = pictures(3, 1)
    assert torch.equal(
        PictureSpectrum(INSIDE, 2.85).eval().given_to(estimates + 0.1, estimates, keeps_mean=False), estimates + 0.1
    )


def test_after_training_samples_have_the_spectrum_of_the_picture_and_their_own_piston(trained: PictureSpectrum) -> None:
    estimates, truth = pictures(8, 2)
    samples = estimates + 0.05 * torch.randn(estimates.shape, generator=torch.Generator().manual_seed(4)) * INSIDE
    with torch.inference_mode():
        given = trained.given_to(samples, estimates, keeps_mean=False)
    radial = RadialSpectrum(MASK)

    def error(images: torch.Tensor) -> float:
        both = zip(images[:, 0].numpy(), truth[:, 0].numpy(), strict=True)
        return float(np.mean([radial.error(image, true) for image, true in both]))

    assert error(given) < 0.7 * min(error(estimates), error(samples))
    piston_rad = ((given - samples) * INSIDE).sum((2, 3)) / INSIDE.sum()
    assert piston_rad.abs().max() < 1e-5
    assert torch.equal(given[..., ~torch.from_numpy(MASK)], samples[..., ~torch.from_numpy(MASK)])


def test_where_the_mean_is_kept_opposite_samples_stay_opposite(trained: PictureSpectrum) -> None:
    estimates, _ = pictures(4, 5)
    noise = 0.05 * torch.randn(estimates.shape, generator=torch.Generator().manual_seed(6)) * INSIDE
    with torch.inference_mode():
        one, other = (trained.given_to(estimates + sign * noise, estimates, keeps_mean=True) for sign in (1, -1))
    assert not torch.allclose(one, estimates + noise)
    torch.testing.assert_close((one + other) / 2, estimates)


def test_no_gradient_of_the_estimate_reaches_the_reconstruction(trained: PictureSpectrum) -> None:
    estimates, truth = pictures(2, 3)
    estimates.requires_grad_()
    trained.loss(estimates, truth).backward()
    assert estimates.grad is None
