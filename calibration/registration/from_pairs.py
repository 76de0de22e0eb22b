"""Where the labels of captured pairs lie on the camera, from the pairs themselves: two are enough, no target is shown.

Between two pairs the speckle moves along the slope of the difference of their phases. The pose of the labels is the one
for which those slopes, seen through the window of the measurement, go best with the displacements that were measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from calibration.registration.affine import Registration
from calibration.registration.displacement import Displacement, displacement, lit_field, speckle_amplitude
from calibration.stored import CalibrationError

CELL_PX = 4
_WINDOW_PX = 9.0
#: Labels are smoothed by the fibre's reach as well as by the window.
_LABEL_PX = 10.8
_MOST_PAIRS = 10
_LEAST_PX, _LEAST_CELLS = 64, 16
#: Nearer to the fibre's edge half of the light that a phase acts on is missing, which looks like labels that are too small:
#: with 8 px the scale came out .5 % too large at 512 px, 1 % at 256 px.
_RIM_PX = 20.0
#: Correlation of slopes and displacements below which labels and speckles do not belong together. Right ones reach .7 on the
#: smallest frames and .8 on real ones, permuted ones .45, because four numbers are fitted.
LEAST_CORRELATION = 0.5
#: From here on the other mirroring is not tried.
_CERTAIN = 0.75


def register_pairs(frames: Sequence[NDArray[Any]], phases_rad: Sequence[NDArray[np.float32]]) -> Registration:
    """Find scale, rotation, shift and mirroring of the labels on the camera.

    Parameters
    ----------
    frames : sequence of ndarray, shape (H, W)
        Counts of at least two different objects; H and W multiples of four.
    phases_rad : sequence of ndarray of float32, shape (h, w)
        Their phases, on the pattern's own grid.

    Returns
    -------
    Registration
        Good to about a pixel; its ``uncertainty_px`` is not known (NaN).

    Raises
    ------
    CalibrationError
        Too few pairs, frames too small or dark, or no pose explains the displacements.
    """
    if len(frames) < 2:
        raise CalibrationError(f"registering labels takes at least 2 pairs, got {len(frames)}; add references")
    camera, pattern = frames[0].shape, phases_rad[0].shape
    if len(frames) != len(phases_rad) or {f.shape for f in frames} != {camera} or {p.shape for p in phases_rad} != {pattern}:
        raise CalibrationError(
            f"{len(frames)} frames of {camera} and {len(phases_rad)} labels of {pattern} px do not go together, or "
            "differ among themselves; use one camera setting and one label size"
        )
    if min(camera) < _LEAST_PX:
        raise CalibrationError(f"registering labels takes frames of at least {_LEAST_PX} px, got {camera}; enlarge the ROI")
    cells = (camera[1] // CELL_PX, camera[0] // CELL_PX)
    amplitudes = [speckle_amplitude(frame) for frame in frames]
    chosen = list(combinations(range(len(frames)), 2))[:_MOST_PAIRS]
    moved = [displacement(amplitudes[i], amplitudes[j], CELL_PX, _WINDOW_PX) for i, j in chosen]
    inside = cv2.resize(lit_field(frames, _RIM_PX).astype(np.float32), cells, interpolation=cv2.INTER_AREA) > 0.9
    if inside.sum() < _LEAST_CELLS:
        raise CalibrationError(
            f"the fibre lights {inside.mean():.1%} of the frames, too little to register labels; is the laser on?"
        )
    # A pattern as large as the frame is the common case; other sizes start as if they filled it.
    fitted = min(camera[0] / pattern[0], camera[1] / pattern[1])
    grid = (math.ceil(pattern[1] * fitted / CELL_PX), math.ceil(pattern[0] * fitted / CELL_PX))
    smooth = [
        cv2.GaussianBlur(cv2.resize(phase, grid, interpolation=cv2.INTER_AREA), (0, 0), _LABEL_PX / CELL_PX)
        for phase in phases_rad
    ]

    def mismatch(pose: NDArray[np.float64], mirrored: bool) -> float:
        matrix = _onto_cells(_similarity(pose, mirrored), (grid[1], grid[0]), (cells[1], cells[0]))
        seen = [
            cv2.warpAffine(image, matrix, cells, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for image in smooth
        ]
        return _correlation(moved, [seen[i] - seen[j] for i, j in chosen], inside)

    simplex = [[0, 0, 0, 0], [14, 0, 0, 0], [0, 10, 0, 0], [0, 0, 5, 0], [0, 0, 0, 5]]
    best: tuple[float, NDArray[np.float64], bool] | None = None
    for mirrored in (False, True):
        options = {"initial_simplex": simplex, "maxiter": 160, "xatol": 0.05, "fatol": 1e-6}
        found = minimize(mismatch, simplex[0], (mirrored,), method="Nelder-Mead", options=options)
        if best is None or found.fun < best[0]:
            best = float(found.fun), found.x, mirrored
        if best[0] < -_CERTAIN:
            break
    assert best is not None
    if -best[0] < LEAST_CORRELATION:
        raise CalibrationError(
            f"the labels explain the speckles' displacements with a correlation of {-best[0]:.2f} only, "
            f"{LEAST_CORRELATION} are needed; check that names, session and orientation of the references are right"
        )
    matrix = _similarity(best[1], best[2])
    matrix[:, :2] *= fitted
    height, width = camera
    return Registration(matrix, (pattern[0], pattern[1]), (height, width), -best[0], float("nan"), _LABEL_PX)


def _similarity(pose: NDArray[np.float64], mirrored: bool) -> NDArray[np.float64]:
    """Pattern to camera, both from the centre: pose is growth and turn in pixels at 240 px from the centre, and the shift."""
    scale, angle = 1 / (1 + pose[0] / 240), pose[1] / 240
    turn = scale * np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    if mirrored:
        turn = turn @ np.diag([1.0, -1.0])
    return np.column_stack([turn, pose[2:]])


def _onto_cells(matrix: NDArray[np.float64], pattern: tuple[int, int], camera: tuple[int, int]) -> NDArray[np.float64]:
    """Return the same map between corners of grids of cells, in OpenCV's order of coordinates."""
    linear = matrix[::-1, 1::-1]
    offset = matrix[::-1, 2] / CELL_PX
    centre, onto = (np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2]) for shape in (pattern, camera))
    return np.column_stack([linear, offset + onto - linear @ centre])


def _correlation(moved: Sequence[Displacement], differences: Sequence[NDArray[np.float32]], inside: NDArray[np.bool_]) -> float:
    """Weighted correlation of displacements with slopes, each frame's own shift aside: -1 where they agree perfectly."""
    both = measured = expected = 0.0
    for move, difference in zip(moved, differences, strict=True):
        weight = move.weight[inside]
        for shift, slope in zip(move.shift_px, np.gradient(difference), strict=True):
            d, s = shift[inside], slope[inside]
            d, s = d - np.average(d, weights=weight), s - np.average(s, weights=weight)
            both += float((weight * d * s).sum())
            measured += float((weight * d * d).sum())
            expected += float((weight * s * s).sum())
    return both / math.sqrt(max(measured * expected, 1e-30))
