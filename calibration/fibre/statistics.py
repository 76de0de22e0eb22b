"""The fibre reference: the speckle of the flat pattern, where the fibre lies, and the second-order model of this fibre.

Each parameter is fitted to those shots that depend on it alone, or nearly alone:

* K (actual phase divided by requested phase) comes from a checkerboard of increasing phase range d. The light is linear in
  ``exp(i K d)``, so every pixel follows ``A + B cos(K d) + C sin(K d)`` for any fibre. K is the frequency that explains all
  pixels (variable projection; Golub and Pereyra, SIAM J. Numer. Anal. 10, 413, 1973). Smooth patterns alone hardly separate K
  from a and sc, because they only determine the shift ``a K slope / (2 pi)`` and the loss ``exp(-(K slope sc)^2)``.
* The bandwidth of S comes from the size of the speckle grains, because S is the Fourier transform of the speckle's coherence.
  One half of the flat shots is correlated with the other half. Otherwise camera noise would make the grains look smaller.
* a and sc come from the local covariance maps of all pairs of smooth random phases: a from the shifts of the speckle, sc from
  the loss of correlation where slopes are steep. Two correlation lengths give slopes from zero, which determine the scale of
  all correlations (a free parameter), to ``K slope sc`` of about 1.5. The phases are smooth on the scale of a core, because a
  core's mode averages over finer phase. The speckles of the phases differ, so many pairs are many samples of the same
  statistics.
* The repeatability comes from the correlation of the flat shots with each other.

Every phase stays below one wave. Nothing wraps, and K alone describes an SLM of unknown phase range. An SLM with a nonlinear
response needs its phase LUT first.

sc is the width of a Gaussian coupling, ``exp(-d^2 / (2 sc^2))`` in power. The twin's coupling ends at 2.6 sc, which makes it
narrower by 4 % for gentle slopes and by 1 % for steep ones. Its cores average over their modes, which makes it wider by 1 to
2 %. On average the fitted sc is within 2 % of the twin's nominal value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import optimize

from acquisition.capture.pair_capture import PairCapture, Rig
from calibration.fibre.phase_scale import field_parts, fit_phase_scale, jackknife
from calibration.fibre.second_order import LocalCovariance, MapSampling, SecondOrder, contrast, local_covariance, square_lags
from calibration.fibre.speckle_field import EDGE_PX, disc, neighbour_correlation, on_camera, rolled_off
from calibration.stored import CalibrationError
from drivers.base import Pattern

KIND = "fibre reference"
#: Largest phase that is requested: a little less than a wave, which would wrap to 0.
_LARGEST_RAD = 6.2
_PHASE_RANGES_RAD = tuple(_LARGEST_RAD * k / 5 for k in range(1, 6))
#: Side of the checkerboard's cells, and standard deviations of the blurs of the random phases, in camera pixels.
_CELL_PX = 12.0
_BLURS_PX = (8.0, 16.0)
_SAMPLING = MapSampling(square_lags(2), window_px=4.0, stride=4)
_FLAT_SAMPLING = replace(_SAMPLING, lags=((0, 0),))
#: Pixels this close to the fibre's edge are not evaluated, because half of their neighbourhood lies outside the fibre.
_MARGIN_PX = 10.0
#: Number of pairs times pixels above which more pairs only cost time.
_ENOUGH = 2_000_000
_MIN_PAIRS = 4
_MIN_FLAT_CORRELATION = 0.6
_MIN_CORRELATION = 0.4
_MAX_SATURATED = 0.01
_MIN_MEAN = 0.005


@dataclass(frozen=True)
class ReferencePlan:
    """Which patterns to show.

    Parameters
    ----------
    pairs : int
        Number of smooth random phases.
    flats : int
        Number of shots of the flat pattern.
    seed : int
        Seed of the random phases.
    """

    pairs: int = 16
    flats: int = 6
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class FibreData:
    """Frames of the designed patterns, in counts.

    Parameters
    ----------
    flats : ndarray of float32, shape (F, H, W)
        Frames of the flat pattern: half of them before all other frames, half after.
    phase_ranges_rad : ndarray of float64, shape (D,)
        Requested phase ranges of the checkerboard.
    sweep : ndarray of float32, shape (D, H, W)
        Frames of the checkerboard.
    phases_rad : ndarray of float32, shape (P, h, w)
        Requested smooth phases, on the SLM's grid.
    frames : ndarray of float32, shape (P, H, W)
        Frames of the smooth phases.
    full_scale : int
        Count at which the camera saturates.
    affine : ndarray of float64, shape (2, 3), optional
        Maps ``(x, y, 1)`` in SLM pixels from the SLM's centre to ``(x, y)`` in camera pixels from the camera's centre.
    """

    flats: NDArray[np.float32]
    phase_ranges_rad: NDArray[np.float64]
    sweep: NDArray[np.float32]
    phases_rad: NDArray[np.float32]
    frames: NDArray[np.float32]
    full_scale: int
    affine: NDArray[np.float64] | None = None


@dataclass(frozen=True, kw_only=True)
class FibreReference:
    """The fibre in the position of the measurement.

    Parameters
    ----------
    speckle : ndarray of float32, shape (H, W)
        Mean of the flat pattern's frames, in counts.
    shot_correlation : float
        Mean correlation of two frames of the flat pattern over the fibre.
    grain_fwhm_px : float
        Full width at half maximum of the speckle's autocovariance.
    centre_px : (float, float)
        Row and column of the fibre's centre.
    radius_px : float
        Radius at which the mean intensity has fallen to half.
    model : SecondOrder
        Phase scale, a, sc, repeatability and bandwidth.
    sd : dict of str to float
        Standard errors of the model's parameters by name: from the jackknife over parts of the field, for the repeatability
        from the scatter of the shots.
    correlation : float
        Correlation of measured and predicted covariance maps, after removal of each lag's mean.
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
    """Return random phases between 0 and a little less than a wave, alternately of a short and a long correlation length.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the SLM.
    count : int
        Number of phases.
    px : float
        Size of a camera pixel in SLM pixels.
    seed : int
        Seed of the random phases.

    Returns
    -------
    ndarray of float32, shape (count, H, W)
    """
    rng = np.random.default_rng(seed)
    phases = np.empty((count, *shape), np.float32)
    for k in range(count):
        noise = rng.normal(size=shape).astype(np.float32)
        smooth = cv2.GaussianBlur(noise, (0, 0), _BLURS_PX[k % 2] * px, borderType=cv2.BORDER_REFLECT)
        # Clip the few extreme pixels, so that all others use the whole range.
        phases[k] = _LARGEST_RAD * (np.clip(smooth / smooth.std(), -2.2, 2.2) / 4.4 + 0.5)
    return phases


def acquire(
    rig: Rig,
    plan: ReferencePlan | None = None,
    affine: NDArray[np.float64] | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> FibreData:
    """Show the flat pattern, checkerboards of increasing phase range, smooth random phases, and the flat pattern again.

    Parameters
    ----------
    rig : Rig
        Used by this thread only.
    plan : ReferencePlan, optional
        Which patterns to show.
    affine : ndarray of float64, shape (2, 3), optional
        Registration of SLM and camera, see :class:`FibreData`. Without it both have the same grid.
    progress : callable
        Called with the number of frames captured.

    Raises
    ------
    CaptureError
        A frame failed repeatedly: it was dark, saturated, or not delivered.
    CalibrationError
        Camera and SLM have different shapes and ``affine`` is missing.
    """
    plan = plan or ReferencePlan()
    shape, camera_shape = rig.display().capabilities.shape, rig.camera.capabilities.shape
    if affine is None and shape != camera_shape:
        raise CalibrationError(f"the SLM has {shape} px and the camera {camera_shape} px; register them first")
    px = 1.0 if affine is None else 1 / math.sqrt(abs(float(np.linalg.det(affine[:, :2]))))
    flat = Pattern(np.zeros(shape, np.float32), "flat")
    rows, columns = np.indices(shape) // max(1, round(_CELL_PX * px))
    board = ((rows + columns) % 2).astype(np.float32)
    phases = smooth_phases(shape, plan.pairs, px, plan.seed)
    before = [flat] * (plan.flats - plan.flats // 2)
    sweep = [Pattern(board * np.float32(rad), f"checkerboard of {rad:.2f} rad") for rad in _PHASE_RANGES_RAD]
    smooth = [Pattern(phase, f"smooth {k}") for k, phase in enumerate(phases)]
    after = [flat] * (plan.flats // 2)
    capture = PairCapture(rig)
    frames: list[NDArray[np.float32]] = []
    try:
        for pattern in [*before, *sweep, *smooth, *after]:
            frames.append(capture.capture(pattern).pixels.astype(np.float32))
            progress(len(frames))
    finally:
        capture.release()
    first, boards, others, last = np.split(np.stack(frames), np.cumsum([len(before), len(sweep), len(smooth)]))
    return FibreData(
        flats=np.concatenate([first, last]),
        phase_ranges_rad=np.array(_PHASE_RANGES_RAD),
        sweep=boards,
        phases_rad=phases,
        frames=others,
        full_scale=2**rig.camera.bit_depth - 1,
        affine=affine,
    )


@dataclass(frozen=True, kw_only=True)
class _Field:
    """The fibre's disc on the camera, and maps (H, W) of it: relative power, roll-off of the light, inside, core, parts."""

    centre: tuple[float, float]
    radius: float
    aperture: NDArray[np.float64]
    light: NDArray[np.float32]
    inside: NDArray[np.bool_]
    core: NDArray[np.bool_]
    parts: NDArray[np.int64]

    def contrast(self, frame: NDArray[np.float32]) -> NDArray[np.float32]:
        return contrast(frame / self.light, self.inside)


def _field(mean: NDArray[np.float32]) -> _Field:
    """Find the fibre in the mean (H, W) of all frames."""
    centre, radius = disc(mean)
    rows, columns = np.indices(mean.shape)
    from_centre = np.hypot(rows - centre[0], columns - centre[1])
    aperture = 1 / (1 + np.exp((from_centre - radius) / EDGE_PX))
    return _Field(
        centre=centre,
        radius=radius,
        aperture=aperture,
        light=rolled_off(aperture),
        inside=from_centre < radius - 2,
        core=from_centre < radius - _MARGIN_PX,
        parts=field_parts(mean.shape),
    )


def fit(data: FibreData) -> FibreReference:
    """Fit the reference and the second-order model.

    Raises
    ------
    CalibrationError
        There are too few frames, frames are dark or saturated, the fibre moved, the SLM does not act on the light, or the model
        does not explain the covariance maps.
    """
    _check(data)
    speckle = data.flats.mean(0)
    field = _field(np.concatenate([speckle[None], data.sweep, data.frames]).mean(0))
    core = field.core
    flats = [field.contrast(frame) for frame in data.flats]
    _check_repeat(flats, core)
    neighbour = neighbour_correlation(flats, core)
    phase_scale, phase_scale_sd = fit_phase_scale(
        data.flats, data.sweep, data.phase_ranges_rad, np.where(field.inside, field.parts, -1)
    )
    maps = [local_covariance(a, b, _FLAT_SAMPLING)[0] for a, b in combinations(flats, 2)]
    repeats = np.array([each[core[:: _SAMPLING.stride, :: _SAMPLING.stride]].mean() for each in maps])
    model = SecondOrder(
        phase_scale=phase_scale,
        defocus_px=50.0,
        coupling_px=4.0,
        repeatability=float(min(repeats.mean(), 1.0)),
        bandwidth=math.sqrt(-math.log(neighbour)) / (2 * math.pi),
    )
    contrasts = [flats[0], *(field.contrast(frame) for frame in data.frames)]
    shown = [on_camera(phase, speckle.shape, data.affine) for phase in data.phases_rad]
    phases = np.stack([np.zeros(speckle.shape, np.float32), *shown])
    model, sd, correlation = _fit_lengths(model, phase_scale_sd, phases, contrasts, field)
    if correlation < _MIN_CORRELATION:
        raise CalibrationError(
            f"measured and predicted covariance maps correlate {correlation:.2f}, at least {_MIN_CORRELATION} is needed; check "
            "that SLM and camera are registered and that the image is not mirrored"
        )
    return FibreReference(
        speckle=speckle,
        shot_correlation=float(np.mean([_correlation(a[core], b[core]) for a, b in combinations(data.flats, 2)])),
        grain_fwhm_px=2 * math.sqrt(-math.log(2) / math.log(neighbour)),
        centre_px=field.centre,
        radius_px=field.radius,
        model=model,
        sd=sd | {"phase_scale": phase_scale_sd, "repeatability": float(repeats.std() / math.sqrt(len(flats)))},
        correlation=correlation,
    )


def _check(data: FibreData) -> None:
    if len(data.frames) < _MIN_PAIRS or len(data.flats) < 2 or len(data.sweep) < 3:
        raise CalibrationError(
            f"a fibre reference needs at least {_MIN_PAIRS} smooth phases, 2 flat patterns and 3 checkerboards, got "
            f"{len(data.frames)}, {len(data.flats)} and {len(data.sweep)}; capture more frames"
        )
    for name, frames in (("flat", data.flats), ("checkerboard", data.sweep), ("smooth", data.frames)):
        for k, frame in enumerate(frames):
            mean, saturated = float(frame.mean()) / data.full_scale, float(np.mean(frame >= data.full_scale))
            if mean < _MIN_MEAN:
                raise CalibrationError(
                    f"{name} frame {k} is dark: its mean is {100 * mean:.2f} % of full scale, {100 * _MIN_MEAN:g} % are "
                    "needed; increase the light"
                )
            if saturated > _MAX_SATURATED:
                raise CalibrationError(
                    f"{100 * saturated:.1f} % of {name} frame {k} is saturated, at most {100 * _MAX_SATURATED:g} % is allowed; "
                    "shorten the exposure"
                )


def _check_repeat(flats: list[NDArray[np.float32]], core: NDArray[np.bool_]) -> None:
    """Compare contrasts of the flat pattern before the other patterns with those after them."""
    pairs = zip(flats[: len(flats) // 2], flats[::-1], strict=False)
    least = min(_correlation(first[core], last[core]) for first, last in pairs)
    if least < _MIN_FLAT_CORRELATION:
        raise CalibrationError(
            f"the flat pattern's frames before and after correlate {least:.2f}, at least {_MIN_FLAT_CORRELATION} is "
            "needed: the fibre moved; fix the fibre and measure again"
        )


def _correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def _fit_lengths(
    model: SecondOrder,
    phase_scale_sd: float,
    phases: NDArray[np.float32],
    contrasts: list[NDArray[np.float32]],
    field: _Field,
) -> tuple[SecondOrder, dict[str, float], float]:
    """Return the model with a and sc, their standard errors, and the correlation of measured and predicted maps."""
    stride = _SAMPLING.stride
    kept = field.core[::stride, ::stride]
    pairs = list(combinations(range(len(phases)), 2))
    pairs = pairs[:: max(1, len(pairs) * int(field.core.sum()) // _ENOUGH)]
    measured = np.stack([local_covariance(contrasts[i], contrasts[j], _SAMPLING)[:, kept] for i, j in pairs])
    shown = torch.from_numpy(phases)

    def predicted(lengths: NDArray[np.float64]) -> NDArray[np.float32]:
        trial = replace(model, defocus_px=lengths[0], coupling_px=lengths[1], repeatability=1.0)
        maps = LocalCovariance(trial, (phases.shape[1], phases.shape[2]), _SAMPLING, field.aperture)
        with torch.inference_mode():
            every = np.stack([maps(shown[i], shown[j]).numpy()[:, kept] for i, j in pairs])
        # The scale is a free parameter, because the contrast varies over the field, most on small fibres.
        return np.asarray(every * ((every * measured).sum() / (every * every).sum()))

    solution = optimize.least_squares(
        lambda x: (predicted(x) - measured).ravel(), [50.0, 4.0], diff_step=0.01, xtol=1e-3, bounds=([5, 0.1], [500, 50])
    )
    part = field.parts[::stride, ::stride][kept]
    scatter = _jackknifed(solution, measured.shape, part)
    error = np.hypot(scatter, solution.x * phase_scale_sd / model.phase_scale)
    fitted = predicted(solution.x)
    about = [maps - maps.mean((0, 2), keepdims=True) for maps in (measured, fitted)]
    correlation = _correlation(about[0].ravel(), about[1].ravel())
    a, sc = (float(x) for x in solution.x)
    final = replace(model, defocus_px=a, coupling_px=sc)
    return final, {"defocus_px": float(error[0]), "coupling_px": float(error[1])}, correlation


def _jackknifed(solution: optimize.OptimizeResult, shape: tuple[int, ...], part: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the jackknife standard errors of a least-squares solution whose residuals have ``shape`` (pairs, lags, pixels).

    For each part that is left out, one Gauss-Newton step from the solution of all parts gives the new solution.
    """
    slopes = solution.jac.reshape(*shape, len(solution.x))
    residual = solution.fun.reshape(shape)
    masks = [part == number for number in np.unique(part)]
    normal = np.stack([np.einsum("plnk,plnm->km", *[slopes[:, :, mask]] * 2) for mask in masks])
    pull = np.stack([np.einsum("plnk,pln->k", slopes[:, :, mask], residual[:, :, mask]) for mask in masks])
    estimates = [solution.x + np.linalg.solve(normal.sum(0) - n, g) for n, g in zip(normal, pull, strict=True)]
    return jackknife(np.stack(estimates))
