"""Measure the SLM's step response with the camera: when a new pattern begins to change the light, and when it has settled.

A pattern is shown until it has settled. Then another pattern is requested, and the camera is triggered after a delay. The frame
shows how far the light has changed from the first pattern to the second. The requests are not synchronous with the SLM's
refresh, so the moment of the change varies by one refresh period even if the electronics always need the same number of frames.
The least latency, the most latency and the liquid crystal's time constant are fitted to all frames together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acquisition.capture.pair_capture import PairCapture, Rig
from acquisition.capture.sync_check import speckle_of, sync_check_patterns
from calibration.stored import CalibrationError
from drivers.base import TriggerMode

KIND = "timing"
#: Longest exposure for the step response, as a fraction of the refresh period.
_EXPOSURE = 0.1
#: Frames that are averaged for the speckle of each settled pattern.
_TEMPLATES = 4
_MOST_FRAMES = 8
_TAUS_S = np.geomspace(0.0005, 0.02, 33)
#: Number of sub-steps of a refresh period. The change happens in any of them with equal probability.
_PHASES = 16
#: The liquid crystal has settled when this fraction of the change remains.
_LEFT = 0.01
#: Likelihood of a frame that does not belong to the step, where a perfect frame has 1.
_OUTLIERS = 1e-4
_MAX_RESIDUAL_FRACTION = 0.2


@dataclass(frozen=True)
class TimingData:
    """Frames of the step response: their delays, and how far the light had changed.

    Parameters
    ----------
    delays_s : ndarray of float64, shape (N,)
        Time from the request for the pattern to the middle of the exposure, in seconds.
    progress : ndarray of float64, shape (N,)
        Completed fraction of the change: 0 is the previous pattern, 1 the new one.
    refresh_s : float
        Refresh period of the SLM in seconds.
    """

    delays_s: NDArray[np.float64]
    progress: NDArray[np.float64]
    refresh_s: float


@dataclass(frozen=True, kw_only=True)
class TimingFit:
    """The SLM's step response.

    Parameters
    ----------
    latency_frames : (int, int)
        Least and most refresh periods between the refresh that accepts a pattern and the refresh that shows it.
    time_constant_s : float
        Time constant of the liquid crystal in seconds, correct to within a factor of 1.6, because few frames fall into the
        transition.
    latency_s : float
        Longest time from the request to the start of the change, in seconds.
    settle_s : float
        Time from the start of the change until 1 % of it remains, in seconds.
    residual_fraction : float
        Fraction of the frames that no step with this latency and time constant explains.
    """

    latency_frames: tuple[int, int]
    time_constant_s: float
    latency_s: float
    settle_s: float
    residual_fraction: float

    @property
    def trigger_delay_s(self) -> float:
        """Suggested delay in seconds of a camera that the SLM's sync output triggers: the settling time and 20 % reserve."""
        return 1.2 * self.settle_s


def acquire(
    rig: Rig, steps: int = 240, longest_s: float = 0.0, progress: Callable[[int], None] = lambda done: None
) -> TimingData:
    """Capture the step response.

    Parameters
    ----------
    rig : Rig
        Used by this thread only, with software triggers. Its exposure is changed and restored afterwards.
    steps : int
        Number of frames.
    longest_s : float
        Longest delay in seconds. 0 means the latency and the settling time that the SLM declares, and two more refresh periods.
    progress : callable
        Called with the number of frames captured.

    Raises
    ------
    CaptureError, DeviceError
        A device failed.
    """
    camera, slm, clock = rig.camera, rig.display(), rig.clock
    declared = slm.capabilities
    # Software triggers only: a hardware trigger would wait until the SLM shows the new pattern.
    capture = PairCapture(Rig(camera, slm, clock))
    before, after = sync_check_patterns(declared.shape)
    shortest_s, _ = camera.capabilities.exposure_range_s
    usual_s = camera.exposure_s
    exposure_s = max(shortest_s, min(usual_s, _EXPOSURE * declared.refresh_s))
    longest_s = longest_s or declared.latency_s + declared.settle_s + 2 * declared.refresh_s
    delays, changes = [], []
    try:
        templates = [
            np.mean([speckle_of(capture.capture(pattern).pixels) for _ in range(_TEMPLATES)], axis=0)
            for pattern in (before, after)
        ]
        across = templates[1] - templates[0]
        capture.release()
        camera.set_exposure(exposure_s)
        camera.arm(TriggerMode.SOFTWARE)
        rng = np.random.default_rng(0)
        for number in range(steps):
            delay_s = longest_s * (number + 0.5) / steps
            clock.wait_until(slm.show(before) + round(float(rng.uniform(0, declared.refresh_s)) * 1e9))
            requested_ns = clock.now_ns()
            slm.show(after)
            clock.wait_until(requested_ns + round(delay_s * 1e9))
            camera.trigger()
            frame = camera.read(camera.exposure_s + camera.capabilities.readout_s + 0.25)
            middle_ns = frame.t_ns - round(0.5e9 * frame.exposure_s)
            delays.append((middle_ns - requested_ns) * 1e-9)
            changes.append(float((speckle_of(frame.pixels) - templates[0]) @ across / (across @ across)))
            progress(number + 1)
            # Wait until this step has settled before the next one starts.
            clock.wait_until(requested_ns + round(longest_s * 1e9))
    finally:
        camera.disarm()
        camera.set_exposure(usual_s)
    return TimingData(np.array(delays), np.array(changes), declared.refresh_s)


def fit(data: TimingData) -> TimingFit:
    """Fit latency and time constant to the step response.

    Raises
    ------
    CalibrationError
        The light did not change, or it changed in a way that no step of an SLM explains.
    """
    eighth = max(1, len(data.progress) // 8)
    late = float(np.mean(data.progress[-eighth:]))
    if late < 0.5:
        raise CalibrationError(
            f"{100 * late:.0f} % of the light's change was complete at the longest delays, 50 % are needed; set a longer "
            "latency for the SLM, or check that the SLM's light reaches the camera"
        )
    noise = max(0.03, float(np.std(data.progress[-eighth // 2 :])))
    phases = (np.arange(_PHASES) + 0.5) / _PHASES
    onsets_s = (np.arange(_MOST_FRAMES + 1)[:, None] + phases[None, :]) * data.refresh_s
    since_s = np.clip(data.delays_s[:, None, None] - onsets_s, 0, None)
    best = (-math.inf, 0, 0, 0.0)
    for tau_s in _TAUS_S:
        # The moment of each frame's change is unknown, so its likelihood is averaged over all moments.
        likely = np.exp(-0.5 * ((data.progress[:, None, None] - _step(since_s, tau_s)) / noise) ** 2).mean(axis=2) + _OUTLIERS
        summed = np.concatenate([np.zeros((len(likely), 1)), np.cumsum(likely, axis=1)], axis=1)
        for least in range(_MOST_FRAMES + 1):
            for most in range(least, _MOST_FRAMES + 1):
                evidence = float(np.log((summed[:, most + 1] - summed[:, least]) / (most + 1 - least)).sum())
                best = max(best, (evidence, least, most, float(tau_s)))
    _, least, most, tau_s = best
    residual_fraction = float(np.mean(_nearest(data, least, most, tau_s) > 3 * noise))
    if residual_fraction > _MAX_RESIDUAL_FRACTION:
        raise CalibrationError(
            f"{100 * residual_fraction:.0f} % of the frames fit no step of the light, at most "
            f"{100 * _MAX_RESIDUAL_FRACTION:.0f} % are allowed; check that the fibre does not move and that nothing else "
            "disturbs the light"
        )
    return TimingFit(
        latency_frames=(least, most),
        time_constant_s=tau_s,
        latency_s=(most + 1) * data.refresh_s,
        settle_s=tau_s * math.log(1 / _LEFT),
        residual_fraction=residual_fraction,
    )


def _step(since_s: NDArray[np.float64], tau_s: float) -> NDArray[np.float64]:
    """Return the completed fraction of the light's change at times after its start.

    The phase of the blocks goes exponentially from 0 to pi, and their light follows the cosine of the phase.
    """
    return np.asarray((1 - np.cos(np.pi * (1 - np.exp(-since_s / tau_s)))) / 2)


def _nearest(data: TimingData, least: int, most: int, tau_s: float) -> NDArray[np.float64]:
    """Return the distance of every frame from the nearest step that starts within the latency."""
    onsets_s = np.linspace(least, most + 1, 8 * _PHASES) * data.refresh_s
    since_s = np.clip(data.delays_s[:, None] - onsets_s[None, :], 0, None)
    return np.asarray(np.abs(data.progress[:, None] - _step(since_s, tau_s)).min(axis=1))
