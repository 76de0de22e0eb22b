"""The panel's phase response, measured through the fibre itself: no interferometer, some seventy shots.

A checkerboard shows level 0 in its dark cells and level g in its bright ones. Behind the fibre the light of the two sets of
cells interferes, so that every camera pixel follows ``A + B cos(phi(g)) + C sin(phi(g))``. Over all levels the frames
therefore lie on an ellipse in a plane; the plane is found by a singular value decomposition, the ellipse by a conic fit,
and the angle on it is phi. It does not matter which fibre it is, nor how it lies, as long as it does not move meanwhile.
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
#: Cells along the shorter side: coarse enough for the cores, fine enough that both kinds light every pixel.
_CELLS = 16
_REGIONS = 3
#: The frames have to lie in a plane: third over second singular value.
_MAX_THIRD = 0.5


@dataclass(frozen=True)
class LutData:
    """Frames of checkerboards.

    Parameters
    ----------
    levels : ndarray of int, shape (L,)
        Grey level of the bright cells, rising.
    frames : ndarray of float32, shape (L, H, W)
        Counts, every second pixel both ways.
    """

    levels: NDArray[np.int64]
    frames: NDArray[np.float32]


@dataclass(frozen=True)
class LutFit:
    """The response.

    Parameters
    ----------
    phases_rad : ndarray of float64, shape (256,)
        Phase of every grey level, 0 at level 0, never falling.
    residual_rad : float
        Scatter of the measured points about the ellipse, as an angle, root mean square.
    region_rms_rad : ndarray of float64, shape (3, 3)
        How far each part of the field departs from the whole, root mean square.
    third : float
        Third over second singular value: 0 is a perfect plane.
    """

    phases_rad: NDArray[np.float64]
    residual_rad: float
    region_rms_rad: NDArray[np.float64]
    third: float


def acquire(
    rig: Rig, nominal_rad: NDArray[np.float64], levels: int = 64, progress: Callable[[int], None] = lambda done: None
) -> LutData:
    """Show checkerboards of rising levels and take a frame of each.

    Parameters
    ----------
    rig : Rig
        Used by this thread.
    nominal_rad : ndarray of float64, shape (256,)
        Phase by which the driver asks for each grey level now, so that it shows that very level.
    levels : int
        How many of the 256.
    progress : callable
        Called with the number of frames taken.

    Raises
    ------
    CaptureError
        A frame kept failing.
    """
    shape = rig.display().capabilities.shape
    cell = max(1, min(shape) // _CELLS)
    rows, columns = np.indices(shape) // cell
    board = ((rows + columns) % 2).astype(np.float32)
    # A level that the driver wraps to 0 cannot be asked for.
    askable = np.flatnonzero(nominal_rad - nominal_rad[0] < 2 * np.pi * (1 - 1 / 512))
    chosen = np.unique(askable[np.linspace(0, len(askable) - 1, levels).round().astype(int)])
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
    """Find the response that explains the frames.

    Raises
    ------
    CalibrationError
        Too few levels, or frames that do not lie on an ellipse: the light does not see the panel, or the fibre moved.
    """
    if len(data.levels) < 16:
        raise CalibrationError(f"a phase LUT needs frames of at least 16 levels, got {len(data.levels)}; measure more")
    flat = data.frames.reshape(len(data.levels), -1).astype(np.float64)
    phase, residual, third = _angle(flat)
    if third > _MAX_THIRD:
        raise CalibrationError(
            f"the frames do not lie on an ellipse (third singular value {third:.2f} of the second, at most {_MAX_THIRD}); "
            "check that the fibre sees the panel and lies still"
        )
    regions = np.array([[_region(data, row, column, phase) for column in range(_REGIONS)] for row in range(_REGIONS)])
    every = np.interp(np.arange(256), data.levels, phase)
    if data.levels[-1] < 255:  # the levels that could not be asked for go on as the last ones did
        step = (phase[-1] - phase[-4]) / (data.levels[-1] - data.levels[-4])
        above = np.arange(data.levels[-1] + 1, 256)
        every[above] = phase[-1] + step * (above - data.levels[-1])
    return LutFit(np.maximum.accumulate(every - every[0]), residual, regions, third)


def _region(data: LutData, row: int, column: int, whole: NDArray[np.float64]) -> float:
    """Root mean square departure of one part's response from the whole's; NaN where it is dark."""
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
    """Return the angle of every frame on the ellipse, from 0 and rising, its scatter, and how thick the plane is."""
    centred = frames - frames.mean(axis=0)
    vectors, strengths, _ = np.linalg.svd(centred, full_matrices=False)
    if strengths[1] <= 0:
        raise CalibrationError("the frames of all levels are alike; check that the camera sees the panel's light")
    x, y = (vectors[:, k] / vectors[:, k].std() for k in range(2))
    conic, *_ = np.linalg.lstsq(np.column_stack([x * x, x * y, y * y, x, y]), np.ones(len(x)), rcond=None)
    form = np.array([[conic[0], conic[1] / 2], [conic[1] / 2, conic[2]]])
    if np.linalg.eigvalsh(form)[0] <= 0:
        return np.zeros(len(x)), float("inf"), float("inf")
    centre = -0.5 * np.linalg.solve(form, conic[3:])
    round_ = (np.column_stack([x, y]) - centre) @ np.linalg.cholesky(form)
    angle = np.unwrap(np.arctan2(round_[:, 1], round_[:, 0]))
    # The panel's phase rises with its level; the plane has no preferred side.
    angle = (angle - angle[0]) * (1 if angle[-1] >= angle[0] else -1)
    radius = np.hypot(round_[:, 0], round_[:, 1])
    return angle, float(np.std(radius) / np.mean(radius)), float(strengths[2] / strengths[1])
