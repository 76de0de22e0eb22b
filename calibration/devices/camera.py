"""Characterise the camera: dark offset and noise, linearity, gain, read noise, and defective pixels.

Everything is measured through the fibre. No shutter and no uniform illumination are needed: a speckle contains all grey levels
at once, and every new pattern on the SLM gives each pixel a new grey level.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from acquisition.capture.pair_capture import Rig
from calibration.devices.exposure import capture, find_exposure
from calibration.devices.photon_transfer import PhotonTransfer, photon_transfer
from calibration.stored import CalibrationError
from drivers.base import Pattern

KIND = "camera"
#: Longest over shortest exposure of the series, where the camera's range allows it; below the second value the fit is refused.
_SPAN = 40.0
_MIN_SPAN = 8.0
#: Quantiles of the pixel values that are tested for linearity. Single pixels do not serve: the speckle changes from shot to
#: shot, its distribution does not.
_QUANTILES = (0.5, 0.75, 0.9, 0.97, 0.995)
#: Grey levels below this fraction of full scale are not tested: there the noise widens the distribution.
_MIN_LEVEL = 0.02
#: A pixel is hot if its dark value exceeds this fraction of full scale and this many standard deviations.
_HOT = 0.01
_HOT_SIGMA = 6.0
#: A pixel is also hot if it is never darker than this many times the mean of its surroundings.
_NEVER_DARK = 2.0
#: A pixel is stuck if it changes by less than the first fraction of the change of its surroundings. Only pixels are evaluated
#: whose surroundings change by more than the second fraction of full scale.
_STUCK = 0.06
_EVALUATED = 0.02
#: Standard deviation of the Gaussian window that defines the surroundings of a pixel.
_WINDOW_PX = 8.0


@dataclass(frozen=True, kw_only=True)
class CameraPlan:
    """Number of frames of each kind, and how bright they are.

    Parameters
    ----------
    fill : float
        Level of the brightest 0.1 % of the pixels at the longest exposure, as a fraction of full scale.
    exposures, pairs : int
        Number of exposures in the series, and pairs of frames at each.
    dark_frames, patterns : int
        Frames at the shortest exposure, and frames of scrambled patterns.
    """

    fill: float = 0.8
    exposures: int = 10
    pairs: int = 2
    dark_frames: int = 16
    patterns: int = 10


@dataclass(frozen=True, kw_only=True)
class CameraData:
    """Frames in raw counts.

    Parameters
    ----------
    exposures_s : ndarray of float64, shape (E,)
        Exposures in seconds, increasing.
    frames : ndarray of uint8 or uint16, shape (E, F, H, W)
        Frames of the flat pattern; F, the number at each exposure, is even.
    dark_exposure_s : float
        The camera's shortest exposure, in seconds.
    dark : ndarray of uint8 or uint16, shape (D, H, W)
        Frames at the shortest exposure.
    varied : ndarray of uint8 or uint16, shape (P, H, W)
        Frames of scrambled patterns at the longest exposure; P is 0 without an SLM.
    full_scale : int
        Count at which the camera saturates.
    """

    exposures_s: NDArray[np.float64]
    frames: NDArray[Any]
    dark_exposure_s: float
    dark: NDArray[Any]
    varied: NDArray[Any]
    full_scale: int


@dataclass(frozen=True, kw_only=True)
class CameraFit:
    """Properties of the camera.

    Parameters
    ----------
    exposure_s : float
        Exposure in seconds at which the speckle reaches the requested fraction of full scale.
    offset_counts : float
        Mean count without light: intercept of the line through the mean counts against exposure.
    dark_counts, dark_noise_counts : float
        Mean count, and median noise of a pixel, at the shortest exposure. Both include the light of that exposure.
    transfer : PhotonTransfer
        Gain and read noise.
    linearity_percent : float
        Largest deviation of a grey level from a straight line over exposure, in percent of full scale.
    linear_to : float
        Highest grey level that was tested for linearity, as a fraction of full scale.
    hot, stuck : ndarray of bool, shape (H, W)
        Pixels that give counts without light, and pixels that never change, whether dark or bright.
    evaluated : float
        Fraction of the pixels that receive enough light to decide whether they are stuck.
    """

    exposure_s: float
    offset_counts: float
    dark_counts: float
    dark_noise_counts: float
    transfer: PhotonTransfer
    linearity_percent: float
    linear_to: float
    hot: NDArray[np.bool_]
    stuck: NDArray[np.bool_]
    evaluated: float

    @property
    def bad(self) -> NDArray[np.bool_]:
        """Pixels that do not follow the light: hot or stuck."""
        return self.hot | self.stuck


def acquire(rig: Rig, plan: CameraPlan | None = None, progress: Callable[[int], None] = lambda done: None) -> CameraData:
    """Find the right exposure, then capture a series of exposures, dark frames and frames of scrambled patterns.

    Parameters
    ----------
    rig : Rig
        Used by this thread only. Its exposure is restored afterwards.
    plan : CameraPlan, optional
        How many frames of each kind.
    progress : callable
        Called with the number of frames captured, ``exposures * pairs * 2 + dark_frames + patterns`` in all.

    Raises
    ------
    CalibrationError
        There is too little or too much light for the camera's range of exposures.
    DeviceError
        A device failed.
    """
    plan = plan or CameraPlan()
    camera = rig.camera
    usual_s = camera.exposure_s
    done = 0

    def shots(exposure_s: float, count: int) -> list[NDArray[Any]]:
        nonlocal done
        captured = capture(rig, exposure_s, count)
        done += count
        progress(done)
        return [frame.pixels for frame in captured]

    try:
        if rig.slm is not None:
            rig.clock.wait_until(rig.slm.show(Pattern(np.zeros(rig.slm.capabilities.shape, np.float32), "flat")))
        longest_s = find_exposure(rig, plan.fill)
        shortest_s = camera.capabilities.exposure_range_s[0]
        exposures_s, frames = [], []
        for exposure_s in np.geomspace(max(longest_s / _SPAN, shortest_s), longest_s, plan.exposures):
            frames.append(np.stack(shots(float(exposure_s), 2 * plan.pairs)))
            exposures_s.append(camera.exposure_s)
        dark = np.stack(shots(shortest_s, plan.dark_frames))
        dark_exposure_s = camera.exposure_s
        varied = []
        for pattern in _scrambled(rig, plan.patterns):
            rig.clock.wait_until(rig.display().show(pattern))
            varied += shots(longest_s, 1)
    finally:
        camera.set_exposure(usual_s)
    return CameraData(
        exposures_s=np.array(exposures_s),
        frames=np.stack(frames),
        dark_exposure_s=dark_exposure_s,
        dark=dark,
        varied=np.stack(varied) if varied else dark[:0],
        full_scale=2**camera.bit_depth - 1,
    )


def _scrambled(rig: Rig, count: int) -> list[Pattern]:
    """Return patterns of random blocks, each of which gives every pixel a new grey level.

    The blocks are no larger than the region of the pattern that acts on one speckle grain.
    """
    if rig.slm is None:
        return []
    shape = rig.slm.capabilities.shape
    block = max(4, min(shape) // 64)
    rng = np.random.default_rng(12)
    size = [math.ceil(side / block) for side in shape]
    cells = [rng.integers(0, 2, size).astype(np.float32) * np.float32(np.pi) for _ in range(count)]
    phases = [np.repeat(np.repeat(each, block, 0), block, 1)[: shape[0], : shape[1]] for each in cells]
    return [Pattern(phase, f"scrambled {number}") for number, phase in enumerate(phases)]


def fit(data: CameraData) -> CameraFit:
    """Determine offset, noise, linearity, gain and defective pixels.

    Raises
    ------
    CalibrationError
        The range of exposures is too small, the frames do not get brighter with the exposure, or the photon transfer curve
        gives no gain.
    """
    span = float(data.exposures_s[-1] / data.exposures_s[0])
    if span < _MIN_SPAN:
        raise CalibrationError(
            f"the longest exposure is {span:.1f} times the shortest, at least {_MIN_SPAN:.0f} times is needed; attenuate the "
            "light"
        )
    means = data.frames.mean(axis=(1, 2, 3), dtype=np.float64)
    offset, rise = _line(data.exposures_s, means)
    noise = float(np.median(data.dark.std(axis=0, ddof=1, dtype=np.float64)))
    if rise * data.exposures_s[-1] < 0.02 * data.full_scale:
        raise CalibrationError(
            f"the longest exposure adds {rise * data.exposures_s[-1]:.1f} counts to the mean, at least "
            f"{0.02 * data.full_scale:.1f} are needed; check the light, and switch off the camera's automatic exposure"
        )
    hot, stuck, evaluated = _bad_pixels(data, offset)
    linearity, linear_to = _linearity(data, offset)
    transfer = photon_transfer(data.frames, data.full_scale, offset, ~(hot | stuck))
    return CameraFit(
        exposure_s=float(data.exposures_s[-1]),
        offset_counts=offset,
        dark_counts=float(data.dark.mean()),
        dark_noise_counts=noise,
        transfer=transfer,
        linearity_percent=linearity,
        linear_to=linear_to,
        hot=hot,
        stuck=stuck,
        evaluated=evaluated,
    )


def _line(exposures_s: NDArray[np.float64], levels: NDArray[np.float64]) -> tuple[float, float]:
    """Return intercept and slope of the line with the smallest relative deviations (EMVA 1288, linearity)."""
    weight = 1 / np.maximum(levels, 1e-9)
    design = np.column_stack([np.ones_like(levels), exposures_s])
    solution = np.linalg.lstsq(design * weight[:, None], levels * weight, rcond=None)[0]
    return float(solution[0]), float(solution[1])


def _linearity(data: CameraData, offset: float) -> tuple[float, float]:
    """Return the largest deviation in percent of full scale, and the highest level that was tested as a fraction of it."""
    worst, highest = 0.0, 0.0
    quantiles = np.stack([np.quantile(shots, _QUANTILES) for shots in data.frames]).T / data.full_scale
    for levels in quantiles:
        usable = (levels - offset / data.full_scale > _MIN_LEVEL) & (levels < 0.98)
        if usable.sum() < 3:
            continue
        start, slope = _line(data.exposures_s[usable], levels[usable])
        worst = max(worst, float(np.abs(levels[usable] - start - slope * data.exposures_s[usable]).max()))
        highest = max(highest, float(levels[usable].max()))
    return 100 * worst, highest


def _bad_pixels(data: CameraData, offset: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_], float]:
    """Return the hot pixels, the stuck pixels, and the fraction of pixels that could be tested for being stuck."""
    top = data.frames[-1].mean(axis=0, dtype=np.float64) - offset
    dark = data.dark.mean(axis=0, dtype=np.float64)
    # The shortest exposure is not dark. Subtract the light that arrives during it.
    excess = dark - top * float(data.dark_exposure_s / data.exposures_s[-1])
    excess -= np.median(excess)
    sigma = max(1.4826 * float(np.median(np.abs(excess))), 0.5 / np.sqrt(len(data.dark)))
    hot = excess > max(_HOT * data.full_scale, _HOT_SIGMA * sigma)
    if len(data.varied) < 4:
        return hot, np.zeros_like(hot), 0.0
    varied = data.varied.astype(np.float64) - offset
    around = ndimage.gaussian_filter(ndimage.median_filter(varied.mean(axis=0), 5), _WINDOW_PX)
    hot |= varied.min(axis=0) > _NEVER_DARK * np.maximum(around, 0) + 3 * _HOT * data.full_scale
    change = varied.std(axis=0)
    usual = ndimage.gaussian_filter(ndimage.median_filter(change, 5), _WINDOW_PX)
    evaluated = usual > _EVALUATED * data.full_scale
    stuck = evaluated & (change < _STUCK * usual)
    # A pixel that stays at full scale or at zero, with light and without, is stuck and not hot.
    return hot & ~stuck, stuck, float(evaluated.mean())
