"""Registration of labels and camera from captured pairs alone: two pairs are enough, and no target is shown.

Between two pairs the speckle moves along the slope of the difference of their phases. The registration is the pose of the
labels for which these slopes, smoothed with the window of the measurement, correlate best with the measured displacements.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
#: Standard deviation of the smoothing of labels: the window together with the region in which a phase changes the speckle.
_LABEL_PX = 10.8
_MOST_PAIRS = 10
_LEAST_PX, _LEAST_CELLS = 64, 16
#: Pixels this close to the fibre's edge are not used. There half of the light that a phase acts on is missing, as if the labels
#: were too small: with 8 px the scale was 0.5 % too large at 512 px and 1 % too large at 256 px.
_RIM_PX = 20.0
#: If slopes and displacements correlate less, labels and frames do not belong together. Correct labels reach 0.7 on the
#: smallest frames and 0.8 on real frames. Permuted labels reach 0.45, because four parameters are fitted.
LEAST_CORRELATION = 0.5
#: If the correlation is higher, the mirrored pose is not tried.
_CERTAIN = 0.75


def register_pairs(frames: Sequence[NDArray[Any]], phases_rad: Sequence[NDArray[np.float32]]) -> Registration:
    """Find scale, rotation, shift and mirroring of the labels on the camera.

    Parameters
    ----------
    frames : sequence of ndarray, shape (H, W)
        Counts of at least two different objects; H and W are multiples of four.
    phases_rad : sequence of ndarray of float32, shape (h, w)
        Phases of these objects, on the pattern's own grid.

    Returns
    -------
    Registration
        Correct to about a pixel; its ``uncertainty_px`` is unknown (NaN).

    Raises
    ------
    CalibrationError
        There are too few pairs, the frames are too small or too dark, or no pose explains the displacements.
    """
    _check(frames, phases_rad)
    camera, pattern = frames[0].shape, phases_rad[0].shape
    cells = (camera[1] // CELL_PX, camera[0] // CELL_PX)
    amplitudes = [speckle_amplitude(frame) for frame in frames]
    chosen = list(combinations(range(len(frames)), 2))[:_MOST_PAIRS]
    displacements = [displacement(amplitudes[i], amplitudes[j], CELL_PX, _WINDOW_PX) for i, j in chosen]
    inside = cv2.resize(lit_field(frames, _RIM_PX).astype(np.float32), cells, interpolation=cv2.INTER_AREA) > 0.9
    if inside.sum() < _LEAST_CELLS:
        raise CalibrationError(
            f"the fibre lights {inside.mean():.1%} of the frames, too little to register labels; is the laser on?"
        )
    # The search starts with a pattern that fills the frame, which is the common case.
    fill_scale = min(camera[0] / pattern[0], camera[1] / pattern[1])
    grid = (math.ceil(pattern[1] * fill_scale / CELL_PX), math.ceil(pattern[0] * fill_scale / CELL_PX))
    smooth = [
        cv2.GaussianBlur(cv2.resize(phase, grid, interpolation=cv2.INTER_AREA), (0, 0), _LABEL_PX / CELL_PX)
        for phase in phases_rad
    ]

    def mismatch(pose: NDArray[np.float64], mirror: float) -> float:
        matrix = _onto_cells(_similarity(pose, mirror), (grid[1], grid[0]), (cells[1], cells[0]))
        warped = [
            cv2.warpAffine(image, matrix, cells, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for image in smooth
        ]
        return _correlation(displacements, [warped[i] - warped[j] for i, j in chosen], inside)

    correlation, matrix = _best_pose(mismatch)
    if correlation < LEAST_CORRELATION:
        raise CalibrationError(
            f"the labels explain the displacements of the speckle with a correlation of {correlation:.2f}, at least "
            f"{LEAST_CORRELATION} is needed; check the names, the session and the orientation of the references"
        )
    matrix[:, :2] *= fill_scale
    height, width = camera
    return Registration(matrix, (pattern[0], pattern[1]), (height, width), correlation, float("nan"), _LABEL_PX)


def _check(frames: Sequence[NDArray[Any]], phases_rad: Sequence[NDArray[np.float32]]) -> None:
    if len(frames) < 2:
        raise CalibrationError(f"registering labels takes at least 2 pairs, got {len(frames)}; add references")
    camera, pattern = frames[0].shape, phases_rad[0].shape
    if len(frames) != len(phases_rad) or {f.shape for f in frames} != {camera} or {p.shape for p in phases_rad} != {pattern}:
        raise CalibrationError(
            f"{len(frames)} frames of {camera} px and {len(phases_rad)} labels of {pattern} px differ in number, or have "
            "different shapes among themselves; use one camera setting and one label size"
        )
    if min(camera) < _LEAST_PX:
        raise CalibrationError(f"registering labels takes frames of at least {_LEAST_PX} px, got {camera}; enlarge the ROI")


def _best_pose(mismatch: Callable[[NDArray[np.float64], float], float]) -> tuple[float, NDArray[np.float64]]:
    """Return the correlation and the matrix of the best pose, mirrored or not; ``mismatch`` is minus the correlation."""
    simplex = [[0, 0, 0, 0], [14, 0, 0, 0], [0, 10, 0, 0], [0, 0, 5, 0], [0, 0, 0, 5]]
    options = {"initial_simplex": simplex, "maxiter": 160, "xatol": 0.05, "fatol": 1e-6}
    least, matrix = math.inf, np.eye(2, 3)
    for mirror in (1.0, -1.0):
        solution = minimize(mismatch, simplex[0], (mirror,), method="Nelder-Mead", options=options)
        if solution.fun < least:
            least, matrix = float(solution.fun), _similarity(solution.x, mirror)
        if least < -_CERTAIN:
            break
    return -least, matrix


def _similarity(pose: NDArray[np.float64], mirror: float) -> NDArray[np.float64]:
    """Return the map from pattern to camera, both from the centre.

    ``pose`` holds magnification and rotation, as displacements in pixels at 240 px from the centre, and the shift. ``mirror``
    is -1 for a mirrored x axis, else 1.
    """
    scale, angle = 1 / (1 + pose[0] / 240), pose[1] / 240
    rotation = scale * np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    if mirror < 0:
        rotation = rotation @ np.diag([1.0, -1.0])
    return np.column_stack([rotation, pose[2:]])


def _onto_cells(matrix: NDArray[np.float64], pattern: tuple[int, int], camera: tuple[int, int]) -> NDArray[np.float64]:
    """Return the same map between grids of cells, counted from their corners, in OpenCV's order of coordinates."""
    linear = matrix[::-1, 1::-1]
    offset = matrix[::-1, 2] / CELL_PX
    centre, onto = (np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2]) for shape in (pattern, camera))
    return np.column_stack([linear, offset + onto - linear @ centre])


def _correlation(
    displacements: Sequence[Displacement], differences: Sequence[NDArray[np.float32]], inside: NDArray[np.bool_]
) -> float:
    """Return the weighted correlation of displacements with slopes, without the common shift of each pair of frames.

    The speckle moves down the slope: -1 is perfect agreement.
    """
    both = measured = expected = 0.0
    for move, difference in zip(displacements, differences, strict=True):
        weight = move.weight[inside]
        for shift, slope in zip(move.shift_px, np.gradient(difference), strict=True):
            d, s = shift[inside], slope[inside]
            d, s = d - np.average(d, weights=weight), s - np.average(s, weights=weight)
            both += float((weight * d * s).sum())
            measured += float((weight * d * d).sum())
            expected += float((weight * s * s).sum())
    return both / math.sqrt(max(measured * expected, 1e-30))
