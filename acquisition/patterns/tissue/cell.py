"""One synthetic cell: a lobed outline, a nucleus with a bright rim and granular chromatin; and cells drawn side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.float32]
Labels = NDArray[np.uint16]

#: Side in pixels of the image that cells are drawn in; other sizes are resampled from it.
CANVAS_PX = 512
#: Blur of the outline, and width of the dim seam between two touching cells, in pixels of the canvas.
_EDGE_PX, _SEAM_PX = 2.0, 4.0
#: Brightness of the middle of a seam, as a fraction of that of the cell.
_SEAM_GREY = 0.3
#: Grain of the chromatin in pixels of the canvas.
_GRAIN_PX = 1.8


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Where a cell lies, its outline, and how bright its parts are.

    Parameters
    ----------
    y_px, x_px : float
        Its centre on the canvas.
    radius_px : float
        Geometric mean of the two half-axes.
    aspect : float
        Long axis over short axis.
    angle_rad : float
        Direction of the long axis, from the x axis towards the y axis.
    lobes : tuple of (float, float)
        Amplitude and phase of the waves of the outline with 2, 3, ... periods around the cell.
    body, nucleus, rim : float
        Grey of the body, and what the nucleus and its rim add to it.
    nucleus_size : float
        Radius of the nucleus over that of the cell.
    chromatin : float
        Standard deviation of the grey inside the nucleus, over its mean.
    grain : (int, int)
        Corner of the cell's own chromatin in the noise that all cells share.
    """

    y_px: float
    x_px: float
    radius_px: float
    aspect: float
    angle_rad: float
    lobes: tuple[tuple[float, float], ...]
    body: float
    nucleus: float
    rim: float
    nucleus_size: float
    chromatin: float
    grain: tuple[int, int]

    @property
    def minor_px(self) -> float:
        """Half of the short axis."""
        return float(self.radius_px / np.sqrt(self.aspect))

    @property
    def major_px(self) -> float:
        """Half of the long axis."""
        return float(self.radius_px * np.sqrt(self.aspect))

    @property
    def farthest_px(self) -> float:
        """A distance from the centre that no part of the cell exceeds."""
        return self.major_px * (1 + sum(abs(amplitude) for amplitude, _ in self.lobes))

    def radius(self, y: Any, x: Any) -> Any:
        """Return the distance of points from the centre as a fraction of that of the outline in the same direction.

        Parameters
        ----------
        y, x : array_like of float
            Coordinates in pixels, relative to the centre.
        """
        cos, sin = np.cos(self.angle_rad), np.sin(self.angle_rad)
        u, v = (x * cos + y * sin) / self.major_px, (y * cos - x * sin) / self.minor_px
        around = np.arctan2(v, u)
        outline = 1.0
        for periods, (amplitude, phase) in enumerate(self.lobes, 2):
            outline = outline + amplitude * np.cos(periods * around + phase)
        return np.hypot(u, v) / outline

    def reach_px(self, direction_rad: float) -> float:
        """Return the distance from the centre to the outline in a direction."""
        return float(1 / self.radius(np.sin(direction_rad), np.cos(direction_rad)))

    def grey(self, radius: Grey, grain: Grey) -> Grey:
        """Return the cell's grey where ``radius`` is that of :meth:`radius`, and ``grain`` is noise of mean 0, deviation 1."""
        within = radius / np.float32(self.nucleus_size)
        nucleus = np.clip((1 - within) * self.minor_px * self.nucleus_size / _EDGE_PX + 0.5, 0, 1)
        rim = np.exp(-(((within - 0.88) / 0.14) ** 2))
        granular = (self.body + self.nucleus) * self.chromatin * grain * nucleus
        grey = self.body * (1 + 0.15 * grain) + self.nucleus * nucleus + self.rim * rim * nucleus + granular
        return np.asarray(np.maximum(grey, 0.5 * self.body), np.float32)


def chromatin_noise(rng: np.random.Generator) -> Grey:
    """Return the noise that the cells of a scene share: (canvas, canvas), mean 0, standard deviation 1."""
    noise = cv2.GaussianBlur(rng.standard_normal((CANVAS_PX, CANVAS_PX), np.float32), (0, 0), _GRAIN_PX)
    return np.asarray(noise / noise.std(), np.float32)


def draw_cells(ground: Grey, cells: Sequence[Cell], noise: Grey) -> tuple[Grey, Labels]:
    """Draw cells side by side. Where two overlap, each keeps the half that is nearer to it, with a dim seam between.

    Parameters
    ----------
    ground : ndarray of float32, shape (canvas, canvas)
        Grey of everything else.
    cells : sequence of Cell
        Cell ``k`` of the sequence has the label ``k + 1``.
    noise : ndarray of float32, shape (canvas, canvas)
        See :func:`chromatin_noise`.

    Returns
    -------
    (ndarray of float32, ndarray of uint16)
        Grey and labels, both (canvas, canvas). A cell of which nothing is visible has no pixel.
    """
    depth, second = np.full(ground.shape, -np.inf, np.float32), np.full(ground.shape, -np.inf, np.float32)
    owner, value = np.zeros(ground.shape, np.uint16), np.zeros(ground.shape, np.float32)
    for number, cell in enumerate(cells, 1):
        window, y, x = _window(cell, ground.shape)
        if not y.size or not x.size:
            continue
        radius = np.asarray(cell.radius(y, x), np.float32)
        inside_px = (1 - radius) * np.float32(cell.minor_px)
        nearer = inside_px > depth[window]
        second[window] = np.maximum(second[window], np.minimum(inside_px, depth[window]))
        depth[window] = np.maximum(depth[window], inside_px)
        owner[window][nearer] = number
        value[window][nearer] = cell.grey(radius, _own_grain(noise, cell, window))[nearer]
    cover = np.clip(depth / _EDGE_PX + 0.5, 0, 1)
    # Where a second cell is far away, there is no seam.
    apart = np.clip((np.maximum(depth, -_SEAM_PX) - np.maximum(second, -_SEAM_PX)) / _SEAM_PX, 0, 1)
    apart = np.where(second > -_SEAM_PX, apart, 1)
    grey = ground + (value * (_SEAM_GREY + (1 - _SEAM_GREY) * apart) - ground) * cover
    return np.asarray(grey, np.float32), np.where(depth > 0, owner, 0).astype(np.uint16)


def _window(cell: Cell, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], Grey, Grey]:
    """Return the part of the canvas that a cell may touch, and its y (n, 1) and x (1, m) relative to the centre."""
    reach_px = cell.farthest_px + _EDGE_PX + _SEAM_PX
    slices, axes = [], []
    for centre, size in ((cell.y_px, shape[0]), (cell.x_px, shape[1])):
        low, high = max(0, int(np.floor(centre - reach_px))), min(size, int(np.ceil(centre + reach_px)) + 1)
        slices.append(slice(low, max(low, high)))
        axes.append(np.arange(low, max(low, high), dtype=np.float32) - np.float32(centre))
    return (slices[0], slices[1]), axes[0][:, None], axes[1][None, :]


def _own_grain(noise: Grey, cell: Cell, window: tuple[slice, slice]) -> Grey:
    """Return the chromatin of a cell in a window; it moves with the cell."""
    centre = (int(np.floor(cell.y_px)), int(np.floor(cell.x_px)))
    rows, columns = (
        (corner + np.arange(part.start, part.stop) - middle) % CANVAS_PX
        for corner, part, middle in zip(cell.grain, window, centre, strict=True)
    )
    return np.asarray(noise[np.ix_(rows, columns)])
