"""How many times faster networks are: than descent through the fibre to the same SSIM, and than SpecDiffusion in full size."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from app.comparison.methods import Descent
from calibration.fibre.response import FibreResponse
from reconstruction.evaluation.comparison import Method, on_grid
from reconstruction.metrics import Scores, mean_scores, score
from reconstruction.models.reconstructor import NetworkConfig
from reconstruction.models.registry import build, config_of

Phase = NDArray[np.float32]

#: Steps of the descent that are tried; its rates fall to nothing at the end of each, so that each is a run of its own.
STEPS = (20, 40, 60, 80, 100, 150)
#: Sampler steps of a frame in the SpecDiffusion paper's Table 1, and how many are run to time one.
PUBLISHED_STEPS, _TIMED = 100, 2


def speed_over_descent(
    methods: Sequence[Method],
    response: FibreResponse,
    exposure_s: float,
    pairs: Sequence[tuple[NDArray[Any], Phase]],
    reference: Phase,
    mask: NDArray[np.bool_],
    phase_range_rad: float,
) -> dict[str, object]:
    """Run all on the same frames in turn; interpolate the steps that the descent needs for a method's SSIM.

    Both with each picture's mean and without: descent does not guess the phase's level and networks do, so that with the
    mean it may never get there; its longest run then counts, and the ratio is a lower bound.

    Parameters
    ----------
    methods : sequence of Method
        Of networks that work through the same response.
    response : FibreResponse
        The calibrated fibre.
    exposure_s : float
        Of the frames.
    pairs : sequence of (ndarray, ndarray)
        Frames of counts (H, W), and phase on the grid.
    reference, mask, phase_range_rad
        As for :func:`reconstruction.evaluation.comparison.compare`.

    Returns
    -------
    dict
        ``methods``, with each one's ``ratio`` (how many times faster without the mean), ``ratio_with_mean`` and what they come
        from; ``descent_by_steps``.
    """
    own: dict[str, list[Scores]] = {method.name: [] for method in methods}
    own_s: dict[str, list[float]] = {method.name: [] for method in methods}
    scores: dict[int, list[Scores]] = {steps: [] for steps in STEPS}
    seconds: dict[int, list[float]] = {steps: [] for steps in STEPS}
    for method in methods:
        method.run(pairs[0][0], reference)
    for frame, truth in pairs:
        for steps in STEPS:
            descent = Descent(response, exposure_s, steps)
            start = time.perf_counter()
            phase = descent.run(frame, reference)
            seconds[steps].append(time.perf_counter() - start)
            scores[steps].append(_scores(phase, truth, mask, phase_range_rad))
            for method in methods:
                start = time.perf_counter()
                method.run(frame, reference)
                own_s[method.name].append(time.perf_counter() - start)
        for method in methods:
            own[method.name].append(_scores(method.run(frame, reference), truth, mask, phase_range_rad))
    times = [float(np.median(seconds[steps])) for steps in STEPS]
    curves = {name: [getattr(mean_scores(scores[steps]), name) for steps in STEPS] for name in ("ssim_centred", "ssim")}
    found = {}
    for method in methods:
        mean, frame_s = mean_scores(own[method.name]), float(np.median(own_s[method.name]))
        needed_s = {
            name: float(np.interp(getattr(mean, name), np.maximum.accumulate(curve), times)) for name, curve in curves.items()
        }
        found[method.name] = {
            "ratio": needed_s["ssim_centred"] / frame_s,
            "ratio_with_mean": needed_s["ssim"] / frame_s,
            "ssim_centred": mean.ssim_centred,
            "ssim": mean.ssim,
            "ms_per_frame": 1e3 * frame_s,
            "descent_reaches_it": bool(max(curves["ssim_centred"]) >= mean.ssim_centred),
            "descent_reaches_it_with_mean": bool(max(curves["ssim"]) >= mean.ssim),
            "descent_ms": 1e3 * needed_s["ssim_centred"],
        }
    return {
        "methods": found,
        "descent_by_steps": {
            str(steps): {"ssim_centred": centred, "ssim": whole, "ms": 1e3 * taken}
            for steps, centred, whole, taken in zip(STEPS, *curves.values(), times, strict=True)
        },
        "images": len(pairs),
    }


def speed_over_specdiffusion(
    methods: Sequence[Method], config: NetworkConfig, frame: NDArray[Any], reference: Phase, rounds: int = 3
) -> dict[str, object]:
    """Run methods and SpecDiffusion at its published size on the same frame in turn.

    Its weights are random, which takes the same time; one evaluation is timed, and a frame takes a hundred, as published.

    Parameters
    ----------
    methods : sequence of Method
        Of few evaluations.
    config : NetworkConfig
        Frame and grid, of any network of this fibre.
    frame, reference : ndarray, shape (H, W)
        Counts.
    rounds : int
        Medians are taken over so many.

    Returns
    -------
    dict
        ``ratios`` (name of a method: how many times faster) and what they come from.
    """
    shape = {name: getattr(config, name) for name in ("frame_px", "grid_px", "field_radius", "phase_range_rad")}
    full = build("specdiffusion", config_of("specdiffusion", shape)).eval()
    full.set_steps(_TIMED)
    inputs = [torch.from_numpy(np.array(image, np.float32))[None, None] for image in (frame, reference)]
    seconds: dict[str, list[float]] = {method.name: [] for method in methods}
    evaluation_s = []
    for _ in range(rounds):
        start = time.perf_counter()
        with torch.inference_mode():
            full(*inputs)
        evaluation_s.append((time.perf_counter() - start) / _TIMED)
        for method in methods:
            start = time.perf_counter()
            method.run(frame, reference)
            seconds[method.name].append(time.perf_counter() - start)
    frame_s = PUBLISHED_STEPS * float(np.median(evaluation_s))
    return {
        "ratios": {name: frame_s / float(np.median(taken)) for name, taken in seconds.items()},
        "specdiffusion_ms_per_frame": 1e3 * frame_s,
        "specdiffusion_steps": PUBLISHED_STEPS,
        "specdiffusion_parameters": sum(parameter.numel() for parameter in full.parameters()),
        "specdiffusion_engine": "torch fp32",
    }


def _scores(phase: Phase, truth: Phase, mask: NDArray[np.bool_], phase_range_rad: float) -> Scores:
    return score(on_grid(phase, len(mask)), truth, mask, phase_range_rad)
