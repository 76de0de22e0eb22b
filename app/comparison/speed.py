"""Speed-ups of networks: over gradient descent through the fibre to the same SSIM, and over SpecDiffusion at full size."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from app.comparison.methods import Descent
from calibration.fibre.response import FibreResponse
from reconstruction.evaluation.comparison import Method, on_grid
from reconstruction.metrics import Scores, mean_scores, score
from reconstruction.models.base import NetworkConfig
from reconstruction.models.registry import build, config_of

Phase = NDArray[np.float32]

#: Numbers of steps that are tried. The step size falls to 0 at the end of a run, so each number of steps needs its own run.
STEPS = (20, 40, 60, 80, 100, 150)
#: Sampler steps per frame in Table 1 of the SpecDiffusion paper.
PUBLISHED_STEPS = 100
#: Sampler steps that are run to time one.
_TIMED_STEPS = 2


@dataclass(frozen=True, eq=False, kw_only=True)
class TimedFrames:
    """The frames that all methods reconstruct, and how their results are scored.

    Parameters
    ----------
    pairs : sequence of (ndarray, ndarray)
        Frames of counts, (H, W), each with its phase in radians, (grid, grid).
    reference : ndarray of float32, shape (H, W)
        Reference speckle, in counts.
    exposure_s : float
        Exposure of the frames in seconds.
    mask : ndarray of bool, shape (grid, grid)
        The fibre's disc.
    phase_range_rad : float
        Phase of white.
    """

    pairs: Sequence[tuple[NDArray[Any], Phase]]
    reference: Phase
    exposure_s: float
    mask: NDArray[np.bool_]
    phase_range_rad: float

    def score(self, phase_rad: Phase, truth_rad: Phase) -> Scores:
        """Score one reconstruction."""
        return score(on_grid(phase_rad, len(self.mask)), truth_rad, self.mask, self.phase_range_rad)


@dataclass
class _Runs:
    """Scores and times of the runs of one method."""

    scores: list[Scores] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def mean(self) -> Scores:
        return mean_scores(self.scores)

    @property
    def frame_s(self) -> float:
        return float(np.median(self.seconds))


def speed_over_descent(methods: Sequence[Method], response: FibreResponse, frames: TimedFrames) -> dict[str, object]:
    """Measure how many times faster each method is than gradient descent to the same SSIM.

    All methods reconstruct the same frames in turn. The number of steps that the descent needs for the SSIM of a method is
    interpolated. This is done twice: with the mean phase of each image, and with the mean phase removed. The descent does not
    measure the mean phase and networks estimate it, so with the mean phase the descent may never reach their SSIM. Then its
    longest run counts, and the speed-up is a lower bound.

    Parameters
    ----------
    methods : sequence of Method
        Networks that work through the same response.
    response : FibreResponse
        The calibrated fibre.
    frames : TimedFrames
        What is reconstructed.

    Returns
    -------
    dict
        ``methods``: for each name ``ratio``, the speed-up with the mean phase removed, ``ratio_with_mean``, and the numbers
        they come from. ``descent_by_steps``: SSIM and time of the descent. ``images``: number of frames.
    """
    own, descents = _run_in_turn(methods, response, frames)
    times_s = [descents[steps].frame_s for steps in STEPS]
    means = [descents[steps].mean for steps in STEPS]
    curves = {name: [getattr(mean, name) for mean in means] for name in ("ssim_centred", "ssim")}
    return {
        "methods": {name: _speed_up(runs, curves, times_s) for name, runs in own.items()},
        "descent_by_steps": {
            str(steps): {"ssim_centred": mean.ssim_centred, "ssim": mean.ssim, "ms": 1e3 * seconds}
            for steps, mean, seconds in zip(STEPS, means, times_s, strict=True)
        },
        "images": len(frames.pairs),
    }


def _run_in_turn(
    methods: Sequence[Method], response: FibreResponse, frames: TimedFrames
) -> tuple[dict[str, _Runs], dict[int, _Runs]]:
    """Run descents and methods alternately, so that a slow moment of the computer affects all of them."""
    own = {method.name: _Runs() for method in methods}
    descents = {steps: _Runs() for steps in STEPS}
    for method in methods:
        method.run(frames.pairs[0][0], frames.reference)
    for frame, truth in frames.pairs:
        for steps, runs in descents.items():
            descent = Descent(response, frames.exposure_s, steps)
            phase, seconds = _timed(descent, frame, frames.reference)
            runs.seconds.append(seconds)
            runs.scores.append(frames.score(phase, truth))
            for method in methods:
                own[method.name].seconds.append(_timed(method, frame, frames.reference)[1])
        for method in methods:
            own[method.name].scores.append(frames.score(method.run(frame, frames.reference), truth))
    return own, descents


def _speed_up(runs: _Runs, curves: Mapping[str, Sequence[float]], times_s: Sequence[float]) -> dict[str, object]:
    """Compare one method with the descent's SSIM and time for every number of steps."""
    mean, frame_s = runs.mean, runs.frame_s
    needed_s = {
        name: float(np.interp(getattr(mean, name), np.maximum.accumulate(curve), times_s)) for name, curve in curves.items()
    }
    return {
        "ratio": needed_s["ssim_centred"] / frame_s,
        "ratio_with_mean": needed_s["ssim"] / frame_s,
        "ssim_centred": mean.ssim_centred,
        "ssim": mean.ssim,
        "ms_per_frame": 1e3 * frame_s,
        "descent_reaches_it": bool(max(curves["ssim_centred"]) >= mean.ssim_centred),
        "descent_reaches_it_with_mean": bool(max(curves["ssim"]) >= mean.ssim),
        "descent_ms": 1e3 * needed_s["ssim_centred"],
    }


def speed_over_specdiffusion(
    methods: Sequence[Method], config: NetworkConfig, frame: NDArray[Any], reference: Phase, rounds: int = 3
) -> dict[str, object]:
    """Measure how many times faster methods are than SpecDiffusion at its published size, on the same frame in turn.

    SpecDiffusion gets random weights: they take the same time as trained ones. One evaluation is timed; a frame takes 100, as
    published.

    Parameters
    ----------
    methods : sequence of Method
        Methods with few evaluations.
    config : NetworkConfig
        Frame and grid, of any network of this fibre.
    frame, reference : ndarray, shape (H, W)
        Counts.
    rounds : int
        Number of repetitions; medians are compared.

    Returns
    -------
    dict
        ``ratios``, the speed-up of each method by name, and the numbers they come from.
    """
    shape = {name: getattr(config, name) for name in ("frame_px", "grid_px", "field_radius", "phase_range_rad")}
    network = build("specdiffusion", config_of("specdiffusion", shape)).eval()
    network.set_steps(_TIMED_STEPS)
    inputs = [torch.from_numpy(np.array(image, np.float32))[None, None] for image in (frame, reference)]
    own = {method.name: _Runs() for method in methods}
    evaluation_s = []
    for _ in range(rounds):
        start = time.perf_counter()
        with torch.inference_mode():
            network(*inputs)
        evaluation_s.append((time.perf_counter() - start) / _TIMED_STEPS)
        for method in methods:
            own[method.name].seconds.append(_timed(method, frame, reference)[1])
    frame_s = PUBLISHED_STEPS * float(np.median(evaluation_s))
    return {
        "ratios": {name: frame_s / runs.frame_s for name, runs in own.items()},
        "specdiffusion_ms_per_frame": 1e3 * frame_s,
        "specdiffusion_steps": PUBLISHED_STEPS,
        "specdiffusion_parameters": sum(parameter.numel() for parameter in network.parameters()),
        "specdiffusion_engine": "torch fp32",
    }


def _timed(method: Method, frame: NDArray[Any], reference: Phase) -> tuple[Phase, float]:
    """Run a method; return the phase, and the time in seconds."""
    start = time.perf_counter()
    phase = method.run(frame, reference)
    return phase, time.perf_counter() - start
