"""The published direct networks: shapes, inputs, and the difference between the two."""

from __future__ import annotations

import pytest
import torch

from reconstruction.models.registry import build, config_of
from reconstruction.networks.speckle_only import shrunk_speckle

SHAPE = {"frame_px": 64, "grid_px": 16, "base_channels": 4, "multipliers": [1, 2]}


def frames() -> torch.Tensor:
    return torch.distributions.Exponential(1 / 36).sample((3, 1, 64, 64))


@pytest.mark.parametrize("kind", ["unet", "resunet"])
def test_speckle_becomes_phase_without_reference_or_exposure(kind: str) -> None:
    network = build(kind, config_of(kind, SHAPE)).eval()
    speckle, reference = frames(), frames()[:1]
    with torch.inference_mode():
        phase = network(speckle, reference)
        assert torch.allclose(phase, network(5 * speckle, reference.flip(2)), atol=1e-5)
    assert phase.shape == (3, 1, 16, 16)
    assert phase.std() > 0


def test_residual_blocks_pass_their_input_around() -> None:
    plain, residual = (build(kind, config_of(kind, SHAPE)) for kind in ("unet", "resunet"))
    skips = [name for name in residual.state_dict() if ".skip." in name]
    assert len(skips) == 3  # where the channels change: in, down, merge
    assert not [name for name in plain.state_dict() if ".skip." in name]


def test_shrunk_speckle_is_relative_to_the_frame_s_mean() -> None:
    speckle = torch.full((1, 1, 8, 8), 10.0)
    speckle[..., :4, :4] = 30
    cells = shrunk_speckle(speckle, 2)[0, 0]
    assert torch.allclose(cells, torch.tensor([[30.0, 10.0], [10.0, 10.0]]) / 15 - 1, atol=1e-5)
