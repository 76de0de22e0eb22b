"""Linear maps of one fibre: phase from the change of the speckle around it, by one ridge regression per block.

The intensity of a fixed fibre is linear in products of neighbouring cores' fields. The detail of the phase (the phase minus its
local mean) and its slope are therefore to a large part linear functions of the surrounding speckle, different at every place.
These functions have a closed form. For each block of the field, ridge regression (Hoerl and Kennedy, Technometrics 12, 55,
1970) maps a window of amplitude changes to the detail of the block's cells and to its slope. The maps are reduced in rank
(Izenman, J. Multivar. Anal. 5, 248, 1975) and stored in 8 bits. The slopes are integrated over the disc by least squares
(Hudgin, J. Opt. Soc. Am. 67, 375, 1977), which gives the large structures of the phase that no single window contains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
#: Ridge penalty. Amplitudes are about 1, so its unit is a number of pairs. R2 of held-out pairs changes by less than 0.003
#: between 1 and 10.
PENALTY = 3.0
#: The detail is the phase minus its mean over this many cells along each axis. A window contains nothing about larger
#: structures.
DETAIL_CELLS = 23
#: Weight of slopes (radians per block) beside details (radians) in the reduction of rank.
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
        Frame or grid cannot be divided into blocks of 16 px.
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
        """Return phase detail and integrated slope (b, 2, grid, grid) in radians of an amplitude change (b, 1, H, W)."""
        tiles = F.pixel_unshuffle(F.pad(change, [_MARGIN] * 4), BLOCK_PX)
        n = self.side
        # The window of block (i, j) is the four tiles that meet at its centre.
        windows = torch.cat([tiles[:, :, y : y + n, x : x + n] for y in (0, 1) for x in (0, 1)], 1)
        inputs = windows.flatten(2).permute(2, 0, 1)
        outputs = torch.bmm(torch.bmm(inputs, self.dense_maps), self.dense_mix) + self.dense_offset
        maps = outputs.permute(1, 2, 0)
        detail = F.pixel_shuffle(maps[:, :-2].unflatten(2, (n, n)), self.cells)
        integrated = (maps[:, -2:].flatten(1) @ self.integral).reshape(-1, 1, n, n) / SLOPE_WEIGHT
        smooth = F.interpolate(integrated, scale_factor=self.cells, mode="bilinear", align_corners=False)
        return torch.cat([detail, smooth], 1)

    def fit(self, pool: PairPool, on_progress: Callable[[int, int], None] = lambda done, total: None) -> float:
        """Fit all maps to a pool of pairs; return the fraction of variance that they explain in this pool.

        Parameters
        ----------
        pool : PairPool
            At least a few hundred pairs. Twice the number of pixels in a window, 2048, is a good number.
        on_progress : callable
            Called with the number of blocks done and the number of all blocks.

        Raises
        ------
        ReconstructionError
            There are fewer than 64 pairs.
        """
        count = pool.ready
        if count < 64:
            raise ReconstructionError(
                f"fitting the fibre's linear maps needs at least 64 pairs, got {count}; capture more pairs"
            )
        detail = np.stack([phase_detail(pool.phase_rad[i], self.mask) for i in range(count)])
        explained = total = 0.0
        for number, (row, column, window) in enumerate(self._windows(pool)):
            y, x = row * self.cells, column * self.cells
            cells = detail[:, y : y + self.cells, x : x + self.cells].reshape(count, -1)
            target = np.hstack([cells, SLOPE_WEIGHT * self._slopes(pool.phase_rad[:count], y, x)])
            gained, variance = self._fit_block(number, window, target)
            explained, total = explained + gained, total + variance
            on_progress(number + 1, len(self.places))
        self._unpack()
        return explained / max(total, 1e-12)

    def _windows(self, pool: PairPool) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
        """Yield row and column of every block, and its windows of amplitude changes in all pairs, (n, WINDOW_PX^2)."""
        scale = amplitude_scale(pool.speckle[: pool.ready])
        reference = self._padded(pool.reference[None].astype(np.float32) * amplitude_scale(pool.reference[None])[:, None, None])
        order = window_order()
        rows, columns = np.divmod(self.places, self.side)
        for row in np.unique(rows):
            change = self._strip(pool, int(row), scale) - np.sqrt(self._rows(reference, int(row)))
            for column in columns[rows == row]:
                left = int(column) * BLOCK_PX
                window = change[:, :, left : left + WINDOW_PX].reshape(pool.ready, -1)[:, order]
                yield int(row), int(column), np.ascontiguousarray(window)

    def _fit_block(self, number: int, window: NDArray[np.float32], target: NDArray[np.float32]) -> tuple[float, float]:
        """Fit one block's maps; return the explained and the whole variance of the target."""
        mean_in, mean_out = window.mean(0), target.mean(0)
        window, target = window - mean_in, target - mean_out
        gram = window.T @ window
        weights = np.linalg.solve(gram + np.float32(PENALTY) * np.eye(len(gram), dtype=np.float32), window.T @ target)
        # Reduce the rank: keep the directions of the outputs in which the fit has the largest variance.
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
        """Return the slopes (n, 2), down and right in radians per block, of planes around the block with first cell (y, x)."""
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

    def _strip(self, pool: PairPool, row: int, scale: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the amplitudes of one row of blocks in all frames, with margins, (n, WINDOW_PX, W + 2 margin)."""
        height = pool.speckle.shape[1]
        first, last = row * BLOCK_PX - _MARGIN, row * BLOCK_PX - _MARGIN + WINDOW_PX
        counts = pool.speckle[: pool.ready, max(0, first) : min(height, last)].astype(np.float32)
        margins = ((0, 0), (max(0, -first), max(0, last - height)), (_MARGIN, _MARGIN))
        return np.sqrt(np.pad(counts * scale[:, None, None], margins))

    def _everywhere(self, per_block: torch.Tensor) -> torch.Tensor:
        whole = per_block.new_zeros(self.side**2, *per_block.shape[1:])
        whole[torch.from_numpy(self.places)] = per_block
        return whole

    def _unpack(self, *_: Any) -> None:
        """Expand the stored maps to all blocks, with zeros outside the field, for one batched product."""
        self.dense_maps = self._everywhere(self.codes.float() * self.scale)
        self.dense_mix = self._everywhere(self.mix)
        self.dense_offset = self._everywhere(self.offset)


def window_order() -> NDArray[np.int64]:
    """Return the order of a window's pixels in four pixel-unshuffled tiles; the windows of a fit are read row by row."""
    pixels = torch.arange(WINDOW_PX**2).reshape(1, 1, WINDOW_PX, WINDOW_PX)
    tiles = F.pixel_unshuffle(pixels, BLOCK_PX)
    return np.asarray(torch.cat([tiles[0, :, y, x] for y in (0, 1) for x in (0, 1)]).numpy())


def slope_integral(places: NDArray[np.int64], side: int) -> NDArray[np.float32]:
    """Return the linear map (2 side^2, side^2) from slopes, down of all blocks and then right, to phases of the blocks.

    The phases have mean 0.
    It is the least-squares solution for the steps between neighbouring blocks. Blocks outside the field get the phase of the
    nearest block inside.
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
    phase = np.linalg.solve(normal, difference.T @ mean_slope)
    phase -= phase.mean(0)
    where = np.stack(np.divmod(places, side), 1)
    everywhere = np.stack(np.divmod(np.arange(side**2), side), 1)
    nearest = ((everywhere[:, None] - where[None]) ** 2).sum(-1).argmin(1)
    return np.ascontiguousarray(phase[nearest].T, np.float32)


def amplitude_scale(counts: NDArray[Any]) -> NDArray[np.float32]:
    """Return ``1 / mean`` of each image (n, H, W), which removes the effect of exposure and laser power."""
    return np.asarray(1 / np.maximum(counts.mean((1, 2), dtype=np.float64), 1e-6), np.float32)


def phase_detail(phase_rad: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return a phase (h, w) minus its mean over ``DETAIL_CELLS`` x ``DETAIL_CELLS`` cells inside the mask; 0 outside."""
    inside = mask.astype(np.float32)
    size = (DETAIL_CELLS, DETAIL_CELLS)
    mean = cv2.blur(phase_rad * inside, size) / np.maximum(cv2.blur(inside, size), 1e-3)
    return np.asarray((phase_rad - mean) * inside, np.float32)
