"""The fibre's own linear answer: phase from the change of speckle around it, by one ridge regression per place.

The intensity of a fixed fibre is linear in products of neighbouring cores' fields, so the phase's detail (what is left after
its local mean) and its slope are to a large part linear functions of the speckle around, different at every place. They are
fitted in closed form: for each block of the field, ridge regression (Hoerl and Kennedy, Technometrics 12, 55, 1970) from a
window of amplitude changes to the detail of the block's cells and to its slope, reduced in rank (Izenman, J. Multivar.
Anal. 5, 248, 1975) and kept in 8 bits. Slopes are then integrated over the disc by least squares (Hudgin, J. Opt. Soc. Am.
67, 375, 1977), which gives what no single window can see: the phase at large.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from reconstruction.base import ReconstructionError
from reconstruction.data.pairs import PairPool
from reconstruction.field import field_mask

BLOCK_PX = 16
WINDOW_PX = 32
RANK = 8
#: Ridge penalty; amplitudes are about 1, so it counts pairs. Held-out R2 changes by less than 0.003 between 1 and 10.
PENALTY = 3.0
#: Phase detail is what is left after the mean over this many cells: beyond it one window sees nothing.
DETAIL_CELLS = 23
#: Weight of slopes (radians per block) beside details (radians) where the rank is reduced.
SLOPE_WEIGHT = 2.0
_MARGIN = (WINDOW_PX - BLOCK_PX) // 2


class LocalRidge(nn.Module):
    """Linear maps from windows of amplitude change to phase, one for every block inside the field.

    Parameters
    ----------
    frame_px, grid_px : int
        Side of the frame and of the phase grid.
    field_radius : float
        Radius of the fibre's disc as a fraction of half the frame.

    Raises
    ------
    ValueError
        The sizes do not divide.
    """

    codes: torch.Tensor
    scale: torch.Tensor
    mix: torch.Tensor
    offset: torch.Tensor
    dense_maps: torch.Tensor
    dense_mix: torch.Tensor
    dense_offset: torch.Tensor
    integral: torch.Tensor

    def __init__(self, frame_px: int, grid_px: int, field_radius: float) -> None:
        super().__init__()
        if frame_px % BLOCK_PX or grid_px * BLOCK_PX % frame_px:
            raise ValueError(f"frame_px {frame_px} and grid_px {grid_px} do not divide into blocks of {BLOCK_PX} px")
        self.side = frame_px // BLOCK_PX
        self.cells = grid_px // self.side
        self.grid_px = grid_px
        self.mask = field_mask(grid_px, field_radius)
        self.places = np.flatnonzero(field_mask(self.side, field_radius + 0.7 * BLOCK_PX / frame_px))
        count, inputs, outputs = len(self.places), WINDOW_PX**2, self.cells**2 + 2
        self.register_buffer("codes", torch.zeros(count, inputs, RANK, dtype=torch.int8))
        self.register_buffer("scale", torch.zeros(count, 1, RANK))
        self.register_buffer("mix", torch.zeros(count, RANK, outputs))
        self.register_buffer("offset", torch.zeros(count, 1, outputs))
        for name in ("maps", "mix", "offset"):
            self.register_buffer(f"dense_{name}", torch.zeros(()), persistent=False)
        self.register_buffer("integral", torch.from_numpy(slope_integral(self.places, self.side)), persistent=False)
        self._unpack()
        self.register_load_state_dict_post_hook(LocalRidge._unpack)  # type: ignore[no-untyped-call]

    def forward(self, change: torch.Tensor) -> torch.Tensor:
        """Phase detail (b, 1, grid, grid) in radians from amplitude change (b, 1, H, W)."""
        tiles = F.pixel_unshuffle(F.pad(change, [_MARGIN] * 4), BLOCK_PX)
        n = self.side
        # The window of block (i, j) is the four tiles that meet at its centre.
        windows = torch.cat([tiles[:, :, y : y + n, x : x + n] for y in (0, 1) for x in (0, 1)], 1)
        inputs = windows.flatten(2).permute(2, 0, 1)
        outputs = torch.bmm(torch.bmm(inputs, self.dense_maps), self.dense_mix) + self.dense_offset
        maps = outputs.permute(1, 2, 0)
        detail = F.pixel_shuffle(maps[:, :-2].unflatten(2, (n, n)), self.cells)
        level = (maps[:, -2:].flatten(1) @ self.integral).reshape(-1, 1, n, n) / SLOPE_WEIGHT
        smooth = F.interpolate(level, scale_factor=self.cells, mode="bilinear", align_corners=False)
        return torch.cat([detail, smooth], 1)

    def fit(self, pool: PairPool, on_progress: Callable[[int, int], None] = lambda done, total: None) -> float:
        """Fit all maps to a pool of pairs; return the fraction of variance explained, in-sample.

        Parameters
        ----------
        pool : PairPool
            At least a few hundred pairs; twice as many as a window has pixels are good.
        on_progress : callable
            Called with ``(places done, places in all)``.

        Raises
        ------
        ReconstructionError
            Fewer than 64 pairs.
        """
        count = pool.ready
        if count < 64:
            raise ReconstructionError(f"fitting the fibre's linear maps needs at least 64 pairs, got {count}; acquire more")
        detail = np.stack([phase_detail(pool.phase_rad[i], self.mask) for i in range(count)])
        strength = amplitude_scale(pool.speckle[:count])
        still = self._padded(pool.reference[None].astype(np.float32) * amplitude_scale(pool.reference[None])[:, None, None])
        order = window_order()
        explained = total = 0.0
        for number, place in enumerate(self.places):
            row, column = divmod(int(place), self.side)
            if number == 0 or column < divmod(int(self.places[number - 1]), self.side)[1]:
                strip, change = row, self._strip(pool, row, strength) - np.sqrt(self._rows(still, row))
            assert strip == row
            window = change[:, :, column * BLOCK_PX : column * BLOCK_PX + WINDOW_PX].reshape(count, -1)[:, order]
            y, x = row * self.cells, column * self.cells
            cells = detail[:, y : y + self.cells, x : x + self.cells].reshape(count, -1)
            target = np.hstack([cells, SLOPE_WEIGHT * self._slopes(pool.phase_rad[:count], y, x)])
            gained, variance = self._fit_place(number, np.ascontiguousarray(window), target)
            explained, total = explained + gained, total + variance
            on_progress(number + 1, len(self.places))
        self._unpack()
        return explained / max(total, 1e-12)

    def _fit_place(self, number: int, window: NDArray[np.float32], target: NDArray[np.float32]) -> tuple[float, float]:
        mean_in, mean_out = window.mean(0), target.mean(0)
        window, target = window - mean_in, target - mean_out
        gram = window.T @ window
        weights = np.linalg.solve(gram + np.float32(PENALTY) * np.eye(len(gram), dtype=np.float32), window.T @ target)
        # Reduced rank: keep the directions of the outputs in which the fit has most variance.
        _, directions = np.linalg.eigh(weights.T @ gram @ weights)
        directions = directions[:, ::-1][:, :RANK]
        reduced = weights @ directions
        scale = np.maximum(np.abs(reduced).max(0), 1e-12) / 127
        codes = np.round(reduced / scale)
        fitted = codes * scale @ directions.T
        self.codes[number] = torch.from_numpy(codes.astype(np.int8))
        self.scale[number, 0, : len(scale)] = torch.from_numpy(scale.astype(np.float32))
        self.mix[number] = torch.from_numpy(np.ascontiguousarray(directions.T, np.float32))
        self.offset[number, 0] = torch.from_numpy((mean_out - mean_in @ fitted).astype(np.float32))
        variance = float((target**2).sum())
        return variance - float(((target - window @ fitted) ** 2).sum()), variance

    def _slopes(self, phase_rad: NDArray[np.float32], y: int, x: int) -> NDArray[np.float32]:
        """Slope of a plane fitted around the block whose first cell is (y, x), in radians per block: (n, 2), down and right."""
        margin = self.cells // 2
        rows, columns = (slice(max(0, at - margin), at + self.cells + margin) for at in (y, x))
        inside = self.mask[rows, columns]
        if inside.sum() < inside.size / 4:
            return np.zeros((len(phase_rad), 2), np.float32)
        down, right = (axis - axis.mean() for axis in np.nonzero(inside))
        plane = np.linalg.pinv(np.stack([np.ones_like(down), down, right], 1))[1:]
        return np.asarray(phase_rad[:, rows, columns][:, inside] @ plane.T.astype(np.float32) * self.cells, np.float32)

    def _padded(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.pad(images, ((0, 0), (_MARGIN, _MARGIN), (_MARGIN, _MARGIN)))

    def _rows(self, padded: NDArray[np.float32], row: int) -> NDArray[np.float32]:
        return padded[:, row * BLOCK_PX : row * BLOCK_PX + WINDOW_PX]

    def _strip(self, pool: PairPool, row: int, strength: NDArray[np.float32]) -> NDArray[np.float32]:
        """Amplitudes of one row of blocks in all frames, with margins: (n, WINDOW_PX, W + 2 margin)."""
        height = pool.speckle.shape[1]
        first, last = row * BLOCK_PX - _MARGIN, row * BLOCK_PX - _MARGIN + WINDOW_PX
        counts = pool.speckle[: pool.ready, max(0, first) : min(height, last)].astype(np.float32)
        margins = ((0, 0), (max(0, -first), max(0, last - height)), (_MARGIN, _MARGIN))
        return np.sqrt(np.pad(counts * strength[:, None, None], margins))

    def _everywhere(self, per_place: torch.Tensor) -> torch.Tensor:
        whole = per_place.new_zeros(self.side**2, *per_place.shape[1:])
        whole[torch.from_numpy(self.places)] = per_place
        return whole

    def _unpack(self, *_: Any) -> None:
        """Spread the stored maps over all places, zero outside the field, for one batched product."""
        self.dense_maps = self._everywhere(self.codes.float() * self.scale)
        self.dense_mix = self._everywhere(self.mix)
        self.dense_offset = self._everywhere(self.offset)


def window_order() -> NDArray[np.int64]:
    """Order in which four pixel-unshuffled tiles list a window's pixels (row by row in the argument of the fit)."""
    pixels = torch.arange(WINDOW_PX**2).reshape(1, 1, WINDOW_PX, WINDOW_PX)
    tiles = F.pixel_unshuffle(pixels, BLOCK_PX)
    return np.asarray(torch.cat([tiles[0, :, y, x] for y in (0, 1) for x in (0, 1)]).numpy())


def slope_integral(places: NDArray[np.int64], side: int) -> NDArray[np.float32]:
    """Linear map from slopes (down of all blocks, then right) to the zero-mean level of every block: (2 side^2, side^2).

    Least squares on the steps between neighbouring blocks; blocks outside take the level of the nearest one inside.
    """
    index = {int(place): number for number, place in enumerate(places)}
    steps, halves = [], []
    for direction, jump in enumerate((side, 1)):
        for place, number in index.items():
            if place + jump in index and (jump > 1 or place % side < side - 1):
                step, half = np.zeros(len(places)), np.zeros(2 * side**2)
                step[[number, index[place + jump]]] = -1, 1
                half[[direction * side**2 + place, direction * side**2 + place + jump]] = 0.5
                steps.append(step)
                halves.append(half)
    difference, mean_slope = np.array(steps), np.array(halves)
    normal = difference.T @ difference + 1e-6 * np.eye(len(places))
    level = np.linalg.solve(normal, difference.T @ mean_slope)
    level -= level.mean(0)
    where = np.stack(np.divmod(places, side), 1)
    everywhere = np.stack(np.divmod(np.arange(side**2), side), 1)
    nearest = ((everywhere[:, None] - where[None]) ** 2).sum(-1).argmin(1)
    return np.ascontiguousarray(level[nearest].T, np.float32)


def amplitude_scale(counts: NDArray[Any]) -> NDArray[np.float32]:
    """Return ``1 / mean`` of each image (n, H, W): exposure and power drop out."""
    return np.asarray(1 / np.maximum(counts.mean((1, 2), dtype=np.float64), 1e-6), np.float32)


def phase_detail(phase_rad: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Phase (h, w) less its mean over ``DETAIL_CELLS`` cells inside the mask; 0 outside."""
    inside = mask.astype(np.float32)
    size = (DETAIL_CELLS, DETAIL_CELLS)
    mean = cv2.blur(phase_rad * inside, size) / np.maximum(cv2.blur(inside, size), 1e-3)
    return np.asarray((phase_rad - mean) * inside, np.float32)
