"""Samplers agree with those of diffusers on a fixed network, and with the exact results for points and Gaussians."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from reconstruction.diffusion.samplers import SAMPLERS, Denoiser, Noise, PredictEps, Sampler, ancestral, ddim, dpmpp_2m, renoise
from reconstruction.diffusion.schedules import preset

SHAPE = (2, 1, 16, 16)
SCHEDULES = ("uniform-1", "uniform-2", "uniform-8", "uniform-25", "paper-100", "paper-1000")
#: Without the clip, the 1,000 steps' first estimates are 1e10 and compare nothing.
CASES = [(schedule, clip) for schedule in SCHEDULES for clip in (True, False) if clip or schedule != "paper-1000"]


@pytest.fixture(scope="module")
def diffusers() -> Iterator[ModuleType]:
    """Hugging Face's library, which takes seconds to import, without access to the network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        import diffusers

        yield diffusers


@pytest.fixture(scope="module")
def network() -> PredictEps:
    """Return a smooth function of image and level that is no trained network."""
    torch.manual_seed(1)
    layers = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.SiLU(), nn.Conv2d(8, 1, 3, padding=1))
    layers.requires_grad_(requires_grad=False)

    def predict(y: torch.Tensor, gamma: torch.Tensor) -> torch.Tensor:
        assert gamma.shape == (len(y),)
        return layers(torch.cat([y, gamma[:, None, None, None].expand_as(y)], 1))

    return predict


def seeded(seed: int = 7, shape: tuple[int, ...] = SHAPE) -> tuple[torch.Tensor, Noise]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator), lambda: torch.randn(shape, generator=generator)


def follow(scheduler: object, network: PredictEps, gammas: np.ndarray, **options: object) -> torch.Tensor:
    """Run a scheduler of diffusers on our levels, with the noise of ``seeded()``."""
    generator = torch.Generator().manual_seed(7)
    y = torch.randn(SHAPE, generator=generator)
    scheduler.alphas_cumprod = torch.from_numpy(gammas[::-1].copy())  # given as betas they would be rounded to float32
    scheduler.set_timesteps(len(gammas))
    assert scheduler.timesteps.tolist() == list(range(len(gammas)))[::-1]
    for level, gamma in zip(scheduler.timesteps, gammas, strict=True):
        eps = network(y, torch.full((len(y),), float(gamma)))
        y = scheduler.step(eps, level, y, generator=generator, **options).prev_sample
    return y


@pytest.mark.parametrize(("schedule", "clip"), CASES)
def test_ancestral_is_ddpm(diffusers: ModuleType, network: PredictEps, schedule: str, *, clip: bool) -> None:
    gammas = preset(schedule).gammas
    theirs = diffusers.DDPMScheduler(len(gammas), variance_type="fixed_small", clip_sample=clip)
    ours = ancestral(Denoiser(network, clip=clip), *with_noise(gammas))
    torch.testing.assert_close(ours, follow(theirs, network, gammas), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_ddim_is_ddim_after_the_clip(diffusers: ModuleType, network: PredictEps, schedule: str, eta: float) -> None:
    gammas = preset(schedule).gammas
    theirs = diffusers.DDIMScheduler(len(gammas), clip_sample=True)
    ours = ddim(Denoiser(network), *with_noise(gammas), eta)
    expected = follow(theirs, network, gammas, eta=eta, use_clipped_model_output=True)
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers' own, of a tensor under NumPy 2
@pytest.mark.parametrize(("schedule", "clip"), CASES)
def test_dpmpp_2m_is_the_multistep_solver(diffusers: ModuleType, network: PredictEps, schedule: str, *, clip: bool) -> None:
    gammas = preset(schedule).gammas
    theirs = diffusers.DPMSolverMultistepScheduler(
        len(gammas),
        solver_order=2,
        algorithm_type="dpmsolver++",
        solver_type="midpoint",
        timestep_spacing="trailing",
        final_sigmas_type="zero",
        thresholding=clip,  # with a largest value of 1 it is the plain clip
        sample_max_value=1.0,
    )
    ours = dpmpp_2m(Denoiser(network, clip=clip), *with_noise(gammas))
    torch.testing.assert_close(ours, follow(theirs, network, gammas), atol=1e-4, rtol=1e-4)


def with_noise(gammas: np.ndarray) -> tuple[torch.Tensor, np.ndarray, Noise]:
    start, noise = seeded()
    return start, gammas, noise


@pytest.mark.parametrize("clip", [True, False])
def test_renoise_is_its_equation(network: PredictEps, *, clip: bool) -> None:
    gammas = preset("paper-100").gammas
    y, noise = seeded()
    for step, gamma in enumerate(gammas):
        x = (y - (1 - gamma) ** 0.5 * network(y, torch.full((2,), float(gamma)))) / gamma**0.5
        x = torch.clip(x, -1, 1) if clip else x
        y = gammas[step + 1] ** 0.5 * x + (1 - gammas[step + 1]) ** 0.5 * noise() if step < 99 else x
    ours = renoise(Denoiser(network, clip=clip), *with_noise(gammas))
    torch.testing.assert_close(ours, y.float(), atol=1e-4, rtol=1e-4)


def test_ddim_with_all_its_noise_is_ancestral(network: PredictEps) -> None:
    gammas = preset("uniform-25").gammas
    ours = ddim(Denoiser(network), *with_noise(gammas), 1.0)
    torch.testing.assert_close(ours, ancestral(Denoiser(network), *with_noise(gammas)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("schedule", ["uniform-1", "uniform-2", "uniform-8", "paper-100"])
@pytest.mark.parametrize("name", SAMPLERS)
def test_the_exact_noise_leads_to_the_exact_image(name: str, schedule: str) -> None:
    target = torch.linspace(-1, 1, 256).reshape(1, 1, 16, 16)

    def exact(y: torch.Tensor, gamma: torch.Tensor) -> torch.Tensor:
        g = gamma.double()[:, None, None, None]
        return ((y - g.sqrt() * target) / (1 - g).sqrt()).float()

    image = SAMPLERS[name](Denoiser(exact, clip=False), *with_noise(preset(schedule).gammas))
    torch.testing.assert_close(image, target.expand(SHAPE), atol=1e-3, rtol=0)


MEAN, STD = 0.3, 0.2


def of_gaussian(y: torch.Tensor, gamma: torch.Tensor) -> torch.Tensor:
    """Return the expected noise in y if pixels are normal with MEAN and STD."""
    g = gamma.double()[:, None]
    return ((1 - g).sqrt() * (y - g.sqrt() * MEAN) / (g * STD**2 + 1 - g)).float()


def drawn(sampler: Sampler, schedule: str) -> torch.Tensor:
    start, noise = seeded(shape=(1, 40_000))
    return sampler(Denoiser(of_gaussian, clip=False), start, preset(schedule).gammas, noise)


@pytest.mark.parametrize("name", ["ancestral", "ddim", "dpmpp-2m"])
def test_samples_of_a_gaussian_have_its_mean_and_standard_deviation(name: str) -> None:
    samples = drawn(SAMPLERS[name], "uniform-200")
    assert samples.mean().item() == pytest.approx(MEAN, abs=0.005)
    assert samples.std().item() == pytest.approx(STD, rel=0.03)


def test_renoising_loses_variance() -> None:
    gammas = preset("uniform-200").gammas
    variance = 0.0
    for gamma in gammas:  # variance of the estimate, which is the mean of all images compatible with the noisy one
        weight = math.sqrt(gamma) * STD**2 / (gamma * STD**2 + 1 - gamma)
        variance = weight**2 * (gamma * variance + 1 - gamma)
    assert math.sqrt(variance) < 0.9 * STD
    assert drawn(renoise, "uniform-200").std().item() == pytest.approx(math.sqrt(variance), rel=0.02)


def test_the_second_order_solver_needs_fewer_steps() -> None:
    start, _ = seeded(shape=(1, 40_000))
    exact = MEAN + STD * start  # the flow keeps every pixel's quantile, and starts where gamma is nearly 0
    wrong = {sampler: (drawn(sampler, "uniform-20") - exact).std().item() for sampler in (ddim, dpmpp_2m)}
    assert wrong[dpmpp_2m] < wrong[ddim] / 3


@pytest.mark.parametrize(("name", "draws"), [("ancestral", 7), ("renoise", 7), ("ddim", 0), ("dpmpp-2m", 0)])
def test_one_evaluation_a_step_and_no_noise_after_the_last(network: PredictEps, name: str, draws: int) -> None:
    start, noise = seeded()
    gammas: list[float] = []
    drawn: list[torch.Tensor] = []

    def predict(y: torch.Tensor, gamma: torch.Tensor) -> torch.Tensor:
        gammas.append(gamma[0].item())
        return network(y, gamma)

    def counted() -> torch.Tensor:
        drawn.append(noise())
        return drawn[-1]

    SAMPLERS[name](Denoiser(predict), start, preset("uniform-8").gammas, counted)
    assert gammas == pytest.approx(preset("uniform-8").gammas)
    assert len(drawn) == draws


@pytest.mark.parametrize("sampler", [*SAMPLERS.values(), partial(ddim, eta=0.5)])
def test_a_network_in_half_precision_gives_float32(network: PredictEps, sampler: Sampler) -> None:
    start, noise = seeded()
    denoiser = Denoiser(lambda y, gamma: network(y, gamma).bfloat16())
    image = sampler(denoiser, start, preset("uniform-8").gammas, noise)
    assert image.dtype == torch.float32
    assert image.abs().max() <= 1
