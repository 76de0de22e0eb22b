"""Probe patterns: random phase on every SLM pixel, and the speckle of each; some are held out to test a fit.

A random phase in every pixel gives each core an amplitude and a phase of its own, which differ from pattern to pattern. A few
probe patterns therefore distinguish all cores. Cells larger than a core would light neighbouring cores alike and could not
distinguish them. Most of the scattered light misses the cores, so the camera's exposure is adapted first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from acquisition.capture.pair_capture import PairCapture, Rig
from calibration.devices.exposure import find_exposure
from calibration.stored import CalibrationError
from drivers.base import Frame, Pattern

#: Target level of the brightest 0.1 % of the pixels, as a fraction of full scale.
_BRIGHTEST = 0.8


class PixelValues(StrEnum):
    """Which phases the pixels of a probe pattern have."""

    #: Any phase between 0 and 2 pi.
    RANDOM = "random"
    #: 0 or pi, for an SLM of which only two grey levels are calibrated.
    BINARY = "binary"


@dataclass(frozen=True, kw_only=True)
class ProbePatternPlan:
    """Which probe patterns to show.

    Parameters
    ----------
    count : int
        Number of probe patterns for the fit.
    held_out : int
        Number of further probe patterns that only test the fit; each is captured twice.
    seed : int
        Seed of the random phases.
    values : PixelValues
        Which phases the pixels have.
    """

    count: int = 6
    held_out: int = 2
    seed: int = 0
    values: PixelValues = PixelValues.RANDOM


@dataclass(frozen=True, eq=False, kw_only=True)
class ProbePatternData:
    """Probe patterns and their speckle.

    Parameters
    ----------
    phases_rad : ndarray of float32, shape (N, H, W)
        Displayed phase of the patterns for the fit.
    frames : ndarray of float32, shape (N, h, w)
        Their intensity in counts per second.
    held_out_rad : ndarray of float32, shape (M, H, W)
        Displayed phase of the held-out patterns, which the fit does not use.
    held_out_first, held_out_again : ndarray of float32, shape (M, h, w)
        Their intensity before and after all other patterns. The correlation of the two limits how good a prediction can be.
    """

    phases_rad: NDArray[np.float32]
    frames: NDArray[np.float32]
    held_out_rad: NDArray[np.float32]
    held_out_first: NDArray[np.float32]
    held_out_again: NDArray[np.float32]

    def __post_init__(self) -> None:
        if not len(self.phases_rad) == len(self.frames) > 0 or not len(self.held_out_rad) == len(self.held_out_first) > 0:
            raise CalibrationError(
                f"{len(self.phases_rad)} probe patterns with {len(self.frames)} frames for the fit, {len(self.held_out_rad)} "
                f"with {len(self.held_out_first)} held out; at least one pattern of each is needed, each with its frame"
            )


def probe_pattern_phases(
    count: int, shape: tuple[int, int], seed: int, values: PixelValues = PixelValues.RANDOM
) -> NDArray[np.float32]:
    """Draw probe patterns: phase (count, H, W) in radians, independent in every pixel."""
    rng = np.random.default_rng((seed, 11))
    draw = rng.random((count, *shape), np.float32)
    wave = np.float32(2 * np.pi)
    if values is PixelValues.BINARY:
        return np.where(draw < 0.5, wave / 2, 0).astype(np.float32)
    return wave * draw


def acquire(
    rig: Rig, plan: ProbePatternPlan | None = None, progress: Callable[[int], None] = lambda done: None
) -> ProbePatternData:
    """Show probe patterns and capture a frame of each.

    Parameters
    ----------
    rig : Rig
        Used by this thread only. Its exposure is changed and restored afterwards.
    plan : ProbePatternPlan, optional
        Which probe patterns to show.
    progress : callable
        Called with the number of frames captured, ``count + 2 * held_out`` in all.

    Raises
    ------
    CaptureError, DeviceError
        A device failed.
    CalibrationError
        No exposure of the camera suits the light.
    """
    plan = plan or ProbePatternPlan()
    phases = probe_pattern_phases(plan.count + plan.held_out, rig.display().capabilities.shape, plan.seed, plan.values)
    fitted, held_out = range(plan.count), range(plan.count, plan.count + plan.held_out)
    usual_s = rig.camera.exposure_s
    capture = PairCapture(rig)
    frames = []
    try:
        rig.clock.wait_until(rig.display().show(Pattern(phases[0], "probe pattern 0")))
        find_exposure(rig, _BRIGHTEST)
        for number in (*held_out, *fitted, *held_out):
            frame = capture.capture(Pattern(phases[number], f"probe pattern {number}"))
            frames.append(per_second(frame))
            progress(len(frames))
    finally:
        capture.release()
        rig.camera.set_exposure(usual_s)
    intensity = np.stack(frames)
    return ProbePatternData(
        phases_rad=phases[: plan.count],
        frames=intensity[plan.held_out : plan.held_out + plan.count],
        held_out_rad=phases[plan.count :],
        held_out_first=intensity[: plan.held_out],
        held_out_again=intensity[plan.held_out + plan.count :],
    )


def per_second(frame: Frame) -> NDArray[np.float32]:
    """Return a frame in counts per second, a unit that does not depend on the exposure."""
    return np.asarray(frame.pixels / frame.exposure_s, np.float32)
