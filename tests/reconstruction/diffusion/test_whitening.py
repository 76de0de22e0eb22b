"""Whitening: it learns a spectrum in training, its inverse gives it to noise, and nothing changes in evaluation."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from reconstruction.diffusion.whitening import Whitening

SIDE_PX = 32


def smooth(count: int, seed: int) -> torch.Tensor:
    noise = torch.randn((count, 1, SIDE_PX, SIDE_PX), generator=torch.Generator().manual_seed(seed))
    return noise + 3 * F.avg_pool2d(noise, 5, 1, 2)


def trained() -> Whitening:
    whitening = Whitening(SIDE_PX).train()
    for seed in range(30):
        whitening(smooth(16, seed))
    return whitening.eval()


def neighbours(pictures: torch.Tensor) -> float:
    """Return the correlation of neighbouring pixels."""
    return float((pictures[..., 1:] * pictures[..., :-1]).mean() / pictures.square().mean())


def test_whitened_pictures_are_white_and_coloured_noise_has_the_spectrum_of_the_pictures() -> None:
    whitening, pictures = trained(), smooth(64, 99)
    white = whitening(pictures)
    assert neighbours(pictures) > 0.3
    assert abs(neighbours(white)) < 0.05
    assert abs(float(white.std()) - 1) < 0.05
    coloured = whitening.coloured(torch.randn((64, 1, SIDE_PX, SIDE_PX), generator=torch.Generator().manual_seed(7)))
    assert abs(neighbours(coloured) - neighbours(pictures)) < 0.05
    assert abs(float(coloured.std() / pictures.std()) - 1) < 0.05


def test_colouring_undoes_whitening() -> None:
    whitening, pictures = trained(), smooth(2, 5)
    assert torch.allclose(whitening.coloured(whitening(pictures)), pictures, atol=1e-4)


def test_the_spectrum_is_learned_in_training_only_and_saved_with_the_weights() -> None:
    whitening = trained()
    power = whitening.power.clone()
    whitening(10 * smooth(4, 3))
    assert torch.equal(whitening.power, power)
    other = Whitening(SIDE_PX)
    other.load_state_dict(whitening.state_dict())
    assert torch.equal(other.eval()(smooth(1, 1)), whitening(smooth(1, 1)))


def test_before_training_nothing_changes() -> None:
    pictures = smooth(1, 0)
    assert torch.allclose(Whitening(SIDE_PX).eval()(pictures), pictures, atol=1e-5)
