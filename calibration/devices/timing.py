"""When a new pattern is light, and when it has settled: the SLM's step response, seen by the camera.

A pattern is shown and left to settle, then another, and the camera is triggered some time after that; the frame tells how far
the light has gone from the one to the other. Shows are not in step with the panel's refresh, so the moment of change scatters
by one period even where the electronics always take the same number of frames. Fitted to all frames together are the least
and the most frames of latency, and the liquid crystal's time constant.
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
#: Exposures of the step response, as a fraction of the refresh period at most.
_EXPOSURE = 0.1
_TEMPLATES = 4
_MOST_FRAMES = 8
_TAUS_S = np.geomspace(0.0005, 0.02, 33)
#: Sub-steps of a refresh period over which the unknown moment is spread.
_PHASES = 16
#: A crystal has settled when this much of the way is left.
_LEFT = 0.01
#: Likelihood of a frame that is none of the step's, beside 1 for a perfect one.
_OUTLIERS = 1e-4
_MAX_RESIDUAL_FRACTION = 0.2


@dataclass(frozen=True)
class TimingData:
    """Steps: when the camera exposed after the show, and how far the light had gone.

    Parameters
    ----------
    delays_s : ndarray of float64, shape (N,)
        From asking for the pattern to the middle of the exposure.
    progress : ndarray of float64, shape (N,)
        0 is the pattern before, 1 the new one.
    refresh_s : float
        Refresh period of the panel.
    """

    delays_s: NDArray[np.float64]
    progress: NDArray[np.float64]
    refresh_s: float


@dataclass(frozen=True)
class TimingFit:
    """The response.

    Parameters
    ----------
    latency_frames : (int, int)
        Least and most refresh periods between the refresh that takes a pattern and the one that shows it.
    time_constant_s : float
        Of the liquid crystal, to within a factor of 1.6: few frames meet it on its way.
    latency_s : float
        Longest time from asking to the first new light.
    settle_s : float
        From first light until 1 % of the way is left.
    residual_fraction : float
        Fraction of the frames that fit no change in the allowed time.
    """

    latency_frames: tuple[int, int]
    time_constant_s: float
    latency_s: float
    settle_s: float
    residual_fraction: float

    @property
    def trigger_delay_s(self) -> float:
        """Suggested delay of a camera whose line is wired to the SLM's sync output, with a fifth to spare."""
        return 1.2 * self.settle_s


def acquire(
    rig: Rig, steps: int = 240, longest_s: float = 0.0, progress: Callable[[int], None] = lambda done: None
) -> TimingData:
    """Take the step response.

    Parameters
    ----------
    rig : Rig
        Used by this thread; its software trigger, and its exposure is changed.
    steps : int
        Frames to take.
    longest_s : float
        Longest delay; 0 takes what the SLM declares for latency and settling, and two refresh periods more.
    progress : callable
        Called with the number of frames taken.

    Raises
    ------
    CaptureError, DeviceError
        The devices failed.
    """
    camera, slm, clock = rig.camera, rig.display(), rig.clock
    known = slm.capabilities
    # Everything relies on software triggers here: the line would wait for the light itself.
    capture = PairCapture(Rig(camera, slm, clock))
    before, after = sync_check_patterns(known.shape)
    low_s, _ = camera.capabilities.exposure_range_s
    usual_s = camera.exposure_s
    exposure_s = max(low_s, min(usual_s, _EXPOSURE * known.refresh_s))
    longest_s = longest_s or known.latency_s + known.settle_s + 2 * known.refresh_s
    delays, found = [], []
    try:
        templates = [np.mean([speckle_of(capture.capture(p)) for _ in range(_TEMPLATES)], axis=0) for p in (before, after)]
        across = templates[1] - templates[0]
        capture.release()
        camera.set_exposure(exposure_s)
        camera.arm(TriggerMode.SOFTWARE)
        rng = np.random.default_rng(0)
        for number in range(steps):
            wanted_s = longest_s * (number + 0.5) / steps
            clock.wait_until(slm.show(before) + round(float(rng.uniform(0, known.refresh_s)) * 1e9))
            asked_ns = clock.now_ns()
            slm.show(after)
            clock.wait_until(asked_ns + round(wanted_s * 1e9))
            camera.trigger()
            frame = camera.read(camera.exposure_s + camera.capabilities.readout_s + 0.25)
            middle_ns = frame.t_ns - round(0.5e9 * frame.exposure_s)
            delays.append((middle_ns - asked_ns) * 1e-9)
            found.append(float((speckle_of(frame) - templates[0]) @ across / (across @ across)))
            progress(number + 1)
            # Let the step end, so that the next one starts from rest.
            clock.wait_until(asked_ns + round(longest_s * 1e9))
    finally:
        camera.disarm()
        camera.set_exposure(usual_s)
    return TimingData(np.array(delays), np.array(found), known.refresh_s)


def fit(data: TimingData) -> TimingFit:
    """Find latency and time constant that explain the steps.

    Raises
    ------
    CalibrationError
        The light never changed, or in no way that a panel would change it.
    """
    eighth = max(1, len(data.progress) // 8)
    late = float(np.mean(data.progress[-eighth:]))
    if late < 0.5:
        raise CalibrationError(
            f"the light had gone {100 * late:.0f} % of the way at the longest delays, 50 % are needed: allow for a longer "
            "latency, or check that the camera sees the panel"
        )
    noise = max(0.03, float(np.std(data.progress[-eighth // 2 :])))
    phases = (np.arange(_PHASES) + 0.5) / _PHASES
    onsets_s = (np.arange(_MOST_FRAMES + 1)[:, None] + phases[None, :]) * data.refresh_s
    since_s = np.clip(data.delays_s[:, None, None] - onsets_s, 0, None)
    best = (-math.inf, 0, 0, 0.0)
    for tau_s in _TAUS_S:
        # The blocks' phase goes from 0 to pi, and their light with its cosine. Each frame saw one moment of change, but which?
        went = (1 - np.cos(np.pi * (1 - np.exp(-since_s / tau_s)))) / 2
        likely = np.exp(-0.5 * ((data.progress[:, None, None] - went) / noise) ** 2).mean(axis=2) + _OUTLIERS
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
            f"{100 * _MAX_RESIDUAL_FRACTION:.0f} % may: check that the fibre lies still and nothing else moves in the light"
        )
    return TimingFit((least, most), tau_s, (most + 1) * data.refresh_s, tau_s * math.log(1 / _LEFT), residual_fraction)


def _nearest(data: TimingData, least: int, most: int, tau_s: float) -> NDArray[np.float64]:
    """Return how far every frame is from the nearest that a change in the allowed time would give."""
    onsets_s = np.linspace(least, most + 1, 8 * _PHASES) * data.refresh_s
    since_s = np.clip(data.delays_s[:, None] - onsets_s[None, :], 0, None)
    went = (1 - np.cos(np.pi * (1 - np.exp(-since_s / tau_s)))) / 2
    return np.asarray(np.abs(data.progress[:, None] - went).min(axis=1))
