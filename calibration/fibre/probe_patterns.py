"""Designed probes: random phase on every SLM pixel, and the speckle of each, some of them left out to judge a fit by.

Per-pixel random phase lights every core with an amplitude and a phase of its own, different in every probe, so that a few
probes tell all cores apart; cells larger than a core light neighbours alike and do not. Most of such light misses the cores,
so the camera's exposure is set for it first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from acquisition.capture.pair_capture import PairCapture, Rig
from calibration.devices.exposure import find_exposure
from calibration.stored import CalibrationError
from drivers.base import Frame, Pattern

#: Values of a probe's pixels: any phase, or 0 and pi, for panels that are known in two levels only.
Kind = Literal["random", "binary"]
#: Where the brightest thousandth of a frame is put, as a fraction of full scale.
_BRIGHTEST = 0.8


@dataclass(frozen=True, eq=False)
class ProbePatternData:
    """Probes and their speckle.

    Parameters
    ----------
    phases_rad : ndarray of float32, shape (N, H, W)
        Displayed phase.
    frames : ndarray of float32, shape (N, h, w)
        Intensity in counts per second.
    left_rad : ndarray of float32, shape (M, H, W)
        Probes that no fit may see.
    left_first, left_again : ndarray of float32, shape (M, h, w)
        Their frames before all others, and after: how alike those are is the best that any prediction can be.
    """

    phases_rad: NDArray[np.float32]
    frames: NDArray[np.float32]
    left_rad: NDArray[np.float32]
    left_first: NDArray[np.float32]
    left_again: NDArray[np.float32]

    def __post_init__(self) -> None:
        if not len(self.phases_rad) == len(self.frames) > 0 or not len(self.left_rad) == len(self.left_first) > 0:
            raise CalibrationError(
                f"{len(self.phases_rad)} probes with {len(self.frames)} frames, {len(self.left_rad)} left out; "
                "at least one of each is needed"
            )


def probe_pattern_phases(count: int, shape: tuple[int, int], seed: int, kind: Kind = "random") -> NDArray[np.float32]:
    """Draw probes: phase (count, H, W) in radians, independent in every pixel."""
    rng = np.random.default_rng((seed, 11))
    draw = rng.random((count, *shape), np.float32)
    wave = np.float32(2 * np.pi)
    return wave * draw if kind == "random" else np.where(draw < 0.5, wave / 2, 0).astype(np.float32)


def acquire(
    rig: Rig,
    probe_patterns: int = 6,
    skipped: int = 2,
    seed: int = 0,
    kind: Kind = "random",
    progress: Callable[[int], None] = lambda done: None,
) -> ProbePatternData:
    """Show probes and take a frame of each.

    Parameters
    ----------
    rig : Rig
        Used by this thread; its exposure is changed meanwhile.
    probes, skipped : int
        How many to fit, and how many to judge the fit by; these are taken twice.
    seed : int
        Other seeds give other probes.
    kind : {"random", "binary"}
        Values of their pixels.
    progress : callable
        Called with the number of frames taken.

    Raises
    ------
    CaptureError, DeviceError
        The devices failed.
    CalibrationError
        No exposure suits the light.
    """
    phases = probe_pattern_phases(probe_patterns + skipped, rig.display().capabilities.shape, seed, kind)
    usual_s = rig.camera.exposure_s
    capture = PairCapture(rig)
    order = [
        *range(probe_patterns, probe_patterns + skipped),
        *range(probe_patterns),
        *range(probe_patterns, probe_patterns + skipped),
    ]
    frames = []
    try:
        rig.clock.wait_until(rig.display().show(Pattern(phases[0], "probe 0")))
        find_exposure(rig, _BRIGHTEST)
        for number in order:
            frame = capture.capture(Pattern(phases[number], f"probe {number}"))
            frames.append(per_second(frame))
            progress(len(frames))
    finally:
        capture.release()
        rig.camera.set_exposure(usual_s)
    seen = np.stack(frames)
    return ProbePatternData(
        phases[:probe_patterns],
        seen[skipped : skipped + probe_patterns],
        phases[probe_patterns:],
        seen[:skipped],
        seen[skipped + probe_patterns :],
    )


def per_second(frame: Frame) -> NDArray[np.float32]:
    """Return a frame as counts per second, which a change of exposure does not change."""
    return np.asarray(frame.pixels / frame.exposure_s, np.float32)
