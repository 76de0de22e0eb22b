"""What the camera is: offset and noise in the dark, linearity, gain and read noise, and the pixels that do not follow light.

Everything is measured through the fibre, with no shutter and no even light: a speckle shows all levels at once, and another
pattern on the SLM gives every pixel another level.
"""

from __future__ import annotations

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
#: The ladder of exposures spans this factor, where the camera's range allows.
_SPAN = 40.0
_MIN_SPAN = 8.0
#: Quantiles of the pixels whose rise with exposure is judged: the speckle changes from shot to shot, its distribution does not.
_QUANTILES = (0.5, 0.75, 0.9, 0.97, 0.995)
#: Below this fraction of full scale the noise widens the distribution.
_MIN_LEVEL = 0.02
#: A pixel is hot with this much of full scale in the dark, and by so many times the scatter.
_HOT = 0.01
_HOT_SIGMA = 6.0
#: It is hot, too, when it is never darker than this many times the mean of its surroundings.
_NEVER_DARK = 2.0
#: It is stuck when it changes by less than this fraction of what its surroundings do, if those change by so much of full scale.
_STUCK = 0.06
_EVALUATED = 0.02
_WINDOW_PX = 8.0


@dataclass(frozen=True)
class CameraData:
    """Frames in raw counts.

    Parameters
    ----------
    exposures_s : ndarray of float64, shape (E,)
        Rising.
    frames : ndarray of uint8 or uint16, shape (E, F, H, W)
        Frames of the flat pattern at each, an even number.
    dark_exposure_s : float
        The camera's shortest.
    dark : ndarray of uint8 or uint16, shape (D, H, W)
        Frames at that.
    varied : ndarray of uint8 or uint16, shape (P, H, W)
        Frames of scrambled patterns at the longest of ``exposures_s``; none without an SLM.
    full_scale : int
        Count at which the camera saturates.
    """

    exposures_s: NDArray[np.float64]
    frames: NDArray[Any]
    dark_exposure_s: float
    dark: NDArray[Any]
    varied: NDArray[Any]
    full_scale: int


@dataclass(frozen=True)
class CameraFit:
    """The camera.

    Parameters
    ----------
    exposure_s : float
        At which the speckle fills the scale as asked.
    offset_counts : float
        Mean count without light: where the line through the field's mean over exposure begins.
    dark_counts, dark_noise_counts : float
        Mean, and median noise of a pixel, at the shortest exposure; the light of that time is in both.
    transfer : PhotonTransfer
        Gain and read noise.
    linearity_percent : float
        Largest departure of a level from its line over exposure, in percent of full scale.
    linear_to : float
        The highest level that was looked at, as a fraction of full scale.
    hot, stuck : ndarray of bool, shape (H, W)
        Pixels that count without light, and pixels that never change, dark or bright.
    judged : float
        Fraction of the pixels with light enough to tell whether they are stuck.
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
        """Pixels that do not follow the light."""
        return self.hot | self.stuck


def acquire(
    rig: Rig,
    fill: float = 0.8,
    exposures: int = 10,
    pairs: int = 2,
    dark_frames: int = 16,
    patterns: int = 10,
    progress: Callable[[int], None] = lambda done: None,
) -> CameraData:
    """Find the exposure, and take frames of the flat pattern from a fortieth of it upwards, of the dark, and of other patterns.

    Parameters
    ----------
    rig : Rig
        Used by this thread; its exposure is as before afterwards.
    fill : float
        Level of the brightest 0.1 % of the pixels, as a fraction of full scale.
    exposures, pairs : int
        Exposures of the ladder, and pairs of frames at each.
    dark_frames, patterns : int
        Frames at the shortest exposure, and of scrambled patterns.
    progress : callable
        Called with the number of frames taken, ``exposures * pairs * 2 + dark_frames + patterns`` in all.

    Raises
    ------
    CalibrationError
        The light is too dark or too bright for the camera's exposures.
    DeviceError
        The devices failed.
    """
    camera = rig.camera
    usual_s = camera.exposure_s
    done = 0

    def shots(exposure_s: float, count: int) -> list[NDArray[Any]]:
        nonlocal done
        taken = capture(rig, exposure_s, count)
        done += count
        progress(done)
        return [frame.pixels for frame in taken]

    try:
        if rig.slm is not None:
            rig.clock.wait_until(rig.slm.show(Pattern(np.zeros(rig.slm.capabilities.shape, np.float32), "flat")))
        top_s = find_exposure(rig, fill)
        shortest_s = camera.capabilities.exposure_range_s[0]
        ladder, frames = [], []
        for wanted_s in np.geomspace(max(top_s / _SPAN, shortest_s), top_s, exposures):
            frames.append(np.stack(shots(float(wanted_s), 2 * pairs)))
            ladder.append(camera.exposure_s)
        dark = np.stack(shots(shortest_s, dark_frames))
        dark_exposure_s = camera.exposure_s
        varied = []
        for pattern in _scrambled(rig, patterns):
            rig.clock.wait_until(rig.display().show(pattern))
            varied += shots(top_s, 1)
    finally:
        camera.set_exposure(usual_s)
    others = np.stack(varied) if varied else dark[:0]
    return CameraData(np.array(ladder), np.stack(frames), dark_exposure_s, dark, others, 2**camera.bit_depth - 1)


def _scrambled(rig: Rig, count: int) -> list[Pattern]:
    """Return patterns that give every pixel another level each: blocks no larger than what one grain depends on."""
    if rig.slm is None:
        return []
    shape = rig.slm.capabilities.shape
    block = max(4, min(shape) // 64)
    rng = np.random.default_rng(12)
    size = [-(-side // block) for side in shape]
    cells = [rng.integers(0, 2, size).astype(np.float32) * np.float32(np.pi) for _ in range(count)]
    phases = [np.repeat(np.repeat(each, block, 0), block, 1)[: shape[0], : shape[1]] for each in cells]
    return [Pattern(phase, f"scrambled {number}") for number, phase in enumerate(phases)]


def fit(data: CameraData) -> CameraFit:
    """Work out the camera's numbers.

    Raises
    ------
    CalibrationError
        The exposures span too little, the frames do not brighten with them, or the photon transfer curve gives no gain.
    """
    span = float(data.exposures_s[-1] / data.exposures_s[0])
    if span < _MIN_SPAN:
        raise CalibrationError(
            f"the exposures span a factor of {span:.1f}, at least {_MIN_SPAN:.0f} is needed; attenuate the light"
        )
    means = data.frames.mean(axis=(1, 2, 3), dtype=np.float64)
    offset, rise = _line(data.exposures_s, means)
    noise = float(np.median(data.dark.std(axis=0, ddof=1, dtype=np.float64)))
    if rise * data.exposures_s[-1] < 0.02 * data.full_scale:
        raise CalibrationError(
            f"the longest exposure adds {rise * data.exposures_s[-1]:.1f} counts to the mean, at least "
            f"{0.02 * data.full_scale:.1f} are needed; check the light, and that the camera's exposure is not automatic"
        )
    hot, stuck, evaluated = _bad_pixels(data, offset)
    linearity, reached = _linearity(data, offset)
    transfer = photon_transfer(data.frames, data.full_scale, offset, ~(hot | stuck))
    return CameraFit(
        float(data.exposures_s[-1]), offset, float(data.dark.mean()), noise, transfer, linearity, reached, hot, stuck, evaluated
    )


def _line(exposures_s: NDArray[np.float64], levels: NDArray[np.float64]) -> tuple[float, float]:
    """Return intercept and slope of the line whose relative departures are the smallest (EMVA 1288, linearity)."""
    weight = 1 / np.maximum(levels, 1e-9)
    design = np.column_stack([np.ones_like(levels), exposures_s])
    solution = np.linalg.lstsq(design * weight[:, None], levels * weight, rcond=None)[0]
    return float(solution[0]), float(solution[1])


def _linearity(data: CameraData, offset: float) -> tuple[float, float]:
    """Return the largest departure in percent of full scale, and the highest level that counted, as a fraction of it."""
    worst, reached = 0.0, 0.0
    quantiles = np.stack([np.quantile(shots, _QUANTILES) for shots in data.frames]).T / data.full_scale
    for levels in quantiles:
        seen = (levels - offset / data.full_scale > _MIN_LEVEL) & (levels < 0.98)
        if seen.sum() < 3:
            continue
        start, slope = _line(data.exposures_s[seen], levels[seen])
        worst = max(worst, float(np.abs(levels[seen] - start - slope * data.exposures_s[seen]).max()))
        reached = max(reached, float(levels[seen].max()))
    return 100 * worst, reached


def _bad_pixels(data: CameraData, offset: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_], float]:
    """Return the hot and the stuck pixels, and the fraction that could be judged for the latter."""
    top = data.frames[-1].mean(axis=0, dtype=np.float64) - offset
    dark = data.dark.mean(axis=0, dtype=np.float64)
    # The shortest exposure is not dark: what light must have done in that time is taken away.
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
    # A pixel at full scale or zero in the dark and in the light is stuck, not hot.
    return hot & ~stuck, stuck, float(evaluated.mean())
