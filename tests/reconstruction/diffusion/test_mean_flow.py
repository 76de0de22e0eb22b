"""The mean flow: zero steps are the mean, the same input gives the same sample, seeds differ, and both parts learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from reconstruction.data.batch import Batch
from reconstruction.diffusion.mean_flow import MeanFlow, MeanFlowConfig
from reconstruction.networks.referenced_unet import ReferencedUNet
from tests.helpers.small_instrument import FRAME_PX, GRID_PX, small_model, small_network

SHAPE = MeanFlowConfig(
    frame_px=FRAME_PX, grid_px=GRID_PX, front_end="fold", base_channels=4, multipliers=(1, 2, 4), flow_channels=4, flow_steps=2
)


def network(**changes: object) -> MeanFlow:
    torch.manual_seed(0)
    return MeanFlow(replace(SHAPE, **changes))  # type: ignore[arg-type]


def counts(batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    frames = torch.distributions.Exponential(1 / 36).sample((batch + 1, 1, FRAME_PX, FRAME_PX))
    return frames[:batch], frames[batch:]


def test_no_steps_give_the_mean_and_some_give_a_sample_of_it() -> None:
    flow = network().eval()
    frames, reference = counts()
    with torch.inference_mode():
        one, again = flow(frames, reference), flow(frames, reference)
        assert torch.equal(one, again)
        assert flow.evaluations == 3
        flow.flow_steps = 0
        assert torch.equal(flow(frames, reference), flow.mean(frames, reference))
    assert flow.evaluations == 1
    assert not torch.allclose(one, again + 1)
    assert one.shape == (2, 1, GRID_PX, GRID_PX)


def test_a_seed_gives_one_sample_and_samples_vary() -> None:
    flow = network().eval()
    frames, reference = counts(1)
    with torch.inference_mode():
        drawn = flow.sample(frames, reference, [1, 2, 1])
        phase, std = flow.deviation(frames, reference)
        mean, sigma = flow.sampled_deviation(frames, reference)
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.allclose(drawn[0], drawn[1])
    assert phase.shape == std.shape == mean.shape == sigma.shape == (1, 1, GRID_PX, GRID_PX)
    assert (std > 0).all()
    assert (sigma > 0).all()


def test_noise_as_an_input_gives_the_sample_of_its_seed_beside_mean_and_deviation() -> None:
    flow = network().eval()
    frames, reference = counts(2)
    with torch.inference_mode():
        planes = flow.drawn(frames, reference, flow.noise(5))
        mean, std = flow.deviation(frames, reference)
        assert torch.equal(planes[:, :1], flow.sample(frames, reference, [5])[0])
        assert torch.equal(planes[:, 1:], torch.cat([mean, std], 1))
        assert torch.equal(flow.drawn(frames, reference, flow.noise(flow.config.seed))[:, :1], flow(frames, reference))


def test_both_parts_can_learn_one_batch() -> None:
    flow = network().train()
    frames, reference = counts(4)
    batch = Batch(frames, reference, torch.rand((4, 1, GRID_PX, GRID_PX)))
    adam = torch.optim.Adam(flow.parameters(), 5e-3)
    losses = []
    for _ in range(15):
        torch.manual_seed(1)
        loss = flow.loss(batch)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_a_loaded_regressor_never_changes(tmp_path: Path) -> None:
    loaded = small_model(tmp_path / "mean", "fold")
    shape = loaded.network.config
    flow = network(mean=str(tmp_path / "mean"), field_radius=shape.field_radius)
    flow.prepare(None)  # type: ignore[arg-type]  # needs no pairs for that
    before = {key: value.clone() for key, value in flow.mean.state_dict().items()}
    assert all(torch.equal(value, before[key]) for key, value in loaded.network.state_dict().items())
    frames, reference = counts(2)
    flow.train()
    flow.loss(Batch(frames, reference, torch.rand((2, 1, GRID_PX, GRID_PX)))).backward()
    assert all(torch.equal(value, before[key]) for key, value in flow.mean.state_dict().items())
    assert all(parameter.grad is None for parameter in flow.mean.parameters())
    assert any(parameter.grad is not None for parameter in flow.flow.parameters())


def test_the_mean_is_a_referenced_network_of_the_same_shape() -> None:
    assert type(network().mean) is ReferencedUNet
    assert small_network("fold").state_dict().keys() == network().mean.state_dict().keys()


@pytest.mark.parametrize("wrong", [{"flow_steps": -1}, {"start_std": 0.0}, {"samples": 1}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="flow_steps"):
        replace(SHAPE, **wrong)  # type: ignore[arg-type]
