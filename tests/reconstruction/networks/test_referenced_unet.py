"""The network's contract: shapes, independence of exposure, every front end, and configurations that are refused."""

from __future__ import annotations

import pytest
import torch

from reconstruction.networks.referenced_unet import FrontEnd, UNetConfig
from tests.helpers.small_instrument import FRAME_PX, GRID_PX, small_network


def counts(batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    frames = torch.distributions.Exponential(1 / 36).sample((batch + 1, 1, FRAME_PX, FRAME_PX))
    return frames[:batch], frames[batch:]


@pytest.mark.parametrize("front_end", FrontEnd)
def test_frames_of_counts_become_phase_on_the_grid(front_end: str) -> None:
    frames, reference = counts(2)
    with torch.inference_mode():
        phase = small_network(front_end)(frames, reference)
    assert phase.shape == (2, 1, GRID_PX, GRID_PX)
    assert phase.dtype == torch.float32
    assert torch.isfinite(phase).all()


@pytest.mark.parametrize("front_end", FrontEnd)
def test_exposure_and_laser_power_do_not_matter(front_end: str) -> None:
    network = small_network(front_end)
    frames, reference = counts(1)
    with torch.inference_mode():
        assert torch.allclose(network(frames, reference), network(3 * frames, reference / 2), atol=1e-4)


@pytest.mark.parametrize("front_end", FrontEnd)
def test_the_reference_is_used(front_end: str) -> None:
    network = small_network(front_end)
    frames, reference = counts(1)
    with torch.inference_mode():
        assert not torch.allclose(network(frames, reference), network(frames, reference.flip(2)), atol=1e-4)


def test_one_reference_serves_a_batch_as_it_serves_single_frames() -> None:
    network = small_network()
    frames, reference = counts(3)
    with torch.inference_mode():
        together = network(frames, reference)
        singly = torch.cat([network(frames[i : i + 1], reference) for i in range(3)])
    assert torch.allclose(together, singly, atol=1e-5)


def test_a_dark_frame_gives_finite_phase() -> None:
    network = small_network()
    _, reference = counts(1)
    with torch.inference_mode():
        assert torch.isfinite(network(torch.zeros_like(reference), reference)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frame_px": 500}, "no multiple"),
        ({"grid_px": 4, "frame_px": 8}, "cannot be halved"),
        ({"front_end": "magic"}, "front_end is one of"),
    ],
)
def test_shapes_that_cannot_be_built_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UNetConfig(**change)  # type: ignore[arg-type]
