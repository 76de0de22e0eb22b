"""The referenced U-Net: from a speckle frame and the fibre's reference speckle to phase on a grid over the whole field.

The network uses the frame at its full resolution, because the signal is a displacement of grains by a fraction of their size of
2 px. There are four front ends (:class:`FrontEnd`). docs/decisions/0004-front-end.md contains their scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from reconstruction.base import ReconstructionError
from reconstruction.data.batch import Batch, Pairs
from reconstruction.data.pairs import PairPool
from reconstruction.models.base import NetworkConfig, Reconstructor
from reconstruction.models.losses import phase_loss
from reconstruction.networks.local_ridge import LocalRidge
from reconstruction.networks.step_unet import conv_block


class FrontEnd(StrEnum):
    """How full-resolution frames become feature maps on the grid."""

    #: Averages over the cells; this removes the displacement of the grains and serves as a baseline.
    SHRINK = "shrink"
    #: All pixels of a cell as channels (pixel unshuffle), which keeps the displacement.
    FOLD = "fold"
    #: Also local cross-covariances with the reference: second-order statistics in which a slope of the phase appears as a
    #: shift.
    CORRELATE = "correlate"
    #: Also the linear maps of one fibre, see :mod:`reconstruction.networks.local_ridge`.
    RIDGE = "ridge"


@dataclass(frozen=True)
class UNetConfig(NetworkConfig):
    """Shape of a referenced U-Net.

    Parameters
    ----------
    front_end : str
        A value of :class:`FrontEnd`.
    base_channels, multipliers : int, tuple of int
        The channels of every grid, from the finest, are ``base_channels`` times the multipliers.
    max_lag_px : int
        Largest lag of the cross-covariances, along y and x together.
    window_cells : float
        Standard deviation of the window for local means, in cells.
    """

    front_end: str = FrontEnd.RIDGE.value
    base_channels: int = 24
    multipliers: tuple[int, ...] = (1, 2, 4, 8)
    max_lag_px: int = 3
    window_cells: float = 1.25

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.grid_px % 2 ** (len(self.multipliers) - 1):
            raise ValueError(f"grid_px {self.grid_px} cannot be halved {len(self.multipliers) - 1} times")
        if self.front_end not in list(FrontEnd):
            raise ValueError(f"front_end is one of {', '.join(FrontEnd)}, got {self.front_end!r}")


class FrontEndFeatures(nn.Module):
    """Turns counts (b, 1, H, W) of frame and reference into feature maps (b, c, grid, grid).

    Counts are divided by their mean, which removes exposure and laser power. Their square root equalises the shot noise. The
    local mean, which is the uneven gain of the fibre, is subtracted.
    """

    coordinates: torch.Tensor
    window: torch.Tensor

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.fold = config.frame_px // config.grid_px
        self.front_end = FrontEnd(config.front_end)
        self.reach = config.max_lag_px
        span = range(-self.reach, self.reach + 1)
        near = [(dy, dx) for dy in span for dx in span if abs(dy) + abs(dx) <= self.reach]
        self.lags = near if self.front_end in (FrontEnd.CORRELATE, FrontEnd.RIDGE) else []
        axis = torch.linspace(-1, 1, config.grid_px)
        coordinates = torch.stack(torch.meshgrid(axis, axis, indexing="ij"))[None]
        self.register_buffer("coordinates", coordinates, persistent=False)
        step = torch.arange(-3, 4)
        gauss = torch.exp(-(step**2) / (2 * config.window_cells**2))
        self.register_buffer("window", (gauss / gauss.sum()).reshape(1, 1, 1, -1), persistent=False)
        correlate = self.fold**2 + 2 * len(self.lags)
        counts = {
            FrontEnd.SHRINK: 3,
            FrontEnd.FOLD: 3 * self.fold**2,
            FrontEnd.CORRELATE: correlate,
            FrontEnd.RIDGE: correlate + 2,
        }
        self.channels = 2 + counts[self.front_end]
        if self.front_end is FrontEnd.RIDGE:
            self.ridge = LocalRidge(config.frame_px, config.grid_px, config.field_radius)
        self.norm = nn.BatchNorm2d(self.channels, affine=False)

    def forward(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Return the feature maps of frame and reference, with coordinate maps."""
        amplitude_a, amplitude_b = _amplitude(frame), _amplitude(reference)
        a, b = self._flattened(amplitude_a), self._flattened(amplitude_b)
        if self.front_end is FrontEnd.SHRINK:
            small = [F.avg_pool2d(t, self.fold) for t in (a, b)]
            parts = [*small, small[0] - small[1]]
        else:
            cells_a, cells_b = F.pixel_unshuffle(a, self.fold), F.pixel_unshuffle(b, self.fold)
            if self.front_end is FrontEnd.FOLD:
                parts = [cells_a, cells_b, cells_a - cells_b]
            else:
                parts = [cells_a - cells_b, *self._covariances(cells_a, cells_b, b)]
            if self.front_end is FrontEnd.RIDGE:
                parts.append(self.ridge(amplitude_a - amplitude_b))
        full = [part.expand(len(frame), -1, -1, -1) for part in (*parts, self.coordinates)]
        return torch.as_tensor(self.norm(torch.cat(full, 1)))

    def _flattened(self, amplitude: torch.Tensor) -> torch.Tensor:
        """Subtract the local mean."""
        local = self._smooth(F.avg_pool2d(amplitude, self.fold))
        return amplitude - F.interpolate(local, scale_factor=self.fold, mode="nearest")

    def _smooth(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the Gaussian mean over neighbouring cells, separately for every channel."""
        channels = maps.shape[1]
        across = self.window.expand(channels, 1, 1, -1)
        maps = F.conv2d(F.pad(maps, (3, 3, 3, 3), mode="replicate"), across, groups=channels)
        return F.conv2d(maps, across.transpose(2, 3), groups=channels)

    def _covariances(self, cells_a: torch.Tensor, cells_b: torch.Tensor, b: torch.Tensor) -> list[torch.Tensor]:
        """Return means of ``a(r) b(r + lag)`` over every cell for all lags, and over a window as correlation coefficients."""
        height, width = b.shape[2:]
        padded = F.pad(b, [self.reach] * 4)
        products = []
        for dy, dx in self.lags:
            y, x = self.reach + dy, self.reach + dx
            shifted = F.pixel_unshuffle(padded[:, :, y : y + height, x : x + width], self.fold)
            products.append((cells_a * shifted).mean(1, keepdim=True))
        covariance = torch.cat(products, 1)
        power_a = self._smooth((cells_a**2).mean(1, keepdim=True))
        power_b = self._smooth((cells_b**2).mean(1, keepdim=True))
        scale = torch.rsqrt(power_a * power_b + 1e-6)
        return [covariance, self._smooth(covariance) * scale]


def _amplitude(counts: torch.Tensor) -> torch.Tensor:
    counts = counts.float()
    return torch.sqrt(counts / (counts.mean((2, 3), keepdim=True) + 1e-6))


class ReferencedUNet(Reconstructor):
    """U-Net (Ronneberger et al., MICCAI 2015) on the front end's features; output (b, 1, grid, grid) in radians."""

    kind: ClassVar[str] = "referenced"
    config: UNetConfig

    def __init__(self, config: UNetConfig) -> None:
        super().__init__(config)
        self.features = FrontEndFeatures(config)
        widths = [config.base_channels * m for m in config.multipliers]
        mixing = nn.Conv2d(self.features.channels, widths[0], 1, bias=False)
        self.stem = nn.Sequential(mixing, nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True))
        self.down = nn.ModuleList(conv_block(widths[max(0, level - 1)], width) for level, width in enumerate(widths))
        # The piston depends on the whole field; no part of it contains enough information.
        self.context = nn.Sequential(
            nn.Linear(2 * widths[-1], widths[-1]), nn.ReLU(inplace=True), nn.Linear(widths[-1], widths[-1])
        )
        upward = range(len(widths) - 1, 0, -1)
        self.up = nn.ModuleList(nn.ConvTranspose2d(widths[level], widths[level - 1], 2, stride=2) for level in upward)
        self.merge = nn.ModuleList(conv_block(2 * widths[level - 1], widths[level - 1]) for level in upward)
        self.head = nn.Conv2d(widths[0], 1, 1)

    def prepare(self, pool: Pairs, on_progress: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Fit the fibre's linear maps if the front end has them.

        Raises
        ------
        ReconstructionError
            The front end has linear maps, and the pairs are not in memory or too few.
        """
        if self.features.front_end is FrontEnd.RIDGE:
            if not isinstance(pool, PairPool):
                raise ReconstructionError(
                    "front end 'ridge' needs pairs in memory to fit the fibre's linear maps, got a stream; use front end 'fold'"
                )
            self.features.ridge.fit(pool, on_progress)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return absolute error and structural similarity, see :func:`reconstruction.models.losses.phase_loss`."""
        return phase_loss(self(batch.frames, batch.reference), batch.phase_rad, self.inside, self.config.phase_range_rad)

    def forward(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Reconstruct; see :class:`reconstruction.models.base.Reconstructor`."""
        return self.maps_and_phase(frame, reference)[1]

    def maps_and_phase(self, frame: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the feature maps, (b, channels, grid_px, grid_px), and the phase of :meth:`forward`."""
        features = self._features(frame, reference)
        return features, torch.as_tensor(self.head(self._decoded(features)).float())

    def last_maps_and_phase(self, frame: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the maps before the last layer, (b, base_channels * multipliers[0], grid_px, grid_px), and the phase."""
        last = self._decoded(self._features(frame, reference))
        return last, torch.as_tensor(self.head(last).float())

    def _features(self, frame: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        with torch.autocast(frame.device.type, enabled=False):
            return torch.as_tensor(self.features(frame, reference))

    def _decoded(self, features: torch.Tensor) -> torch.Tensor:
        x = self.stem(features)
        skips = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        skips.pop()
        whole = torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)
        x = x + self.context(whole)[:, :, None, None]
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([up(x), skips.pop()], 1))
        return torch.as_tensor(x)
