"""Bands of a residual: parts that add up, a spectrum learned in training, and noise of the given strengths."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from reconstruction.diffusion.residual_bands import SPECTRUM_KNOTS, BandStd, ResidualBands
from reconstruction.field import field_mask

SIDE_PX = 32
INSIDE = torch.from_numpy(field_mask(SIDE_PX, 0.97))[None, None].float()


def of_strength(fine: torch.Tensor, log_spectrum: torch.Tensor | None = None) -> BandStd:
    flat = torch.zeros((1, SPECTRUM_KNOTS)) if log_spectrum is None else log_spectrum
    return BandStd(torch.full((1, 1, 1, 1), 0.2), torch.full((1, 1, 1, 1), 0.1), fine, flat)


STD = of_strength(torch.full((1, 1, SIDE_PX, SIDE_PX), 0.05))


def noise(count: int, seed: int) -> torch.Tensor:
    return torch.randn((count, 1, SIDE_PX, SIDE_PX), generator=torch.Generator().manual_seed(seed))


def smooth(count: int, seed: int) -> torch.Tensor:
    """Return noise with stronger large structures, and a piston."""
    white = noise(count, seed)
    return 0.05 * (white + 3 * F.avg_pool2d(white, 5, 1, 2)) + 0.2 * noise(count, seed + 1)[..., :1, :1]


def trained() -> ResidualBands:
    bands = ResidualBands(INSIDE).train()
    for seed in range(30):
        bands.white(bands.split(smooth(16, 100 * seed)), STD)
    return bands.eval()


def neighbours(pictures: torch.Tensor) -> float:
    """Return the correlation of neighbouring pixels in the disc."""
    pictures = pictures * INSIDE
    return float((pictures[..., 1:] * pictures[..., :-1]).mean() / pictures.square().mean())


def centred(pictures: torch.Tensor) -> torch.Tensor:
    return (pictures - (pictures * INSIDE).sum((2, 3), keepdim=True) / INSIDE.sum()) * INSIDE


def test_the_parts_add_up_to_the_residual_in_the_disc_and_large_ones_are_smooth() -> None:
    residual = smooth(2, 0)
    parts = ResidualBands(INSIDE).split(residual)
    assert torch.allclose((parts.piston + parts.large + parts.fine) * INSIDE, residual * INSIDE, atol=1e-6)
    assert torch.allclose((residual * INSIDE).sum((2, 3)) / INSIDE.sum(), parts.piston[..., 0, 0])
    assert neighbours(parts.large) > 0.8
    assert neighbours(parts.fine) < neighbours(centred(residual))


def test_a_white_residual_is_white_in_fine_structures() -> None:
    bands, residual = trained(), smooth(64, 9)
    white = bands.fine(bands.white(bands.split(residual), STD))
    assert neighbours(centred(residual)) > 0.3
    assert abs(neighbours(white)) < 0.1
    of_noise = bands.fine(noise(64, 5)) * INSIDE
    assert abs(float((white * INSIDE).std() / of_noise.std()) - 1) < 0.1


def test_coloured_noise_has_spectrum_and_strength_of_the_residuals() -> None:
    bands, residual = trained(), centred(smooth(64, 9))
    drawn = bands.coloured(noise(64, 3), STD)
    pistons = (drawn * INSIDE).sum((2, 3)) / INSIDE.sum()
    assert abs(float(pistons.std()) - 0.2) < 0.05
    assert abs(neighbours(centred(drawn)) - neighbours(residual)) < 0.1
    assert abs(float(centred(drawn).std() / residual.std()) - 1) < 0.15


def test_the_strength_of_fine_structures_follows_its_map() -> None:
    bands = trained()
    half = torch.ones((1, 1, SIDE_PX, SIDE_PX))
    half[..., : SIDE_PX // 2] = 0.1
    drawn = bands.coloured(bands.fine(noise(64, 3)), of_strength(0.05 * half))
    left, right = (drawn[..., 8:24, part].std() for part in (slice(6, 12), slice(20, 26)))
    assert 0.08 < float(left / right) < 0.12


def test_a_frame_may_have_a_spectrum_of_its_own_which_the_loss_asks_for() -> None:
    bands = trained()
    parts = bands.split(2 * smooth(64, 9))
    losses = {}
    for log_amplitude in (0.0, 0.69, 1.4):
        std = of_strength(STD.fine, torch.full((64, SPECTRUM_KNOTS), log_amplitude))
        losses[log_amplitude] = float(bands.spectrum_loss(parts, std))
    assert min(losses, key=lambda value: losses[value]) == 0.69
    louder = of_strength(STD.fine, torch.full((1, SPECTRUM_KNOTS), 0.69))
    drawn, usual = (bands.coloured(bands.fine(noise(8, 3)), each).std() for each in (louder, STD))
    assert 1.9 < float(drawn / usual) < 2.1


def test_the_spectrum_is_learned_in_training_only_and_saved_with_the_weights() -> None:
    bands = trained()
    power = bands.power.clone()
    bands.white(bands.split(10 * smooth(4, 3)), STD)
    assert torch.equal(bands.power, power)
    other = ResidualBands(INSIDE)
    other.load_state_dict(bands.state_dict())
    assert torch.equal(other.eval().coloured(noise(1, 1), STD), bands.coloured(noise(1, 1), STD))
