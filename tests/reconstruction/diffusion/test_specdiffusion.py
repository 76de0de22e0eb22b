"""SpecDiffusion: the published size, schedules, condition and loss, and reproducible samples."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from reconstruction.base import ReconstructionError
from reconstruction.data.batch import Batch
from reconstruction.diffusion.schedules import GAMMA_NOISIEST, TRAINING_GAMMAS, draw_gamma, preset
from reconstruction.diffusion.specdiffusion import SpecDiffusion, SpecDiffusionConfig
from reconstruction.models.losses import phase_loss
from reconstruction.networks.film_unet import FilmUNet, FilmUNetShape, gamma_embedding, log_snr_embedding, time_embedding

FRAME_PX, GRID_PX = 64, 16
TWO_GRIDS = FilmUNetShape(base_channels=8, multipliers=(1, 2), residual_blocks=1, heads=4)
CONFIG = SpecDiffusionConfig(
    frame_px=FRAME_PX, grid_px=GRID_PX, base_channels=8, multipliers=(1, 2), heads=4, schedule="uniform-4", samples=3
)


def activated(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Set the layers that start at zero to random weights."""
    torch.manual_seed(seed)
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return network.eval()


def small(config: SpecDiffusionConfig = CONFIG) -> SpecDiffusion:
    torch.manual_seed(0)
    return activated(SpecDiffusion(config))


def counts(batch: int) -> torch.Tensor:
    torch.manual_seed(3)
    return torch.distributions.Exponential(1 / 36).sample((batch, 1, FRAME_PX, FRAME_PX))


def pairs(batch: int) -> Batch:
    frames = counts(batch)
    return Batch(frames, frames[:1], 2.85 * torch.rand(batch, 1, GRID_PX, GRID_PX))


def test_the_published_network_has_its_parameters_and_operations() -> None:
    with torch.device("meta"):
        network = SpecDiffusion(SpecDiffusionConfig()).network.eval()
        assert sum(p.numel() for p in network.parameters()) == pytest.approx(61.6e6, rel=0.002)
        with FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, 2, 128, 128), torch.zeros(1))
    assert counter.get_total_flops() / 2 == pytest.approx(152.5e9, rel=0.002)


@pytest.mark.parametrize("base", [8, 12, 16, 20])
@pytest.mark.parametrize("embedding", [gamma_embedding, log_snr_embedding, time_embedding])
def test_the_network_takes_any_width_and_level(base: int, embedding: object) -> None:
    shape = FilmUNetShape(base_channels=base, multipliers=(1, 2, 2), residual_blocks=1, heads=4)
    network = activated(FilmUNet(3, 2, shape, embedding))  # type: ignore[arg-type]
    x = torch.randn(2, 3, 16, 24)
    with torch.inference_mode():
        one, other = (network(x, torch.tensor(level)) for level in ([0.0, 1.0], [0.0, 0.5]))
    assert one.shape == (2, 2, 16, 24)
    assert torch.isfinite(one).all()
    assert torch.allclose(one[0], other[0], atol=1e-5)
    assert not torch.allclose(one[1], other[1], atol=1e-4)


def test_attention_and_every_skip_reach_the_output() -> None:
    network = activated(FilmUNet(2, 1, TWO_GRIDS))
    network(torch.randn(2, 2, 16, 16), torch.tensor([0.2, 0.8])).square().mean().backward()
    assert [name for name, parameter in network.named_parameters() if not parameter.grad.any()] == []


def test_the_network_gives_float32_under_autocast() -> None:
    network = activated(FilmUNet(2, 1, TWO_GRIDS))
    x, level = torch.randn(2, 2, 16, 16), torch.tensor([0.2, 0.8])
    with torch.inference_mode():
        exact = network(x, level)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(x, level)
    assert rough.dtype == torch.float32
    assert torch.allclose(rough, exact, atol=0.05 * exact.std().item() + 0.02)


def test_log_snr_separates_the_noisy_levels_that_gamma_itself_does_not() -> None:
    levels = torch.tensor([1e-4, 1e-3])
    near, far = ((a - b).norm() for a, b in (gamma_embedding(levels), log_snr_embedding(levels)))
    assert near < 0.01
    assert far > 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grid_px": 14, "frame_px": 28, "multipliers": (1, 2, 2)}, "cannot be halved 2 times"),
        ({"sampler": "magic"}, "sampler is one of"),
        ({"schedule": "paper-7"}, "no schedule has the name 'paper-7'"),
        ({"samples": 1}, "at least 2"),
    ],
)
def test_configurations_that_make_no_sense_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpecDiffusionConfig(**change)  # type: ignore[arg-type]


def test_heads_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="16 heads cannot share 24 channels"):
        FilmUNetShape(base_channels=12, multipliers=(1, 2))


def test_a_configuration_survives_plain_types() -> None:
    assert SpecDiffusionConfig.from_dict(CONFIG.to_dict()) == CONFIG


def test_schedules_end_where_the_methods_say() -> None:
    assert preset("paper-1000").gammas[0] == pytest.approx(6.6e-21, rel=0.01)
    assert preset("paper-100").gammas[0] == pytest.approx(0.0096, rel=0.01)
    assert np.mean(preset("paper-1000").gammas < TRAINING_GAMMAS[-1]) == pytest.approx(0.53, abs=0.005)
    for name in ("paper-1000", "paper-100"):
        gammas = preset(name).gammas
        assert len(gammas) == int(name.removeprefix("paper-"))
        assert gammas[-1] == pytest.approx(1 - 1e-4)
        assert (np.diff(gammas) > 0).all()


@pytest.mark.parametrize("steps", [2, 8, 100])
def test_uniform_schedules_step_evenly_in_log_snr_over_what_was_trained(steps: int) -> None:
    gammas = preset(f"uniform-{steps}").gammas
    assert gammas[[0, -1]] == pytest.approx([4.4e-5, 0.9999])
    assert gammas[0] > TRAINING_GAMMAS[-1]
    assert np.diff(np.log(gammas / (1 - gammas))) == pytest.approx(
        math.log(0.9999 / 1e-4 * (1 - 4.4e-5) / 4.4e-5) / (steps - 1)
    )


@pytest.mark.parametrize("name", ["", "paper-10", "uniform-0", "uniform-2001", "uniform-08", "uniform-8 ", "uniform-²"])
def test_unknown_schedules_are_errors(name: str) -> None:
    with pytest.raises(ReconstructionError, match="no schedule has the name"):
        preset(name)


def test_levels_are_drawn_evenly_in_t() -> None:
    torch.manual_seed(0)
    gamma = np.sort(draw_gamma(20_000).numpy())
    assert TRAINING_GAMMAS[-1] * (1 - 1e-6) < gamma[0] < gamma[-1] < 1
    for part in (0.1, 0.5, 0.9):
        level = np.searchsorted(-TRAINING_GAMMAS, -gamma[int(part * len(gamma))])
        assert level / 2000 == pytest.approx(1 - part, abs=0.015)


@pytest.mark.slow
def test_the_loss_falls_from_that_of_a_network_that_estimates_no_noise() -> None:
    torch.manual_seed(0)
    model, batch = SpecDiffusion(CONFIG), pairs(8)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = model.loss(batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(math.sqrt(2 / math.pi), rel=0.05)  # E|eps|, for an output of 0
    assert np.mean(losses[-5:]) < 0.7 * losses[0]


def test_the_exact_noise_has_no_loss() -> None:
    model, batch = small(), pairs(200)
    levels = []

    class Knowing(torch.nn.Module):
        def forward(self, x: torch.Tensor, gamma: torch.Tensor) -> torch.Tensor:
            assert torch.equal(x[:, :1], model.condition(batch.frames))
            levels.extend(gamma.tolist())
            g, clean = gamma[:, None, None, None], 2 * batch.phase_rad / 2.85 - 1
            return (x[:, 1:] - g.sqrt() * clean) / (1 - g).sqrt()

    model.network = Knowing()
    assert model.loss(batch).item() == pytest.approx(0, abs=1e-4)
    assert np.median(levels) == pytest.approx(TRAINING_GAMMAS[1000], abs=0.04)


def test_the_loss_looks_at_the_speckle_and_not_at_exposure() -> None:
    model, batch = small(), pairs(4)
    losses = []
    for frames in (batch.frames, 3 * batch.frames, batch.frames.flip(3)):
        torch.manual_seed(5)
        losses.append(model.loss(replace(batch, frames=frames)).item())
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
    assert losses[2] != pytest.approx(losses[0], abs=1e-4)


def test_the_condition_is_relative_counts_of_cells() -> None:
    frame = torch.full((1, 1, FRAME_PX, FRAME_PX), 10.0)
    frame[..., : FRAME_PX // 2] = 30.0
    condition = SpecDiffusion(CONFIG).condition(frame)
    assert condition.shape == (1, 1, GRID_PX, GRID_PX)
    assert condition[0, 0, 0].tolist() == pytest.approx([2.0] * (GRID_PX // 2) + [-2.0] * (GRID_PX // 2), abs=1e-4)
    assert torch.isfinite(SpecDiffusion(CONFIG).condition(torch.zeros_like(frame))).all()


def test_the_same_frame_gives_the_same_phase_alone_and_in_a_batch() -> None:
    model, frames = small(), counts(3)
    together = model(frames, frames[:1])
    torch.manual_seed(99)  # samples draw from their own generators
    singly = torch.cat([model(frames[i : i + 1], frames[:1]) for i in range(3)])
    assert together.shape == (3, 1, GRID_PX, GRID_PX)
    assert not together.requires_grad
    assert 0 <= together.min() < together.max() <= 2.85 + 1e-6
    assert torch.allclose(together, singly, atol=1e-4)
    assert not torch.allclose(together[0], together[1], atol=1e-2)


def test_exposure_does_not_matter_to_samples() -> None:
    model, frames = small(), counts(1)
    assert torch.allclose(model(frames, frames), model(5 * frames, frames), atol=1e-3)


def test_a_seed_gives_the_same_sample_among_any_others() -> None:
    model, frames = small(), counts(2)
    many = model.sample(frames, frames[:1], [4, 9, 1])
    assert many.shape == (6, 1, GRID_PX, GRID_PX)
    assert torch.allclose(many[[1, 4]], model.sample(frames, frames[:1], [9]), atol=1e-4)
    assert not torch.allclose(many[0], many[1], atol=1e-2)


def test_deviation_is_that_of_the_samples() -> None:
    model, frames = small(), counts(2)
    phase, deviation = model.deviation(frames, frames[:1])
    samples = model.sample(frames, frames[:1], [0, 1, 2]).reshape(2, 3, 1, GRID_PX, GRID_PX).numpy()
    assert phase.numpy() == pytest.approx(samples.mean(1), abs=1e-4)
    assert deviation.numpy() == pytest.approx(samples.std(1, ddof=1), abs=1e-4)
    assert deviation.mean() > 0.01


def test_sampler_and_schedule_change_at_run_time() -> None:
    model, frames = small(), counts(1)
    published = model(frames, frames)
    assert model.evaluations == 4
    model.schedule, model.sampler = "paper-100", "ddim"
    assert model.evaluations == 100
    assert not torch.allclose(published, model(frames, frames), atol=1e-2)
    model.sampler = "magic"
    with pytest.raises(ReconstructionError, match="no sampler has the name 'magic'"):
        model(frames, frames)


def test_a_network_that_predicts_the_picture_samples_what_it_predicts() -> None:
    model = small(replace(CONFIG, predicts="picture", schedule="uniform-1"))
    frames = counts(1)
    # The one step of this schedule gives the clipped estimate itself.
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn((1, GRID_PX, GRID_PX), generator=generator)[None]
    level = torch.tensor(preset("uniform-1").gammas[:1]).float()
    estimate = model.network(torch.cat([model.condition(frames), noise], 1), level).clamp(-1, 1)
    drawn = model(frames, frames)
    assert torch.allclose(drawn, (estimate + 1) / 2 * model.config.phase_range_rad, atol=1e-3)


def test_at_pure_noise_the_picture_cannot_be_read_from_the_input() -> None:
    model = small(replace(CONFIG, predicts="picture", pure_noise=1.0)).train()
    seen: list[torch.Tensor] = []
    model.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0][:, 1:]))
    batch = pairs(64)
    torch.manual_seed(1)
    model.loss(batch)
    clean = batch.phase_rad - batch.phase_rad.mean()
    assert abs(float((seen[0] * clean).mean() / (seen[0].std() * clean.std()))) < 0.03
    assert float(seen[0].std()) == pytest.approx(1, abs=0.02)


def test_the_usual_loss_is_the_published_one() -> None:
    model, batch = small().train(), pairs(2)
    torch.manual_seed(5)
    loss = model.loss(batch)
    torch.manual_seed(5)
    gamma = draw_gamma(2)[:, None, None, None]
    eps = torch.randn(batch.phase_rad.shape)
    torch.manual_seed(5)
    noisy = gamma.sqrt() * (2 * batch.phase_rad / 2.85 - 1) + (1 - gamma).sqrt() * eps
    model.eval()
    with torch.no_grad():
        estimate = model.network(torch.cat([model.condition(batch.frames), noisy], 1), gamma[:, 0, 0, 0])
    assert float(loss.detach()) == pytest.approx(float((estimate - eps).abs().mean()), rel=0.1)  # dropout is on in training


def test_a_regressor_sees_the_speckle_alone_and_each_seed_gives_the_same() -> None:
    model = small(replace(CONFIG, predicts="picture", mean_only=True, norm="batch"))
    frames = counts(1)
    for seed in (0, 1):
        estimate = model.network(
            torch.cat([model.condition(frames), torch.zeros((1, 1, GRID_PX, GRID_PX))], 1), torch.tensor([GAMMA_NOISIEST])
        )
        drawn = model.sample(frames, frames, [seed])
        assert torch.allclose(drawn, (estimate + 1) / 2 * model.config.phase_range_rad, atol=1e-5)
    batch = pairs(4)
    expected = phase_loss(model(batch.frames, batch.reference), batch.phase_rad, model.inside, model.config.phase_range_rad)
    assert float(model.loss(batch).detach()) == pytest.approx(float(expected.detach()), rel=1e-5)


@pytest.mark.parametrize(
    "change", [{"predicts": "picure"}, {"pure_noise": 1.5}, {"mean_only": True}, {"predicts": "picture", "norm": "layer"}]
)
def test_impossible_options_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"predicts is one of noise, picture|a regressor .* the picture|norm is one of"):
        small(replace(CONFIG, **change))  # type: ignore[arg-type]
