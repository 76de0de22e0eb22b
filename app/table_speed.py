"""How many times faster networks are: than descent through the fibre to the same SSIM, and than SpecDiffusion in full size."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from app.table_methods import Descent
from calibration.fibre_response import FibreResponse
from reconstruction.evaluation.comparison import Method, on_grid
from reconstruction.evaluation.steps import set_steps
from reconstruction.kinds import build, config_of
from reconstruction.metrics import score
from reconstruction.reconstructor import NetworkConfig

Phase = NDArray[np.float32]

#: Steps of the descent that are tried; its rates fall to nothing at the end of each, so that each is a run of its own.
STEPS = (20, 40, 60, 80, 100, 150)
#: Sampler steps of a frame in the SpecDiffusion paper's Table 1, and how many are run to time one.
PUBLISHED_STEPS, _TIMED = 100, 2


def speed_over_descent(
    method: Method,
    response: FibreResponse,
    exposure_s: float,
    pairs: Sequence[tuple[NDArray[Any], Phase]],
    reference: Phase,
    mask: NDArray[np.bool_],
    range_rad: float,
) -> dict[str, object]:
    """Run both on the same frames in turn; interpolate the steps that the descent needs for the method's SSIM.

    Compared are pictures without their mean, because descent does not guess the phase's level and networks do.

    Parameters
    ----------
    method : Method
        Of a network that works through the same response.
    response : FibreResponse
        The calibrated fibre.
    exposure_s : float
        Of the frames.
    pairs : sequence of (ndarray, ndarray)
        Frames of counts (H, W), and phase on the grid.
    reference, mask, range_rad
        As for :func:`reconstruction.evaluation.comparison.compare`.

    Returns
    -------
    dict
        ``ratio`` (how many times faster; a lower bound where the descent never gets there) and what it comes from.
    """
    own_ssim, own_s = [], []
    ssim: dict[int, list[float]] = {steps: [] for steps in STEPS}
    seconds: dict[int, list[float]] = {steps: [] for steps in STEPS}
    method.run(pairs[0][0], reference)
    for frame, truth in pairs:
        for steps in STEPS:
            descent = Descent(response, exposure_s, steps)
            start = time.perf_counter()
            phase = descent.run(frame, reference)
            seconds[steps].append(time.perf_counter() - start)
            ssim[steps].append(_ssim(phase, truth, mask, range_rad))
            start = time.perf_counter()
            phase = method.run(frame, reference)
            own_s.append(time.perf_counter() - start)
        own_ssim.append(_ssim(phase, truth, mask, range_rad))
    curve = [float(np.mean(ssim[steps])) for steps in STEPS]
    times = [float(np.median(seconds[steps])) for steps in STEPS]
    wanted = float(np.mean(own_ssim))
    needed_s = float(np.interp(wanted, np.maximum.accumulate(curve), times))
    return {
        "ratio": needed_s / float(np.median(own_s)),
        "method": method.name,
        "ssim_centred": wanted,
        "ms_per_frame": 1e3 * float(np.median(own_s)),
        "descent_reaches_it": bool(max(curve) >= wanted),
        "descent_ms": 1e3 * needed_s,
        "descent_by_steps": {
            str(steps): {"ssim_centred": value, "ms": 1e3 * taken}
            for steps, value, taken in zip(STEPS, curve, times, strict=True)
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
    shape = {name: getattr(config, name) for name in ("frame_px", "grid_px", "field_radius", "range_rad")}
    full = build("specdiffusion", config_of("specdiffusion", shape)).eval()
    set_steps(full, _TIMED)
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


def _ssim(phase: Phase, truth: Phase, mask: NDArray[np.bool_], range_rad: float) -> float:
    return score(on_grid(phase, len(mask)), truth, mask, range_rad).ssim_centred
