"""Measure the SLM's phase response through the fibre itself, without an interferometer, in about seventy shots.

A checkerboard shows grey level 0 in its dark cells and grey level g in its bright cells. Behind the fibre the light of the two
sets of cells interferes, so every camera pixel follows ``A + B cos(phi(g)) + C sin(phi(g))``. The frames of all grey levels
therefore lie on an ellipse in a plane. A singular value decomposition finds the plane, a conic fit finds the ellipse, and the
angle on the ellipse is phi. This works with any fibre in any position, as long as the fibre does not move during the
measurement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acquisition.capture.pair_capture import PairCapture, Rig
from calibration.stored import CalibrationError
from drivers.base import Pattern

KIND = "phase LUT"
#: Cells along the shorter side of the SLM: larger than a core, and small enough that both sets of cells light every pixel.
_CELLS = 16
_REGIONS = 3
#: Largest allowed ratio of the third to the second singular value. A small ratio means that the frames lie in a plane.
_MAX_THIRD = 0.5


@dataclass(frozen=True)
class LutData:
    """Frames of checkerboards.

    Parameters
    ----------
    levels : ndarray of int, shape (L,)
        Grey level of the bright cells, increasing.
    frames : ndarray of float32, shape (L, H, W)
        Counts of every second pixel along both axes.
    """

    levels: NDArray[np.int64]
    frames: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class LutFit:
    """The SLM's phase response.

    Parameters
    ----------
    phases_rad : ndarray of float64, shape (256,)
        Phase of every grey level in radians, 0 at grey level 0, never decreasing.
    residual_rad : float
        Root-mean-square distance of the measured points from the ellipse, as an angle.
    region_rms_rad : ndarray of float64, shape (3, 3)
        Root-mean-square deviation of each part of the field from the whole field.
    third : float
        Ratio of the third to the second singular value; 0 is a perfect plane.
    """

    phases_rad: NDArray[np.float64]
    residual_rad: float
    region_rms_rad: NDArray[np.float64]
    third: float


def acquire(
    rig: Rig, nominal_rad: NDArray[np.float64], levels: int = 64, progress: Callable[[int], None] = lambda done: None
) -> LutData:
    """Show checkerboards of increasing grey level and capture a frame of each.

    Parameters
    ----------
    rig : Rig
        Used by this thread only.
    nominal_rad : ndarray of float64, shape (256,)
        The driver's present phase for each grey level. A pattern of this phase is shown with exactly this grey level.
    levels : int
        How many of the 256 grey levels are measured.
    progress : callable
        Called with the number of frames captured.

    Raises
    ------
    CaptureError
        A frame failed repeatedly.
    """
    shape = rig.display().capabilities.shape
    cell = max(1, min(shape) // _CELLS)
    rows, columns = np.indices(shape) // cell
    board = ((rows + columns) % 2).astype(np.float32)
    # The driver wraps the highest grey levels to 0; these cannot be shown.
    available = np.flatnonzero(nominal_rad - nominal_rad[0] < 2 * np.pi * (1 - 1 / 512))
    chosen = np.unique(available[np.linspace(0, len(available) - 1, levels).round().astype(int)])
    capture = PairCapture(rig)
    frames = []
    try:
        for level in chosen:
            phase = (board * np.float32(nominal_rad[level] - nominal_rad[0])).astype(np.float32)
            frames.append(capture.capture(Pattern(phase, f"level {level}")).pixels[::2, ::2].astype(np.float32))
            progress(len(frames))
    finally:
        capture.release()
    return LutData(chosen.astype(np.int64), np.stack(frames))


def fit(data: LutData) -> LutFit:
    """Fit the phase response to the frames.

    Raises
    ------
    CalibrationError
        There are too few grey levels, or the frames do not lie on an ellipse because the SLM does not act on the light or the
        fibre moved.
    """
    if len(data.levels) < 16:
        raise CalibrationError(f"a phase LUT needs frames of at least 16 levels, got {len(data.levels)}; measure more levels")
    flat = data.frames.reshape(len(data.levels), -1).astype(np.float64)
    phase, residual, third = _angle(flat)
    if third > _MAX_THIRD:
        raise CalibrationError(
            f"the frames do not lie on an ellipse: the third singular value is {third:.2f} times the second, at most "
            f"{_MAX_THIRD} is allowed; check that the SLM's light reaches the fibre and that the fibre does not move"
        )
    regions = np.array([[_region(data, row, column, phase) for column in range(_REGIONS)] for row in range(_REGIONS)])
    every = np.interp(np.arange(256), data.levels, phase)
    if data.levels[-1] < 255:  # extrapolate to the grey levels that could not be shown
        step = (phase[-1] - phase[-4]) / (data.levels[-1] - data.levels[-4])
        above = np.arange(data.levels[-1] + 1, 256)
        every[above] = phase[-1] + step * (above - data.levels[-1])
    return LutFit(
        phases_rad=np.maximum.accumulate(every - every[0]), residual_rad=residual, region_rms_rad=regions, third=third
    )


def _region(data: LutData, row: int, column: int, whole: NDArray[np.float64]) -> float:
    """Return the root-mean-square deviation of one region's response from that of the whole field; NaN where it is dark."""
    _, height, width = data.frames.shape
    rows = slice(row * height // _REGIONS, (row + 1) * height // _REGIONS)
    columns = slice(column * width // _REGIONS, (column + 1) * width // _REGIONS)
    part = data.frames[:, rows, columns].reshape(len(data.levels), -1).astype(np.float64)
    try:
        phase, _, third = _angle(part)
    except CalibrationError:
        return float("nan")
    difference = phase - whole
    return float(np.std(difference)) if third <= _MAX_THIRD else float("nan")


def _angle(frames: NDArray[np.float64]) -> tuple[NDArray[np.float64], float, float]:
    """Return the angle of every frame on the ellipse, the scatter about the ellipse, and third over second singular value.

    The angles start at 0 and increase.
    """
    centred = frames - frames.mean(axis=0)
    vectors, strengths, _ = np.linalg.svd(centred, full_matrices=False)
    if strengths[1] <= 0:
        raise CalibrationError("the frames of all grey levels are alike; check that the SLM's light reaches the camera")
    x, y = (vectors[:, k] / vectors[:, k].std() for k in range(2))
    conic, *_ = np.linalg.lstsq(np.column_stack([x * x, x * y, y * y, x, y]), np.ones(len(x)), rcond=None)
    form = np.array([[conic[0], conic[1] / 2], [conic[1] / 2, conic[2]]])
    if np.linalg.eigvalsh(form)[0] <= 0:
        return np.zeros(len(x)), float("inf"), float("inf")
    centre = -0.5 * np.linalg.solve(form, conic[3:])
    on_circle = (np.column_stack([x, y]) - centre) @ np.linalg.cholesky(form)
    angle = np.unwrap(np.arctan2(on_circle[:, 1], on_circle[:, 0]))
    # The sense of rotation is arbitrary in the plane, but the SLM's phase increases with the grey level.
    angle = (angle - angle[0]) * (1 if angle[-1] >= angle[0] else -1)
    radius = np.hypot(on_circle[:, 0], on_circle[:, 1])
    return angle, float(np.std(radius) / np.mean(radius)), float(strengths[2] / strengths[1])
