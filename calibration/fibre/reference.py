"""The fibre reference: the speckle of the flat pattern, where the fibre lies, and the second-order model of this fibre.

Each number comes from the shots in which it stands alone, or nearly so:

* K, the factor between the phase asked for and the phase that acts, from a checkerboard of rising depth d. The light is linear
  in ``exp(i K d)``, so every pixel goes as ``A + B cos(K d) + C sin(K d)`` whatever the fibre does, and K is the frequency that
  explains all pixels (variable projection; Golub and Pereyra, SIAM J. Numer. Anal. 10, 413, 1973). Smooth patterns alone
  hardly tell K from a and sc: they fix the shift ``a K slope / (2 pi)`` and the loss ``exp(-(K slope sc)^2)``.
* The spread of S from the grain, for S is the Fourier transform of the speckle's coherence; two halves of the flat shots are
  correlated with each other, so that the camera's noise does not make the grain look smaller.
* a and sc, given those, from the local covariance maps of all pairs of smooth random phases: a from the shifts of the speckle
  and sc from what is lost where slopes are steep. Two correlation lengths give slopes from none, which fix the scale of all
  correlations (it is left free), to ``K slope sc`` of about 1.5. They are smooth on the scale of a core, whose mode averages
  finer phase away, and their speckles differ, so that many pairs are many samples of the same statistics.
* The floor from the flat shots among themselves.

Every phase stays within one wave, so that nothing wraps and K alone describes a panel of unknown range. A panel whose response
bends needs its phase LUT first. sc is that of a Gaussian coupling, ``exp(-d^2 / (2 sc^2))`` in power. The twin's neighbourhood
ends at 2.6 sc, which narrows it by 4 % for gentle slopes and by 1 % for steep ones, and its cores average over their mode,
which widens it by 1 to 2 %: what is found lies within 2 % of its nominal sc on average.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import optimize

from acquisition.capture.pair_capture import PairCapture, Rig
from calibration.fibre.phase_scale import depth_scale, field_parts, jackknife
from calibration.fibre.second_order import LocalCovariance, SecondOrder, contrast, local_covariance, square_lags
from calibration.fibre.speckle_field import EDGE_PX, disc, neighbour_correlation, on_camera, rolled_off
from calibration.stored import CalibrationError
from drivers.base import Pattern

KIND = "fibre reference"
#: Phase that is asked for at most: a little less than a wave, which would be shown as 0.
_DEEPEST_RAD = 6.2
_PHASE_RANGES_RAD = tuple(_DEEPEST_RAD * k / 5 for k in range(1, 6))
#: Cells of the checkerboard and blurs of the random phases, in camera pixels.
_CELL_PX = 12.0
_BLURS_PX = (8.0, 16.0)
_LAGS = square_lags(2)
_WINDOW_PX = 4.0
_STRIDE = 4
#: Pixels near the fibre's edge see half a neighbourhood and are left out.
_MARGIN_PX = 10.0
#: Pairs times pixels beyond which more pairs only take time.
_ENOUGH = 2_000_000
_MIN_PAIRS = 4
_MIN_FLAT_CORRELATION = 0.6
_MIN_CORRELATION = 0.4
_MAX_SATURATED = 0.01
_MIN_MEAN = 0.005


@dataclass(frozen=True)
class FibreData:
    """Frames of the designed patterns, in counts.

    Parameters
    ----------
    flats : ndarray of float32, shape (F, H, W)
        Of the flat pattern, half of them before all others and half after.
    phase_ranges_rad : ndarray of float64, shape (D,)
        Depths asked of the checkerboard.
    sweep : ndarray of float32, shape (D, H, W)
        Its frames.
    phases_rad : ndarray of float32, shape (P, h, w)
        Smooth phases asked for, on the SLM's grid.
    frames : ndarray of float32, shape (P, H, W)
        Their frames.
    full_scale : int
        Count at which the camera saturates.
    affine : ndarray of float64, shape (2, 3), optional
        Takes ``(x, y, 1)`` on the SLM, in its pixels from the centre, to ``(x, y)`` on the camera, in its own.
    """

    flats: NDArray[np.float32]
    phase_ranges_rad: NDArray[np.float64]
    sweep: NDArray[np.float32]
    phases_rad: NDArray[np.float32]
    frames: NDArray[np.float32]
    full_scale: int
    affine: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class FibreReference:
    """The fibre as it lay.

    Parameters
    ----------
    speckle : ndarray of float32, shape (H, W)
        Mean of the flat pattern's frames, in counts.
    shot_correlation : float
        Mean correlation of two of them over the fibre.
    grain_fwhm_px : float
        Full width at half maximum of the speckle's autocovariance.
    centre_px : (float, float)
        Row and column of the fibre's centre.
    radius_px : float
        Where its mean intensity has fallen to half.
    model : SecondOrder
        K, a, sc, floor and the spread.
    sd : dict of str to float
        Standard errors of the same, by name: jackknife over parts of the field, from shot to shot for the floor.
    correlation : float
        R between measured and predicted covariance maps, each lag's mean removed.
    """

    speckle: NDArray[np.float32]
    shot_correlation: float
    grain_fwhm_px: float
    centre_px: tuple[float, float]
    radius_px: float
    model: SecondOrder
    sd: dict[str, float]
    correlation: float


def smooth_phases(shape: tuple[int, int], count: int, px: float = 1.0, seed: int = 0) -> NDArray[np.float32]:
    """Return random phases between 0 and a little less than a wave, of two correlation lengths in turn.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the SLM.
    count : int
        How many.
    px : float
        Size of a camera pixel in SLM pixels.
    seed : int
        Of the draw.

    Returns
    -------
    ndarray of float32, shape (count, H, W)
    """
    rng = np.random.default_rng(seed)
    phases = np.empty((count, *shape), np.float32)
    for k in range(count):
        noise = rng.normal(size=shape).astype(np.float32)
        smooth = cv2.GaussianBlur(noise, (0, 0), _BLURS_PX[k % 2] * px, borderType=cv2.BORDER_REFLECT)
        # Clipped where few pixels are, so that the rest uses the range.
        phases[k] = _DEEPEST_RAD * (np.clip(smooth / smooth.std(), -2.2, 2.2) / 4.4 + 0.5)
    return phases


def acquire(
    rig: Rig,
    pairs: int = 16,
    flats: int = 6,
    affine: NDArray[np.float64] | None = None,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> FibreData:
    """Show the flat pattern, checkerboards of rising depth, smooth random phases, and the flat pattern again.

    Parameters
    ----------
    rig : Rig
        Used by this thread.
    pairs : int
        Smooth random phases.
    flats : int
        Shots of the flat pattern.
    affine : ndarray of float64, shape (2, 3), optional
        Where the SLM's pixels lie on the camera, see :class:`FibreData`; without it they lie on each other.
    seed : int
        Of the random phases.
    progress : callable
        Called with the number of frames taken.

    Raises
    ------
    CaptureError
        A frame kept failing: dark, saturated, or not delivered.
    CalibrationError
        Camera and SLM have different shapes and no ``affine`` says how they lie.
    """
    shape, seen = rig.display().capabilities.shape, rig.camera.capabilities.shape
    if affine is None and shape != seen:
        raise CalibrationError(f"the SLM is {shape} px and the camera {seen} px; register them first")
    px = 1.0 if affine is None else 1 / math.sqrt(abs(float(np.linalg.det(affine[:, :2]))))
    flat = np.zeros(shape, np.float32)
    rows, columns = np.indices(shape) // max(1, round(_CELL_PX * px))
    board = ((rows + columns) % 2).astype(np.float32)
    phases = smooth_phases(shape, pairs, px, seed)
    before = [Pattern(flat, "flat")] * (flats - flats // 2)
    sweep = [Pattern(board * np.float32(depth), f"depth {depth:.2f} rad") for depth in _PHASE_RANGES_RAD]
    smooth = [Pattern(phase, f"smooth {k}") for k, phase in enumerate(phases)]
    after = [Pattern(flat, "flat")] * (flats // 2)
    capture = PairCapture(rig)
    frames: list[NDArray[np.float32]] = []
    try:
        for pattern in [*before, *sweep, *smooth, *after]:
            frames.append(capture.capture(pattern).pixels.astype(np.float32))
            progress(len(frames))
    finally:
        capture.release()
    taken = np.stack(frames)
    ends = np.cumsum([len(before), len(sweep), len(smooth)])
    first, boards, others, last = np.split(taken, ends)
    full_scale = 2**rig.camera.bit_depth - 1
    return FibreData(np.concatenate([first, last]), np.array(_PHASE_RANGES_RAD), boards, phases, others, full_scale, affine)


def fit(data: FibreData) -> FibreReference:
    """Find the reference and the model.

    Raises
    ------
    CalibrationError
        Too few frames; dark or saturated ones; a fibre that moved; a panel that the light does not see; maps that the model
        does not explain.
    """
    _check(data)
    speckle = data.flats.mean(0)
    centre, radius = disc(np.concatenate([speckle[None], data.sweep, data.frames]).mean(0))
    rows, columns = np.indices(speckle.shape)
    from_centre = np.hypot(rows - centre[0], columns - centre[1])
    inside, core = from_centre < radius - 2, from_centre < radius - _MARGIN_PX
    aperture = 1 / (1 + np.exp((from_centre - radius) / EDGE_PX))
    light = rolled_off(aperture)
    flats = [contrast(frame / light, inside) for frame in data.flats]
    shot_correlation = float(np.mean([_alike(a[core], b[core]) for a, b in combinations(data.flats, 2)]))
    halves = [float(_alike(a[core], b[core])) for a, b in zip(flats[: len(flats) // 2], flats[::-1], strict=False)]
    if min(halves) < _MIN_FLAT_CORRELATION:
        raise CalibrationError(
            f"the flat pattern's frames before and after correlate {min(halves):.2f}, at least {_MIN_FLAT_CORRELATION} are "
            "needed: the fibre moved; fix it and measure again"
        )
    neighbour = neighbour_correlation(flats, core)
    parts = field_parts(speckle.shape)
    depth, depth_sd = depth_scale(data.flats, data.sweep, data.phase_ranges_rad, np.where(inside, parts, -1))
    like = [local_covariance(a, b, ((0, 0),), _WINDOW_PX, _STRIDE)[0] for a, b in combinations(flats, 2)]
    floors = np.array([maps[core[::_STRIDE, ::_STRIDE]].mean() for maps in like])
    model = SecondOrder(depth, 50.0, 4.0, float(min(floors.mean(), 1.0)), math.sqrt(-math.log(neighbour)) / (2 * math.pi))
    contrasts = [flats[0], *(contrast(frame / light, inside) for frame in data.frames)]
    phases = np.stack(
        [np.zeros(speckle.shape, np.float32), *(on_camera(p, speckle.shape, data.affine) for p in data.phases_rad)]
    )
    model, sd, correlation = _lengths(model, depth_sd, phases, contrasts, aperture, core, parts)
    if correlation < _MIN_CORRELATION:
        raise CalibrationError(
            f"measured and predicted covariance maps correlate {correlation:.2f}, at least {_MIN_CORRELATION} is needed; check "
            "that SLM and camera are registered, and which way the image lies"
        )
    sd |= {"depth_scale": depth_sd, "floor": float(floors.std() / math.sqrt(len(flats)))}
    grain = 2 * math.sqrt(-math.log(2) / math.log(neighbour))
    return FibreReference(speckle, shot_correlation, grain, centre, radius, model, sd, correlation)


def _check(data: FibreData) -> None:
    if len(data.frames) < _MIN_PAIRS or len(data.flats) < 2 or len(data.sweep) < 3:
        raise CalibrationError(
            f"a fibre reference needs {_MIN_PAIRS} smooth phases, 2 flats and 3 depths at least, got {len(data.frames)}, "
            f"{len(data.flats)} and {len(data.sweep)}; measure more"
        )
    for name, frames in (("flat", data.flats), ("depth", data.sweep), ("smooth", data.frames)):
        for k, frame in enumerate(frames):
            mean, saturated = float(frame.mean()) / data.full_scale, float(np.mean(frame >= data.full_scale))
            if mean < _MIN_MEAN:
                raise CalibrationError(f"{name} frame {k} is dark: mean {100 * mean:.2f} % of full scale; give it light")
            if saturated > _MAX_SATURATED:
                raise CalibrationError(f"{100 * saturated:.1f} % of {name} frame {k} is saturated; shorten the exposure")


def _alike(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def _lengths(
    model: SecondOrder,
    depth_sd: float,
    phases: NDArray[np.float32],
    contrasts: list[NDArray[np.float32]],
    aperture: NDArray[np.float64],
    core: NDArray[np.bool_],
    parts: NDArray[np.int64],
) -> tuple[SecondOrder, dict[str, float], float]:
    """Return the model with a and sc, their standard errors, and R."""
    kept = core[::_STRIDE, ::_STRIDE]
    pairs = list(combinations(range(len(phases)), 2))
    pairs = pairs[:: max(1, len(pairs) * int(core.sum()) // _ENOUGH)]
    measured = np.stack([local_covariance(contrasts[i], contrasts[j], _LAGS, _WINDOW_PX, _STRIDE)[:, kept] for i, j in pairs])
    shown = torch.from_numpy(phases)

    def predicted(lengths: NDArray[np.float64]) -> NDArray[np.float32]:
        trial = SecondOrder(model.depth_scale, lengths[0], lengths[1], 1.0, model.bandwidth)
        maps = LocalCovariance(trial, (phases.shape[1], phases.shape[2]), _LAGS, aperture, _WINDOW_PX, _STRIDE)
        with torch.inference_mode():
            every = np.stack([maps(shown[i], shown[j]).numpy()[:, kept] for i, j in pairs])
        # The scale is left free: contrast varies over the field, and more so on small fibres.
        return np.asarray(every * ((every * measured).sum() / (every * every).sum()))

    found = optimize.least_squares(
        lambda x: (predicted(x) - measured).ravel(), [50.0, 4.0], diff_step=0.01, xtol=1e-3, bounds=([5, 0.1], [500, 50])
    )
    slopes = found.jac.reshape(*measured.shape, 2)
    rest = found.fun.reshape(measured.shape)
    where = parts[::_STRIDE, ::_STRIDE][kept]
    normal = np.stack([np.einsum("plnk,plnm->km", *[slopes[:, :, where == part]] * 2) for part in np.unique(where)])
    pull = np.stack(
        [np.einsum("plnk,pln->k", slopes[:, :, where == part], rest[:, :, where == part]) for part in np.unique(where)]
    )
    # One Gauss-Newton step from the solution of all, for each part that is left out.
    skipped = np.stack([found.x + np.linalg.solve(normal.sum(0) - n, g) for n, g in zip(normal, pull, strict=True)])
    error = np.hypot(jackknife(skipped), found.x * depth_sd / model.depth_scale)
    fitted = predicted(found.x)
    about = [maps - maps.mean((0, 2), keepdims=True) for maps in (measured, fitted)]
    correlation = _alike(about[0].ravel(), about[1].ravel())
    a, sc = (float(x) for x in found.x)
    final = SecondOrder(model.depth_scale, a, sc, model.floor, model.bandwidth)
    return final, {"defocus_px": float(error[0]), "coupling_px": float(error[1])}, correlation
