"""How much faster a network is than descent through the same calibrated fibre, at the same quality."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.table_methods import Descent
from calibration.fibre_response import FibreResponse
from reconstruction.evaluation.comparison import Method, on_grid
from reconstruction.metrics import score

Phase = NDArray[np.float32]

#: Steps of the descent that are tried; its rates fall to nothing at the end of each, so that each is a run of its own.
STEPS = (20, 40, 60, 80, 100, 150)


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


def _ssim(phase: Phase, truth: Phase, mask: NDArray[np.bool_], range_rad: float) -> float:
    return score(on_grid(phase, len(mask)), truth, mask, range_rad).ssim_centred
